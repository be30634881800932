/* oom.c - the system refuses memory (ulimit -v, and ulimit -d, which refuses where a system that does not overcommit does:
 * when reserved memory is to be made usable): one collection, the handler, NULL and ENOMEM; the heap stays usable
 * and nothing is lost. Holds slow.order, rootjobs.reserve. Each scene is a process of its own that starts under the limit. */
#include "helpers.h"

#include <sys/resource.h>

enum { LIMIT_MIB = 128, SIZE = 1000 };

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    dprintf(STDERR_FILENO, "failed: %s\n", what);
    _exit(9);
}
#define DEMAND(condition) demand(condition, #condition)

struct block {
    struct block *next;
    size_t i;
};

static struct block *all;
static size_t n_blocks;

static NOINLINE void take_all(size_t size)
{
    for (struct block *b; (b = gc_malloc(size)) != NULL;) {
        fill(b + 1, size - sizeof *b, n_blocks);
        b->next = all;
        b->i = n_blocks++;
        all = b;
    }
}

static NOINLINE void check_all(size_t size)
{
    size_t n = n_blocks;
    for (const struct block *b = all; b; b = b->next) {
        DEMAND(b->i == --n);
        check_filled(b + 1, size - sizeof *b, b->i);
    }
    DEMAND(n == 0);
}

static void drop_all(void)
{
    all = NULL;
    n_blocks = 0;
}

static int handler_calls;
static size_t handler_bytes;

static void *note_and_fail(size_t bytes)
{
    handler_calls++;
    handler_bytes = bytes;
    return NULL;
}

/* No pacing, so that the collections counted are those for want of memory. */
static int one_collection(void)
{
    static struct gc_memstats st;
    gc_set_oom_handler(note_and_fail);
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    errno = 0;
    take_all(SIZE);
    DEMAND(errno == ENOMEM);
    DEMAND(handler_calls == 1);
    DEMAND(handler_bytes == SIZE);
    gc_read_memstats(&st);
    DEMAND(st.num_gc >= 1 && st.num_gc <= 2);
    DEMAND(st.heap_objects >= n_blocks);
    DEMAND(st.heap_inuse >= (uint64_t)SIZE * n_blocks);
    DEMAND(st.sys < (uint64_t)LIMIT_MIB << 20);
    uint64_t before = st.num_gc;
    DEMAND(gc_malloc(SIZE) == NULL);
    gc_read_memstats(&st);
    DEMAND(st.num_gc == before + 1);
    DEMAND(st.num_forced_gc == 0); /* the program asked for none */
    DEMAND(handler_calls == 2);
    check_all(SIZE);
    return 0;
}

/* A good part of what the limit leaves can be used. */
static int most_of_it(void)
{
    gc_set_oom_handler(note_and_fail);
    take_all(SIZE);
    dprintf(STDERR_FILENO, "%zu MiB\n", n_blocks * SIZE >> 20);
    return 0;
}

/* Everything is dropped: as much can be had again, small and large, over and over. */
static int usable_afterwards(void)
{
    static struct gc_memstats st;
    gc_set_oom_handler(note_and_fail);
    take_all(SIZE);
    size_t first = n_blocks;
    for (int round = 0; round < 3; round++) {
        check_all(SIZE);
        drop_all();
        settle();
        gc_read_memstats(&st);
        DEMAND(st.heap_objects < first / 20);
        DEMAND(st.mallocs - st.frees == st.heap_objects);
        DEMAND(st.heap_inuse + st.heap_idle == st.heap_sys);
        void *large = gc_malloc(first / 4 * SIZE);
        DEMAND(large);
        check_zero(large, first / 4 * SIZE);
        gc_free(large);
        take_all(SIZE);
        DEMAND(n_blocks >= first - first / 5);
    }
    return 0;
}

/* Garbage alone never runs out: the pacer does not know the limit, the refusal does. */
static int garbage_goes_on(void)
{
    gc_set_oom_handler(note_and_fail);
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    for (size_t i = 0; i < 500000; i++)
        DEMAND(launder(gc_malloc(SIZE)));
    for (size_t i = 0; i < 2000; i++)
        DEMAND(launder(gc_malloc(200000 + i)));
    DEMAND(handler_calls == 0);
    return 0;
}

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    DEMAND(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Not a page more for the library from here on, and there was no collection yet. */
static int first_collection(void)
{
    static struct gc_memstats st;
    struct rlimit limit;
    gc_set_oom_handler(note_and_fail);
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    for (int i = 0; i < 1000; i++)
        DEMAND(launder(gc_malloc(SIZE)));
    gc_read_memstats(&st);
    DEMAND(st.num_gc == 0);
    limit.rlim_cur = limit.rlim_max = address_space();
    DEMAND(setrlimit(RLIMIT_AS, &limit) == 0);
    gc_collect();
    gc_read_memstats(&st);
    DEMAND(st.num_gc == 1 && st.heap_objects < 200);
    return 0;
}

/* The default handler: one line, then NULL. */
static int default_line(void)
{
    take_all(SIZE);
    DEMAND(errno == ENOMEM);
    return 0;
}

/* What does not fit at all fails, what fits is served. */
static int too_large(void)
{
    gc_set_oom_handler(note_and_fail);
    static const size_t sizes[] = {(size_t)1 << 28, (size_t)1 << 30, (size_t)1 << 40};
    for (size_t i = 0; i < 3; i++) {
        errno = 0;
        DEMAND(gc_malloc(sizes[i]) == NULL && errno == ENOMEM);
        DEMAND(gc_malloc_noscan(sizes[i]) == NULL);
        DEMAND(gc_aligned_alloc(1 << 20, sizes[i]) == NULL);
        DEMAND(launder(gc_malloc(1 << 20)));
    }
    DEMAND(handler_calls == 9);
    return 0;
}

static const struct {
    const char *name;
    int (*play)(void);
} scenes[] = {
    {"one-collection", one_collection},    {"usable-afterwards", usable_afterwards}, {"most-of-it", most_of_it},
    {"garbage-goes-on", garbage_goes_on},  {"default-line", default_line},           {"too-large", too_large},
    {"first-collection", first_collection}};

static int play(const char *name)
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(name, scenes[i].name) == 0)
            return scenes[i].play();
    return 99;
}

static const int limits[] = {RLIMIT_AS, RLIMIT_DATA};
enum { LIMITS = sizeof limits / sizeof *limits };
static int limited; /* which of them */

static void limit_and_exec(void *scene)
{
    struct rlimit limit = {(rlim_t)LIMIT_MIB << 20, (rlim_t)LIMIT_MIB << 20};
    if (setrlimit(limits[limited], &limit) != 0)
        _exit(98);
    exec_scene(scene);
}

/* The sanitizers reserve more than the limit for themselves. */
static void run_limited(const char *name, int by, struct outcome *o)
{
    limited = by;
    if (sanitizer_is("address") || sanitizer_is("thread"))
        exit(EXIT_SUCCESS);
    run_child(limit_and_exec, &(struct scene){name, NULL}, o);
    must_exit_0(o);
    drop_lines(o->text, "verifying second mark");
}

static void is_silent(const char *name, int by)
{
    struct outcome o;
    run_limited(name, by, &o);
    ck_assert_str_eq(o.text, "");
}

START_TEST(collects_once) { is_silent("one-collection", _i); }
END_TEST
START_TEST(is_usable_afterwards) { is_silent("usable-afterwards", _i); }
END_TEST
START_TEST(garbage) { is_silent("garbage-goes-on", _i); }
END_TEST
START_TEST(collects_with_what_it_has) { is_silent("first-collection", _i); }
END_TEST
START_TEST(too_large_for_it) { is_silent("too-large", _i); }
END_TEST

/* The verifying mark has maps of its own; and stacks of threads of the library are taken from it sooner or later. */
START_TEST(uses_most)
{
    struct outcome o;
    int mib = 0, least = checks_full() ? LIMIT_MIB * 7 / 16 : LIMIT_MIB / 2;
    run_limited("most-of-it", _i, &o);
    ck_assert_int_eq(sscanf(o.text, "%d MiB", &mib), 1);
    ck_assert_int_ge(mib, least);
}
END_TEST

START_TEST(says_so)
{
    struct outcome o;
    run_limited("default-line", _i, &o);
    ck_assert_uint_eq(count_lines(o.text), 1);
    ck_assert_int_eq(strncmp(o.text, "spangc: out of memory: 1000 bytes asked, ", 41), 0);
    ck_assert_ptr_nonnull(strstr(o.text, "in use"));
    ck_assert_ptr_nonnull(strstr(o.text, "limit"));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, collects_once, 0, LIMITS);
    tcase_add_loop_test(tc, is_usable_afterwards, 0, LIMITS);
    tcase_add_loop_test(tc, garbage, 0, LIMITS);
    tcase_add_test(tc, collects_with_what_it_has);
    tcase_add_loop_test(tc, too_large_for_it, 0, LIMITS);
    tcase_add_loop_test(tc, uses_most, 0, LIMITS);
    tcase_add_loop_test(tc, says_so, 0, LIMITS);
}

int main(int argc, char **argv) { return argc > 1 ? play(argv[1]) : check_main("api/oom", tests); }
