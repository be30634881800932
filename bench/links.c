/* links.c - what a disappearing link and an ephemeron cost: to register, in each collection that it lives through, and in
 * memory.
 *
 * usage: links [N [ROUNDS [KIND...]]]      default 1000000 5; kinds:
 *   pairs       N words, each in an object of its own, linked to N objects
 *   table       N words in one object, linked to N objects
 *   parent      N words, each in an object of its own, linked to one object
 *   ephemerons  N of N keys, with N values (spangc only)
 * One line a kind: nanoseconds of the thread to register one; milliseconds to collect, before and after; nanoseconds that
 * one adds to that; bytes that one takes. The times of collections are medians of ROUNDS. */
#include "bench.h"

#include <string.h>

enum { MAX_ROUNDS = 101, SMALL = 16 };

static size_t n;
static int rounds;
static void **keys, **values, **holders; /* tables that hold everything */
static void **slots;                     /* of `table`: not scanned */

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double collect(void)
{
    double v[MAX_ROUNDS];
    for (int i = 0; i < rounds; i++) {
        double from = now(CLOCK_MONOTONIC);
        bench_collect();
        v[i] = now(CLOCK_MONOTONIC) - from;
    }
    qsort(v, (size_t)rounds, sizeof *v, by_value);
    return v[rounds / 2];
}

/* Resident bytes of the process. */
static double resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        bench_die("/proc/self/statm cannot be read");
    fclose(f);
    return (double)pages * 4096;
}

static void link_word(void **slot, void *target)
{
    *slot = target;
#if defined BENCH_BDWGC
    if (GC_general_register_disappearing_link(slot, target) != GC_SUCCESS)
        bench_die("no link");
#else
    if (gc_weak_link(slot) != 0)
        bench_die("no link");
#endif
}

static void link_pairs(void)
{
    for (size_t i = 0; i < n; i++)
        link_word(holders[i], keys[i]);
}

static void link_table(void)
{
    for (size_t i = 0; i < n; i++)
        link_word(&slots[i], keys[i]);
}

static void link_parent(void)
{
    for (size_t i = 0; i < n; i++)
        link_word(holders[i], keys[0]);
}

static void make_ephemerons(void)
{
#if !defined BENCH_BDWGC
    for (size_t i = 0; i < n; i++)
        holders[i] = bench_checked(gc_ephemeron_new(keys[i], values[i]));
#endif
}

static void make_objects(int with_holders)
{
    keys = bench_alloc(n * sizeof *keys);
    values = bench_alloc(n * sizeof *values);
    holders = bench_alloc(n * sizeof *holders);
    slots = bench_alloc_noscan(n * sizeof *slots);
    memset(slots, 0, n * sizeof *slots);
    for (size_t i = 0; i < n; i++) {
        keys[i] = bench_alloc(SMALL);
        values[i] = with_holders ? NULL : bench_alloc(SMALL);
        holders[i] = with_holders ? memset(bench_alloc_noscan(SMALL), 0, SMALL) : NULL; /* touched before it counts */
    }
}

static void measure(const char *kind, void (*make)(void), int with_holders)
{
    make_objects(with_holders);
    double before = collect(), memory = resident(), from = now(CLOCK_THREAD_CPUTIME_ID);
    make();
    double took = now(CLOCK_THREAD_CPUTIME_ID) - from;
    double after = collect(), added = resident() - memory, count = (double)n;
    printf("%-11s %7.1f ns to register %8.2f ms before %8.2f ms after %7.1f ns added %7.1f bytes\n", kind, took / count,
           before / 1e6, after / 1e6, (after - before) / count, added / count);
    fflush(stdout);
    keys = values = holders = slots = NULL;
    bench_collect();
}

static const struct kind {
    const char *name;
    void (*make)(void);
    int with_holders;
} kinds[] = {
    {"pairs", link_pairs, 1}, {"table", link_table, 1}, {"parent", link_parent, 1}, {"ephemerons", make_ephemerons, 0}};

static int is_named(const char *name, int argc, char **argv)
{
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc <= 3;
}

int main(int argc, char **argv)
{
    n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (n < 1 || rounds < 1 || rounds > MAX_ROUNDS)
        bench_die("usage: links [N [ROUNDS [KIND...]]]");
    bench_init();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
#if defined BENCH_BDWGC
        if (kinds[i].make == make_ephemerons)
            continue;
#endif
        if (is_named(kinds[i].name, argc, argv))
            measure(kinds[i].name, kinds[i].make, kinds[i].with_holders);
    }
    return 0;
}
