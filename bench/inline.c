/* inline.c - what spangc/inline.h wins: COUNT objects of each size, each dropped at once, by gc_malloc and by
 * gc_malloc_inline in turns, ROUNDS times; nanoseconds an object as median (least..most), and the ratio of the medians.
 *
 * usage: inline [COUNT [ROUNDS]]      default 20000000 9
 */
#include "bench.h"

#include <spangc/inline.h>

enum { MAX_ROUNDS = 101 };

/* The size is a constant to the compiler: a pair of functions a size, each of which returns ns an object. */
#define TIMED(name, allocate, size)                                                                                    \
    static double name##_##size(long n)                                                                                \
    {                                                                                                                  \
        double from = bench_seconds();                                                                                 \
        for (long i = 0; i < n; i++)                                                                                   \
            bench_use(allocate(size));                                                                                 \
        return (bench_seconds() - from) * 1e9 / (double)n;                                                             \
    }
#define PAIR(size) TIMED(call, gc_malloc, size) TIMED(inline, gc_malloc_inline, size)
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

static double print_median(double *t, int n)
{
    double median = bench_median(t, n);
    printf(" %6.2f (%.2f..%.2f)", median, t[0], t[n - 1]);
    return median;
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
    long n = bench_arg(argc, argv, 1, 20000000, 1, 1000000000000);
    int rounds = (int)bench_arg(argc, argv, 2, 9, 1, MAX_ROUNDS);

    bench_init();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        compare(&pairs[i], n, rounds);
    return 0;
}
