/* limits.c - what the machine at hand allows: the figures that an allocator and a collector can come near and not pass.
 * Each is the median of ROUNDS with the least and the most.
 *
 * usage: limits [MIB [ROUNDS]]      default 1024 5; MIB are read at random, traced and touched
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MAX_ROUNDS = 101, PAGE = 4096, HUGE_PAGE = 2 << 20, CHAINS = 16, STOPS = 2000, LINKS = 3, QUEUE = 16 };

static size_t bytes;
static int rounds;

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Runs a measurement, whose seconds are for `n` of what is counted, and prints what one takes, in the unit. */
static void report(const char *name, double (*measure)(void), double n, double scale, const char *unit)
{
    double v[MAX_ROUNDS];

    for (int i = 0; i < rounds; i++)
        v[i] = measure() / n * scale;
    qsort(v, (size_t)rounds, sizeof *v, by_value);
    printf("value %s %.3f %s [%.3f..%.3f]\n", name, v[rounds / 2], unit, v[0], v[rounds - 1]);
    fflush(stdout);
}

/* On a boundary of huge pages, and backed by them or certainly not, where the kernel has a say. */
static char *map(int advice)
{
    char *p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    p = (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (madvise(p, bytes, advice) != 0 && errno != EINVAL)
        die("madvise");
    return p;
}

/* ---- reading ---- */

/* One cycle through a word of each line of 64 bytes. */
static uint64_t *chase;
static const size_t line_words = 64 / sizeof(uint64_t);

static void make_chase(void)
{
    size_t lines = bytes / 64;
    uint32_t *order = malloc(lines * sizeof *order);

    if (order == NULL)
        die("malloc");
    chase = (uint64_t *)(void *)map(MADV_NOHUGEPAGE);
    for (size_t i = 0; i < lines; i++)
        order[i] = (uint32_t)i;
    for (size_t i = lines - 1; i > 0; i--) {
        size_t k = next_random() % (i + 1);
        uint32_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    for (size_t i = 0; i < lines; i++)
        chase[order[i] * line_words] = order[(i + 1) % lines] * line_words;
    free(order);
}

static double read_chains(int chains)
{
    uint64_t at[CHAINS];
    size_t steps = (bytes / 64) / 16;
    double from;

    for (int c = 0; c < chains; c++)
        at[c] = next_random() % (bytes / 64) * line_words;
    from = now();
    for (size_t i = 0; i < steps; i += (size_t)chains)
        for (int c = 0; c < chains; c++)
            at[c] = chase[at[c]];
    from = now() - from;
    for (int c = 0; c < chains; c++)
        __asm__ volatile("" : : "r"(at[c]));
    return from;
}

static double one_read(void) { return read_chains(1); }
static double many_reads(void) { return read_chains(CHAINS); }

/* ---- tracing: a graph of 48-byte nodes whose place and links are known, so that nothing has to be found out ---- */

struct node {
    struct node *links[LINKS];
    uint64_t data[3];
};

static struct node *nodes;
static size_t node_count;
static uint64_t *marks; /* a bit a node */
static struct node **stack;

static void make_graph(int advice)
{
    node_count = bytes / sizeof *nodes;
    nodes = (struct node *)(void *)map(advice);
    marks = calloc(node_count / 64 + 1, sizeof *marks);
    stack = malloc(node_count * LINKS * sizeof *stack);
    if (marks == NULL || stack == NULL)
        die("malloc");
    for (size_t i = 0; i < node_count; i++)
        for (int k = 0; k < LINKS; k++)
            nodes[i].links[k] = &nodes[k == 0 ? (i + 1) % node_count : next_random() % node_count];
}

static void drop_graph(void)
{
    munmap(nodes, bytes);
    free(marks);
    free(stack);
}

/* Whether it is new. */
static int mark(const struct node *n)
{
    size_t i = (size_t)(n - nodes);
    uint64_t bit = UINT64_C(1) << i % 64, old = marks[i / 64];

    marks[i / 64] = old | bit;
    return (old & bit) == 0;
}

static double trace_plain(void)
{
    size_t n = 0, seen = 0;
    double from = now();

    memset(marks, 0, (node_count / 64 + 1) * sizeof *marks);
    mark(nodes);
    stack[n++] = nodes;
    while (n > 0) {
        const struct node *at = stack[--n];
        seen++;
        for (int k = 0; k < LINKS; k++)
            if (mark(at->links[k]))
                stack[n++] = at->links[k];
    }
    if (seen != node_count)
        die("a node was not reached");
    return now() - from;
}

/* A node is looked at when it has been on its way for as long as the queue is. Its mark waits in the queue too. */
static double trace_queue(void)
{
    struct node *queue[QUEUE] = {NULL};
    size_t n = 0, seen = 0, idle = 0;
    double from = now();

    memset(marks, 0, (node_count / 64 + 1) * sizeof *marks);
    stack[n++] = nodes;
    for (unsigned at = 0; idle < QUEUE; at = (at + 1) % QUEUE) {
        struct node *p = queue[at];
        queue[at] = n > 0 ? stack[--n] : NULL;
        if (queue[at] != NULL) {
            __builtin_prefetch(queue[at]);
            __builtin_prefetch(&marks[(size_t)(queue[at] - nodes) / 64]);
        }
        idle = p == NULL && queue[at] == NULL ? idle + 1 : 0;
        if (p == NULL || !mark(p))
            continue;
        seen++;
        for (int k = 0; k < LINKS; k++)
            stack[n++] = p->links[k];
    }
    if (seen != node_count)
        die("a node was not reached");
    return now() - from;
}

/* ---- memory from the system ---- */

static char *touched;

static double touch(int advice)
{
    double from;

    touched = map(advice);
    from = now();
    for (size_t i = 0; i < bytes; i += PAGE)
        touched[i] = 1;
    return now() - from;
}

static void untouch(void) { munmap(touched, bytes); }

static double touch_small(void)
{
    double t = touch(MADV_NOHUGEPAGE);

    untouch();
    return t;
}

static double touch_huge(void)
{
    double t = touch(MADV_HUGEPAGE);

    untouch();
    return t;
}

static double give_back(int advice)
{
    double from;

    touch(advice);
    from = now();
    if (madvise(touched, bytes, MADV_DONTNEED) != 0)
        die("madvise");
    from = now() - from;
    untouch();
    return from;
}

static double give_back_small(void) { return give_back(MADV_NOHUGEPAGE); }
static double give_back_huge(void) { return give_back(MADV_HUGEPAGE); }

static double fill(void)
{
    double from = now();

    memset(touched, 1, bytes);
    return now() - from;
}

/* ---- stopping a thread ---- */

static _Atomic int ended, stopped, go;

static void stop_here(int sig)
{
    int stop = atomic_fetch_add(&stopped, 1) + 1;

    (void)sig;
    while (atomic_load(&go) < stop)
        ;
}

static void *run(void *unused)
{
    while (!atomic_load(&ended))
        ;
    return unused;
}

static double stop_and_start(void)
{
    struct sigaction sa;
    pthread_t t;
    double from;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = stop_here;
    if (sigaction(SIGUSR1, &sa, NULL) != 0)
        die("sigaction");
    atomic_store(&ended, 0);
    atomic_store(&stopped, 0);
    atomic_store(&go, 0);
    if (pthread_create(&t, NULL, run, NULL) != 0)
        die("pthread_create");
    from = now();
    for (int i = 1; i <= STOPS; i++) {
        pthread_kill(t, SIGUSR1);
        while (atomic_load(&stopped) < i)
            ;
        atomic_store(&go, i);
    }
    from = now() - from;
    atomic_store(&ended, 1);
    pthread_join(t, NULL);
    return from;
}

static long argument(int argc, char **argv, int i, long otherwise, long lo, long hi)
{
    char *end;
    long v = i < argc ? strtol(argv[i], &end, 10) : otherwise;

    if (i < argc && (*end != '\0' || v < lo || v > hi)) {
        fprintf(stderr, "limits: argument %d must be a number from %ld to %ld\n", i, lo, hi);
        exit(2);
    }
    return v;
}

int main(int argc, char **argv)
{
    bytes = (size_t)argument(argc, argv, 1, 1024, 2, 1 << 20) << 20;
    rounds = (int)argument(argc, argv, 2, 5, 1, MAX_ROUNDS);
    double pages = (double)(bytes / PAGE), reads = (double)(bytes / 64 / 16);

    make_chase();
    report("dependent_read", one_read, reads, 1e9, "ns");
    report("read_of_16_at_once", many_reads, reads, 1e9, "ns");
    munmap(chase, bytes);
    make_graph(MADV_NOHUGEPAGE);
    report("trace_plain_stack", trace_plain, (double)node_count, 1e9, "ns/node");
    report("trace_queue_of_16", trace_queue, (double)node_count, 1e9, "ns/node");
    drop_graph();
    make_graph(MADV_HUGEPAGE);
    report("trace_plain_stack_huge_pages", trace_plain, (double)node_count, 1e9, "ns/node");
    report("trace_queue_of_16_huge_pages", trace_queue, (double)node_count, 1e9, "ns/node");
    drop_graph();
    report("first_touch", touch_small, pages, 1e6, "us/4KiB");
    report("first_touch_huge_pages", touch_huge, pages, 1e6, "us/4KiB");
    report("give_back", give_back_small, pages, 1e6, "us/4KiB");
    report("give_back_huge_pages", give_back_huge, pages, 1e6, "us/4KiB");
    touch(MADV_HUGEPAGE);
    report("memset", fill, (double)bytes / 1e9, 1, "s/GB");
    untouch();
    report("stop_and_start_a_thread", stop_and_start, STOPS, 1e6, "us");
    return 0;
}
