/* opener.c - a C program that opens plugin.so and has it throw. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef LINKED
#include <spangc.h>
#endif

static void *must(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
}

int main(int argc, char **argv)
{
    void *plugin = must(argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL);
    void (*keep)(void), (*churn)(void);
    int (*check)(void);
    *(void **)&keep = must(dlsym(plugin, "plugin_keep"));
    *(void **)&churn = must(dlsym(plugin, "plugin_churn"));
    *(void **)&check = must(dlsym(plugin, "plugin_check"));
#ifndef LINKED
    gc_init();
#endif
    for (int i = 0; i < 50; i++) {
        keep();
        churn();
        if (!check()) {
            fprintf(stderr, "round %d: what the exception pointed to was lost\n", i);
            return 1;
        }
    }
    puts("a plug-in's exceptions hold what they point to");
    return 0;
}
