/* ends.c - what it costs to wait for the end of objects: COUNT objects of 16 bytes, each with a weak reference, a
 * disappearing link, a finalizer or a cleanup, that stay alive through ROUNDS collections; then all die. Prints for each
 * object the nanoseconds of registration; what a collection takes longer for it than without any; and the bytes of resident
 * memory. Of bdwgc a weak reference is a link, GC_general_register_disappearing_link, a finalizer GC_register_finalizer; there are no cleanups.
 *
 * usage: ends [weak|link|finalizer|cleanup [COUNT [ROUNDS]]]      default weak 1000000 5
 */
#include "bench.h"

#include <string.h>
#include <unistd.h>

enum { MAX_ROUNDS = 1000 };

static long count, rounds;
static void **objects;
static long called;

#ifdef BENCH_BDWGC

static void finalizer(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    called++;
}

static void **links;

static void prepare(void)
{
    links = bench_alloc_noscan((size_t)count * sizeof *links);
    memset(links, 0, (size_t)count * sizeof *links);
    GC_set_finalize_on_demand(1);
}

static void add_weak(long i)
{
    links[i] = objects[i];
    if (GC_general_register_disappearing_link(&links[i], objects[i]) != GC_SUCCESS)
        bench_die("GC_general_register_disappearing_link failed");
}

static void add_link(long i) { add_weak(i); }

static void add_finalizer(long i) { GC_register_finalizer(objects[i], finalizer, NULL, NULL, NULL); }

static void add_cleanup(long i)
{
    (void)i;
    bench_die("bdwgc has no cleanups");
}

static void call_all(void) { GC_invoke_finalizers(); }

static long cleared(void)
{
    long n = 0;
    for (long i = 0; i < count; i++)
        n += links[i] == NULL;
    return n;
}

#else

static void finalizer(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    called++;
}
static void cleanup(void *arg)
{
    (void)arg;
    called++;
}

static struct gc_weak **links;
static void **words; /* of links */

static void prepare(void)
{
    words = bench_alloc_noscan((size_t)count * sizeof *words);
    memset(words, 0, (size_t)count * sizeof *words);
    links = bench_alloc_noscan((size_t)count * sizeof *links);
    memset(links, 0, (size_t)count * sizeof *links);
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
}

static void add_weak(long i)
{
    links[i] = gc_weak_new(objects[i]);
    if (links[i] == NULL)
        bench_die("gc_weak_new failed");
}

static void add_link(long i)
{
    words[i] = objects[i];
    if (gc_weak_link(&words[i]) != 0)
        bench_die("gc_weak_link failed");
}

static void add_finalizer(long i)
{
    if (gc_set_finalizer(objects[i], finalizer, NULL, NULL, NULL) != 0)
        bench_die("gc_set_finalizer failed");
}

static void add_cleanup(long i)
{
    if (gc_add_cleanup(objects[i], cleanup, NULL) != 0)
        bench_die("gc_add_cleanup failed");
}

static void call_all(void) { gc_run_finalizers(); }

static long cleared(void)
{
    long n = 0;
    for (long i = 0; i < count; i++)
        n += words[i] == NULL && gc_weak_get(links[i]) == NULL;
    return n;
}

#endif

static const struct kind {
    const char *name;
    void (*add)(long i);
} kinds[] = {{"weak", add_weak}, {"link", add_link}, {"finalizer", add_finalizer}, {"cleanup", add_cleanup}};

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0)
            return &kinds[i];
    bench_die("usage: ends [weak|link|finalizer|cleanup [COUNT [ROUNDS]]]");
}

static double resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
        bench_die("/proc/self/statm cannot be read");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double collection(void)
{
    static double seconds[MAX_ROUNDS];
    for (long i = 0; i < rounds; i++) {
        double from = bench_seconds();
        bench_collect();
        seconds[i] = bench_seconds() - from;
    }
    return bench_median(seconds, (int)rounds);
}

static void print(const char *name, double value, const char *unit) { printf("value %s %.1f %s\n", name, value, unit); }

/* Objects that die, too: found, cleared or queued, and called. */
static double end_all(const struct kind *kind)
{
    double from = bench_seconds();
    memset(objects, 0, (size_t)count * sizeof *objects);
    bench_collect();
    bench_collect(); /* of spangc the sweep of the first goes on beside the program */
    call_all();
    double took = bench_seconds() - from;
    if ((kind->add == add_weak || kind->add == add_link ? cleared() : called) < count - 100)
        bench_die("some did not end");
    return took;
}

int main(int argc, char **argv)
{
    const struct kind *kind = kind_named(argc > 1 ? argv[1] : "weak");
    count = bench_arg(argc, argv, 2, 1000000, 1000, 100000000);
    rounds = bench_arg(argc, argv, 3, 5, 1, MAX_ROUNDS);
    bench_init();
    prepare();
    objects = bench_alloc((size_t)count * sizeof *objects);
    for (long i = 0; i < count; i++)
        objects[i] = bench_alloc(16);
    double plain = collection(), before = resident(), from = bench_seconds();
    for (long i = 0; i < count; i++)
        kind->add(i);
    double took = bench_seconds() - from, more = resident() - before;
    double with = collection();
    double n = (double)count * 1e-9;
    print("register", took / n, "ns");
    print("collect", (with - plain) / n, "ns");
    print("end", end_all(kind) / n, "ns");
    print("memory", more / (double)count, "bytes");
    printf("ends %s %ld\n", kind->name, count);
    return 0;
}
