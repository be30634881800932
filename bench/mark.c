/* mark.c - how long a full mark takes: a graph of MIB mebibytes of 48-byte nodes with three pointers each, to nodes taken
 * at random or to nodes allocated near by. Marked ROUNDS times; prints the median, in nanoseconds for each live node.
 * SPANGC_DEBUG=markers=N sets how many threads mark. Of spangc the mark alone is timed, of bdwgc the whole collection.
 *
 * usage: mark [MIB [random|local [ROUNDS]]]      default 1024 random 5
 */
#include "bench.h"

#include <string.h>

enum { NEAR = 64, MAX_ROUNDS = 101 };

struct node {
    struct node *to[3];
    uint64_t number[3];
};

static double mark_seconds;
static uint64_t live_bytes;

#ifndef BENCH_BDWGC
static void on_event(const struct gc_event *e, void *unused)
{
    static uint64_t from;

    (void)unused;
    if (e->kind == GC_SPAN_EVENT_STOPPED)
        from = e->time_ns;
    if (e->kind == GC_SPAN_EVENT_MARK_DONE) {
        mark_seconds = (double)(e->time_ns - from) * 1e-9;
        live_bytes = e->value;
    }
}

static void collect(void)
{
    gc_set_event_handler(on_event, NULL);
    gc_collect();
}
#else
static void collect(void)
{
    double from = bench_seconds();

    GC_gcollect();
    mark_seconds = bench_seconds() - from;
    live_bytes = GC_get_heap_size() - GC_get_free_bytes();
}
#endif

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252;

    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

/* Node i points to i + 1, so that all are reachable, and to two others: anywhere, or in the local graph within NEAR of
 * it. In the random one the nodes are numbered in random order, so that i + 1 is anywhere too. */
static struct node *build(size_t n, int local)
{
    struct node **at = malloc(n * sizeof *at);
    static struct node *volatile first;

    if (!at)
        bench_die("malloc failed");
    /* at[] is not scanned: a chain in order of allocation holds the nodes meanwhile */
    for (size_t i = 0; i < n; i++) {
        at[i] = bench_alloc(sizeof **at);
        at[i]->to[0] = first;
        first = at[i];
    }
    for (size_t i = n - 1; i > 0 && !local; i--) {
        size_t k = next_random() % (i + 1);
        struct node *t = at[i];
        at[i] = at[k];
        at[k] = t;
    }
    for (size_t i = 0; i < n; i++) {
        at[i]->to[1] = local ? at[(i + next_random() % NEAR) % n] : at[next_random() % n];
        at[i]->to[2] = local ? at[(i + next_random() % NEAR) % n] : at[next_random() % n];
        at[i]->number[0] = i;
    }
    first = at[0]; /* and from now on the chain goes by number */
    for (size_t i = 0; i < n; i++)
        at[i]->to[0] = at[(i + 1) % n];
    free(at);
    return first;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double ns[MAX_ROUNDS];
    static struct node *volatile first;
    size_t n = (size_t)bench_arg(argc, argv, 1, 1024, 1, 1L << 20) * (1 << 20) / sizeof(struct node);
    int local = argc > 2 && strcmp(argv[2], "local") == 0;
    int rounds = (int)bench_arg(argc, argv, 3, 5, 1, MAX_ROUNDS);

    bench_init();
    first = build(n, local);
    collect(); /* helpers are started by the first that finds much live */
    for (int i = 0; i < rounds; i++) {
        collect();
        ns[i] = mark_seconds * 1e9 / (double)n;
    }
    qsort(ns, (size_t)rounds, sizeof *ns, by_value);
    printf("value mark %.1f ns/node [%.1f..%.1f], %zu nodes, %.0f MiB live\n", ns[rounds / 2], ns[0], ns[rounds - 1], n,
           (double)live_bytes / (1 << 20));
    return first == NULL;
}
