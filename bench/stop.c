/* stop.c - what it costs to stop idle threads and to start them again: THREADS threads that sleep in sem_wait, stopped
 * ROUNDS times; prints the median in microseconds, of all and for each thread. Of spangc the time from the first request
 * to the last answer and from the end of the mark to the wake-up, as events tell; of bdwgc GC_stop_world_external and
 * GC_start_world_external.
 *
 * usage: stop [THREADS [ROUNDS]]      default 10 200
 */
#include "bench.h"

#include <semaphore.h>

enum { MAX_ROUNDS = 10001 };

static sem_t ready, done;

static void *idle(void *arg)
{
    bench_use(bench_alloc(16)); /* known to the collector */
    sem_post(&ready);
    while (sem_wait(&done) != 0)
        ;
    return arg;
}

#ifdef BENCH_BDWGC
static double stop_and_start(void)
{
    double from = bench_seconds();

    GC_stop_world_external();
    GC_start_world_external();
    return bench_seconds() - from;
}
#else
static uint64_t at[GC_SPAN_EVENT_HEAP_GROWN + 1];

static void on_event(const struct gc_event *e, void *unused)
{
    (void)unused;
    at[e->kind] = e->time_ns;
}

static double stop_and_start(void)
{
    gc_set_event_handler(on_event, NULL);
    gc_collect();
    return (double)(at[GC_SPAN_EVENT_STOPPED] - at[GC_SPAN_EVENT_STOP_REQUEST] + at[GC_SPAN_EVENT_RESTARTED] -
                    at[GC_SPAN_EVENT_MARK_DONE]) *
           1e-9;
}
#endif

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double seconds[MAX_ROUNDS];
    int threads = (int)bench_arg(argc, argv, 1, 10, 1, 30000);
    int rounds = (int)bench_arg(argc, argv, 2, 200, 1, MAX_ROUNDS);
    pthread_attr_t small;

    bench_init();
    sem_init(&ready, 0, 0);
    sem_init(&done, 0, 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < threads; i++) {
        pthread_t t;
        bench_start_thread(&t, &small, idle, NULL);
        while (sem_wait(&ready) != 0)
            ;
    }
    for (int i = 0; i < rounds; i++)
        seconds[i] = stop_and_start();
    qsort(seconds, (size_t)rounds, sizeof *seconds, by_value);
    printf("value stop_and_start %.1f us, %.2f us/thread [%.1f..%.1f]\n", seconds[rounds / 2] * 1e6,
           seconds[rounds / 2] * 1e6 / threads, seconds[0] * 1e6, seconds[rounds - 1] * 1e6);
    return 0;
}
