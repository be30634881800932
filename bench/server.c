/* server.c - the allocations of a server: each thread holds SLOTS blocks of 8 to 1000 bytes, and goes on replacing one,
 * picked at random, by a new one of another size (after Larson and Krishnan's simulation, 1998). The first and the last
 * word of a block are written and checked when it goes. Scanned blocks: a server's hold pointers.
 *
 * usage: server [THREADS [OPERATIONS [SLOTS]]]      default 2 20000000 1000; operations are each thread's
 */
#include "bench.h"

enum { MAX_THREADS = 64, LEAST = 8, MOST = 1000 };

struct worker {
    pthread_t thread;
    uint64_t random;
    void **slots;
    unsigned wrong;
};

static long operations, slots;
static pthread_barrier_t start;

/* A block knows its size, negated so that it is no address. */
static void *new_block(uint64_t r)
{
    size_t words = (LEAST + r % (MOST - LEAST + 1)) / sizeof(uint64_t);
    uint64_t *b = bench_alloc_filled(words * sizeof *b);

    b[0] = b[words - 1] = ~(uint64_t)words;
    return b;
}

static unsigned drop_block(void *block)
{
    uint64_t *b = block, words = ~b[0];
    unsigned wrong = words == 0 || words > MOST / sizeof *b || b[words - 1] != b[0];

    bench_free(block);
    return wrong;
}

static void *serve(void *arg)
{
    struct worker *w = arg;

    for (long i = 0; i < slots; i++)
        w->slots[i] = new_block(bench_random(&w->random));
    pthread_barrier_wait(&start);
    for (long i = 0; i < operations; i++) {
        uint64_t r = bench_random(&w->random);
        void **slot = &w->slots[(r >> 32) % (uint64_t)slots];
        w->wrong += drop_block(*slot);
        *slot = new_block(r & 0xffffffff);
    }
    for (long i = 0; i < slots; i++)
        w->wrong += drop_block(w->slots[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[MAX_THREADS];
    int threads = (int)bench_arg(argc, argv, 1, 2, 1, MAX_THREADS);
    unsigned wrong = 0;
    double seconds;

    operations = bench_arg(argc, argv, 2, 20000000, 1, 1000000000000);
    slots = bench_arg(argc, argv, 3, 1000, 1, 100000000);
    bench_init();
    if (pthread_barrier_init(&start, NULL, (unsigned)threads + 1) != 0)
        bench_die("pthread_barrier_init failed");
    for (int i = 0; i < threads; i++) {
        workers[i].random = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(i + 1);
        workers[i].slots = bench_alloc((size_t)slots * sizeof *workers[i].slots);
        bench_start_thread(&workers[i].thread, NULL, serve, &workers[i]);
    }
    pthread_barrier_wait(&start);
    seconds = bench_seconds();
    for (int i = 0; i < threads; i++) {
        bench_join_thread(workers[i].thread);
        wrong += workers[i].wrong;
        bench_free(workers[i].slots);
    }
    seconds = bench_seconds() - seconds;
    printf("blocks that were not what was written: %u\n", wrong);
    printf("value rate %.2f Mops/s\n", (double)threads * (double)operations / seconds * 1e-6);
    return wrong > 0;
}
