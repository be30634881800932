/* small.c - allocates TOTAL bytes in objects of 50, of which the last 2,000 are held, and prints its peak memory in KiB: since
 * it was started, as the shell that started it may be larger, which getrusage tells.
 * With -DWITH_SPANGC from the collector, else by malloc and free. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_SPANGC
#include <spangc.h>
#define allocate gc_malloc
#define let_go(p)
#else
#define allocate malloc
#define let_go   free
#endif

enum { HELD = 2000, SIZE = 50 };
static void *held[HELD];

static long peak(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %ld", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib;
}

int main(int argc, char **argv)
{
    long n = (argc > 1 ? atol(argv[1]) : 100000) / SIZE;
    for (long i = 0; i < n; i++) {
        let_go(held[i % HELD]);
        held[i % HELD] = memset(allocate(SIZE), 1, SIZE);
    }
    printf("%ld\n", peak());
    return 0;
}
