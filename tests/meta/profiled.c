/* profiled.c - a program whose heap profile is known: see profile.sh. Arguments: FILE FORMAT BYTES-OF-RATE. */
#include <spangc.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((__noinline__))

enum { MIB = 1 << 20 };

struct cell {
    struct cell *next;
    char rest[40];
};

static struct cell *kept;
static void *volatile sink;

/* Each is a function whose name is the same in every tool; what follows the call keeps it from being a jump. */
NOINLINE void *cons(struct cell *next)
{
    struct cell *c = gc_malloc(sizeof *c);
    c->next = next;
    return c;
}

NOINLINE void keep_eight_mib(void)
{
    for (size_t n = 0; n < 8 * MIB; n += sizeof(struct cell))
        kept = cons(kept);
}

NOINLINE void drop_sixteen_mib(void)
{
    for (size_t n = 0; n < 16 * MIB; n += 64) {
        char *p = gc_calloc_noscan(4, 16);
        p[0] = 1;
        sink = p;
    }
    sink = NULL;
}

NOINLINE void free_four_mib(void)
{
    for (int i = 0; i < 64; i++) {
        char *p = gc_malloc_noscan(64 * 1024);
        p[0] = 1;
        gc_free(p);
    }
}

int main(int argc, char **argv)
{
    if (argc > 3)
        gc_set_profile_rate(strtoul(argv[3], NULL, 10));
    keep_eight_mib();
    drop_sixteen_mib();
    free_four_mib();
    gc_collect();
    if (argc < 3)
        return 0;
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int text = strcmp(argv[2], "text") == 0;
    if (gc_write_heap_profile(fd, text ? GC_SPAN_PROFILE_TEXT : GC_SPAN_PROFILE_PPROF) != 0) {
        perror("gc_write_heap_profile");
        return 1;
    }
    return close(fd) == 0 && kept ? 0 : 1;
}
