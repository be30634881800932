/* inline.c - what spangc/inline.h wins: COUNT objects of each size, each dropped at once, by gc_malloc and by
 * gc_malloc_inline in turns, ROUNDS times; nanoseconds an object as median (least..most), and the ratio of the medians.
 *
 * usage: inline [COUNT [ROUNDS]]      default 20000000 9
 */
#include "bench.h"

#include <spangc/inline.h>

enum { MAX_ROUNDS = 101 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The size is a constant to the compiler: a pair of functions a size. */
#define PAIR(size)                                                                                                     \
    static double call_##size(long n)                                                                                  \
    {                                                                                                                  \
        double from = now();                                                                                           \
        for (long i = 0; i < n; i++)                                                                                   \
            bench_use(gc_malloc(size));                                                                                \
        return (now() - from) / (double)n;                                                                             \
    }                                                                                                                  \
    static double inline_##size(long n)                                                                                \
    {                                                                                                                  \
        double from = now();                                                                                           \
        for (long i = 0; i < n; i++)                                                                                   \
            bench_use(gc_malloc_inline(size));                                                                         \
        return (now() - from) / (double)n;                                                                             \
    }
PAIR(16)
PAIR(32)
PAIR(48)
PAIR(96)
PAIR(256)

static const struct pair {
    int size;
    double (*call)(long n), (*inlined)(long n);
} pairs[] = {
    {16, call_16, inline_16}, {32, call_32, inline_32},    {48, call_48, inline_48},
    {96, call_96, inline_96}, {256, call_256, inline_256},
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double print_median(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, by_size);
    printf(" %6.2f (%.2f..%.2f)", t[n / 2], t[0], t[n - 1]);
    return t[n / 2];
}

static void compare(const struct pair *p, long n, int rounds)
{
    double call[MAX_ROUNDS], inlined[MAX_ROUNDS];
    for (int r = 0; r < rounds; r++) {
        call[r] = p->call(n);
        inlined[r] = p->inlined(n);
    }
    printf("%4d B: call", p->size);
    double a = print_median(call, rounds);
    printf(" ns, inline");
    double b = print_median(inlined, rounds);
    printf(" ns, ratio %.2f\n", b / a);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 20000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    if (n < 1 || rounds < 1 || rounds > MAX_ROUNDS)
        bench_die("usage: inline [COUNT [ROUNDS]]");
    bench_init();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        compare(&pairs[i], n, rounds);
    return 0;
}
