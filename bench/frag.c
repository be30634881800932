/* frag.c - what memory a program takes whose objects change in size: in each of six phases, of other sizes than the one
 * before, objects are made until MIB mebibytes are live; then nine tenths of them, picked at random, are dropped. What
 * stays of a phase lies scattered through the memory that the next one needs. Printed is the resident memory divided by
 * the bytes that are live, after each phase and after each drop; and the resident memory when everything was dropped,
 * and a second after the allocator was asked to give back what it can.
 *
 * Within a phase each power of two takes as many bytes as the others. Half of the objects are scanned; all are written
 * whole. Live are the bytes that were asked for. The table of the objects, in memory from the start, counts as neither.
 *
 * usage: frag [MIB [collect|leave]]      default 64 collect
 *   collect  a collector is asked for a collection after each drop, as free takes its objects back at once: what is
 *            left is fragmentation
 *   leave    it collects when it sees fit: the room that it gives garbage is in the figures too
 */
#include "bench.h"

#include <string.h>
#include <unistd.h>

enum { LEAST_MEAN = 28 /* bytes; the smallest objects have 31.5 in the mean: the table is large enough */ };

/* Sizes from `least` to below least << powers. */
static const struct phase {
    const char *sizes;
    size_t least;
    int powers;
} phases[] = {{"16-64B", 16, 2},    {"128-512B", 128, 2}, {"1-4KiB", 1024, 2},
              {"8-32KiB", 8192, 2}, {"16B-1MiB", 16, 16}, {"16-64B,again", 16, 2}};

static uint64_t **table; /* the objects, the first `count` */
static size_t slots, count, live;
static uint64_t objects, wrong; /* made; not what was written */
static double worst;
static int collect;

static uint64_t random_state = UINT64_C(88172645463325252);
static uint64_t next_random(void) { return bench_random(&random_state); }

/* The bytes of the process in memory. */
static double resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages;

    if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
        bench_die("/proc/self/statm cannot be read");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* A number has n trailing zeros half as often as n - 1: a size is taken half as often as one half as large. */
static size_t size_of(const struct phase *p, uint64_t r)
{
    size_t least = p->least << __builtin_ctzll(r) % p->powers;

    return least + (size_t)(r >> 32) % least;
}

/* An object knows its size, negated so that it is no address. One that is scanned points to itself: had it a pointer to
 * another, that would live as long. */
static void make(const struct phase *p)
{
    uint64_t r = next_random();
    size_t n = size_of(p, r);
    int scanned = r >> 63;
    uint64_t *b = scanned ? bench_alloc_filled(n) : bench_alloc_noscan(n);

    if (count == slots)
        bench_die("the table is full");
    b[0] = ~(uint64_t)n;
    b[1] = scanned ? (uint64_t)(uintptr_t)b : b[0];
    memset(b + 2, 0xa5, n - 2 * sizeof *b);
    bench_use(b);
    table[count++] = b;
    live += n;
    objects++;
}

static void drop(size_t i)
{
    uint64_t *b = table[i];
    size_t n = ~b[0];

    wrong +=
        n < 16 || (b[1] != (uint64_t)(uintptr_t)b && b[1] != b[0]) || (n > 16 && ((unsigned char *)b)[n - 1] != 0xa5);
    live -= n;
    table[i] = table[--count];
    table[count] = NULL;
    bench_free(b);
}

/* Objects are dropped in no order until no more than `least` bytes are live. */
__attribute__((noinline)) static void drop_to(size_t least)
{
    while (live > least)
        drop((size_t)(next_random() >> 16) % count);
    if (collect)
        bench_collect();
}

static double report(const char *when, const char *sizes)
{
    double bytes = resident() - (double)(slots * sizeof *table), ratio = bytes / (double)live;

    printf("value %s(%s) %.3f RSS/live (%.1f MB, %.1f MB live)\n", when, sizes, ratio, bytes / 1e6, (double)live / 1e6);
    return ratio;
}

__attribute__((noinline)) static void run_phase(const struct phase *p, size_t most)
{
    double ratio;

    while (live < most)
        make(p);
    ratio = report("filled", p->sizes);
    worst = ratio > worst ? ratio : worst;
    drop_to(most / 10);
    report("dropped", p->sizes);
}

/* Resident before anything is measured. Not inlined, as the phases are not: main keeps no pointers. */
__attribute__((noinline)) static void make_table(size_t n)
{
    slots = n;
    table = bench_alloc(slots * sizeof *table);
    bench_use(table); /* or the compiler knows that it is zero already */
    memset(table, 0, slots * sizeof *table);
    bench_use(table);
}

__attribute__((noinline)) static void drop_all(void)
{
    drop_to(0);
    bench_free(table);
    table = NULL;
}

int main(int argc, char **argv)
{
    size_t most = (size_t)bench_arg(argc, argv, 1, 64, 4, 1L << 20) << 20;

    collect = argc <= 2 || strcmp(argv[2], "collect") == 0;
    if (!collect && strcmp(argv[2], "leave") != 0) {
        fprintf(stderr, "%s: argument 2 is \"%s\"; it must be collect or leave\n", argv[0], argv[2]);
        return 2;
    }
    bench_init();
    make_table(most / LEAST_MEAN);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        run_phase(&phases[i], most);
    printf("value worst-filled %.3f RSS/live\n", worst);
    drop_all();
    printf("value all-dropped %.1f MB\n", resident() / 1e6);
    bench_release();
    sleep(1);
    printf("value released %.1f MB\n", resident() / 1e6);
    printf("objects: %" PRIu64 ", not what was written: %" PRIu64 "\n", objects, wrong);
    return wrong > 0;
}
