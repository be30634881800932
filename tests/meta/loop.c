/* loop.c - N allocations that are garbage at once: loop gc_malloc|gc_malloc_noscan|gc_malloc_typed SIZE N */
#include <spangc.h>

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t size = strtoul(argv[2], NULL, 10);
    long n = strtol(argv[3], NULL, 10);
    void *volatile last = NULL;
    struct gc_layout *layout = gc_layout_new(size, (const uint64_t[512]){1});

    if (strcmp(argv[1], "gc_malloc") == 0)
        for (long i = 0; i < n; i++)
            last = gc_malloc(size);
    else if (strcmp(argv[1], "gc_malloc_typed") == 0)
        for (long i = 0; i < n; i++)
            last = gc_malloc_typed(layout);
    else
        for (long i = 0; i < n; i++)
            last = gc_malloc_noscan(size);
    return last == NULL;
}
