/* small.c - allocates TOTAL bytes in objects of 50, of which the last 2,000 are held, and prints its peak memory in KiB.
 * With -DWITH_SPANGC from the collector, else by malloc and free. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

int main(int argc, char **argv)
{
    struct rusage r;
    long n = (argc > 1 ? atol(argv[1]) : 100000) / SIZE;
    for (long i = 0; i < n; i++) {
        let_go(held[i % HELD]);
        held[i % HELD] = memset(allocate(SIZE), 1, SIZE);
    }
    getrusage(RUSAGE_SELF, &r);
    printf("%ld\n", r.ru_maxrss);
    return 0;
}
