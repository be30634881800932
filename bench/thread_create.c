/* thread_create.c - what a thread costs: COUNT threads that do nothing, each created and joined before the next.
 * -malloc is the plain pthread_create. Prints the median of ROUNDS, in microseconds a thread.
 *
 * usage: thread_create [COUNT [ROUNDS]]      default 5000 7
 */
#include "bench.h"

enum { MAX_ROUNDS = 101 };

static void *nothing(void *arg) { return arg; }

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double us[MAX_ROUNDS];
    long count = bench_arg(argc, argv, 1, 5000, 1, 100000000);
    int rounds = (int)bench_arg(argc, argv, 2, 7, 1, MAX_ROUNDS);

    bench_init();
    for (int r = 0; r < rounds; r++) {
        double from = bench_seconds();
        for (long i = 0; i < count; i++) {
            pthread_t t;
            bench_start_thread(&t, NULL, nothing, NULL);
            bench_join_thread(t);
        }
        us[r] = (bench_seconds() - from) * 1e6 / (double)count;
    }
    qsort(us, (size_t)rounds, sizeof *us, by_value);
    printf("value create_and_join %.2f us [%.2f..%.2f]\n", us[rounds / 2], us[0], us[rounds - 1]);
    return 0;
}
