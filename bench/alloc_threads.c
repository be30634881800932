/* alloc_threads.c - what threads that only allocate do to one another: each makes COUNT scanned objects of SIZE bytes
 * and drops each at once. One thread and THREADS threads take turns, ROUNDS times; each prints the allocations of all
 * threads per second, and the median of the ratios (THREADS is ideal) comes last. Beside it stands what the machine
 * allows: the same ratio for threads that write as many bytes through a buffer of their own and allocate nothing.
 *
 * usage: alloc_threads [THREADS [SIZE [COUNT [ROUNDS]]]]      default 2 16 10000000 5; with 1 thread, no ratio
 */
#include "bench.h"

#include <string.h>

enum { MAX_THREADS = 64, MAX_ROUNDS = 101 };

static size_t object_size;
static long count;
static pthread_barrier_t start;

static void *allocate(void *arg)
{
    (void)arg;
    bench_free(bench_alloc(object_size)); /* the thread is known to the allocator before the clock starts */
    pthread_barrier_wait(&start);
    for (long i = 0; i < count; i++) {
        void *p = bench_alloc(object_size);
        bench_use(p);
        bench_free(p);
    }
    return NULL;
}

/* As many writes of as many bytes, round a buffer of the size that a small heap has between two collections. */
static void *write_only(void *arg)
{
    enum { BUFFER = 4 << 20 };
    char *buffer = malloc(BUFFER);
    size_t at = 0;
    if (!buffer)
        bench_die("malloc failed");
    memset(buffer, 1, BUFFER);
    pthread_barrier_wait(&start);
    for (long i = 0; i < count; i++) {
        at = at + object_size <= BUFFER ? at : 0;
        memset(buffer + at, 0, object_size);
        bench_use(buffer + at);
        at += object_size;
    }
    free(buffer);
    return arg;
}

/* Returns the allocations, or writes, per second of all the threads together. */
static double rate_of(void *(*work)(void *), int threads)
{
    pthread_t t[MAX_THREADS];
    double from;

    if (pthread_barrier_init(&start, NULL, (unsigned)threads + 1) != 0)
        bench_die("pthread_barrier_init failed");
    for (int i = 0; i < threads; i++)
        bench_start_thread(&t[i], NULL, work, NULL);
    pthread_barrier_wait(&start);
    from = bench_seconds();
    for (int i = 0; i < threads; i++)
        bench_join_thread(t[i]);
    from = bench_seconds() - from;
    pthread_barrier_destroy(&start);
    return (double)threads * (double)count / from;
}

int main(int argc, char **argv)
{
    static double one[MAX_ROUNDS], all[MAX_ROUNDS], ratio[MAX_ROUNDS], limit[MAX_ROUNDS];
    int threads = (int)bench_arg(argc, argv, 1, 2, 1, MAX_THREADS);
    int rounds = (int)bench_arg(argc, argv, 4, 5, 1, MAX_ROUNDS);

    object_size = (size_t)bench_arg(argc, argv, 2, 16, sizeof(void *), 1L << 30);
    count = bench_arg(argc, argv, 3, 10000000, 1, 1000000000000);
    bench_init();
    for (int i = 0; i < rounds; i++) {
        one[i] = rate_of(allocate, 1);
        all[i] = threads > 1 ? rate_of(allocate, threads) : one[i];
        ratio[i] = all[i] / one[i];
        limit[i] = threads > 1 ? rate_of(write_only, threads) / rate_of(write_only, 1) : 1;
    }
    printf("value 1_thread %.2f M/s\n", bench_median(one, rounds) * 1e-6);
    if (threads > 1) {
        printf("value %d_threads %.2f M/s\n", threads, bench_median(all, rounds) * 1e-6);
        printf("value ratio %.2f times\n", bench_median(ratio, rounds));
        printf("value limit_of_machine %.2f times\n", bench_median(limit, rounds));
    }
    return 0;
}
