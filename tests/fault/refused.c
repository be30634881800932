/* refused.c - the operating system refuses memory: every call that can fail does so in turn, once or from there on,
 * while a program uses the whole interface. What fails says so with NULL or -1, ENOMEM and the out-of-memory handler;
 * nothing crashes, nothing that is held is changed, and once memory comes again the heap is whole and serves.
 * Holds slow.order, pageheap.tiles, mspan.count.
 *
 * Each try is a process of its own, this program once more, because the library starts before main. */
#include "fault.h"

#include "os/os_mem_null.h"

#include <pthread.h>

enum { HELD_MAX = 2048, ROOT_RANGES = 400 };

/* Runs before the library's constructor does. */
__attribute__((constructor(101))) static void set_refusal(void)
{
    os_null.fail_at = check_env("REFUSED_AT", 0);
    os_null.fail_on = check_env("REFUSED_ON", 0) != 0;
}

static struct held {
    void *p;
    size_t size;
    bool scanned, pinned;
} held[HELD_MAX];
static size_t nheld;
static uint64_t told;        /* calls of the out-of-memory handler */
static uint64_t failures;    /* allocations that failed */
static bool memory_is_there; /* nothing may fail any longer */

static void *on_no_memory(size_t bytes)
{
    (void)bytes;
    told++;
    return NULL;
}

/* Both ends of an object are written and checked; so many tries leave no time for the middle. */
enum { END = 2048 };
static size_t end_of(size_t size) { return size < 2 * END ? 0 : size - END; }
static size_t end_size(size_t size) { return size < 2 * END ? size : END; }

static void fill_ends(void *p, size_t size, size_t i)
{
    fill(p, end_size(size), i);
    fill((char *)p + end_of(size), end_size(size), i);
}

/* What has shrunk has lost its tail. */
static void check_ends(const void *p, size_t size, size_t now, size_t i)
{
    check_filled(p, now < end_size(size) ? now : end_size(size), i);
    if (now >= size)
        check_filled((const char *)p + end_of(size), end_size(size), i);
}

/* An allocation failed as it must. */
static void count_failure(const char *what, size_t size, int error)
{
    failures++;
    if (memory_is_there || error != ENOMEM)
        ck_abort_msg("%s of %zu bytes failed: errno %d", what, size, error);
}

static void *keep(const char *what, void *p, size_t size, bool scanned, bool pinned)
{
    if (!p) {
        count_failure(what, size, errno);
        return NULL;
    }
    ck_assert_uint_lt(nheld, HELD_MAX);
    if (scanned) {
        check_zero(p, end_size(size));
        check_zero((char *)p + end_of(size), end_size(size));
    }
    fill_ends(p, size, nheld);
    held[nheld++] = (struct held){p, size, scanned, pinned};
    return p;
}

static void check_held(void)
{
    for (size_t i = 0; i < nheld; i++) {
        if (!held[i].p)
            continue;
        check_ends(held[i].p, held[i].size, held[i].size, i);
        if (gc_base(held[i].p) == NULL)
            ck_abort_msg("object %zu of %zu bytes was lost", i, held[i].size);
    }
}

static const size_t sizes[] = {1, 8, 15, 16, 100, 1000, 5000, 20000, 32768, 40000, 300000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void allocate_all(void)
{
    for (int i = 0; i < SIZES; i++) {
        size_t n = sizes[i];
        keep("gc_malloc", gc_malloc(n), n, true, false);
        keep("gc_malloc_noscan", gc_malloc_noscan(n), n, false, false);
        keep("gc_calloc", gc_calloc(n, 1), n, true, false);
        keep("gc_calloc_noscan", gc_calloc_noscan(1, n), n, false, false);
        keep("gc_malloc_uncollectable", gc_malloc_uncollectable(n), n, true, true);
        keep("gc_malloc_uncollectable_noscan", gc_malloc_uncollectable_noscan(n), n, false, true);
    }
}

static void allocate_aligned(void)
{
    for (size_t align = 32; align <= (size_t)2 << 20; align *= 16) {
        void *p = keep("gc_aligned_alloc", gc_aligned_alloc(align, 100), 100, true, false);
        void *q = keep("gc_aligned_alloc_noscan", gc_aligned_alloc_noscan(align, 40000), 40000, false, false);
        void *r = NULL;
        int e = gc_posix_memalign(&r, align, 3000);
        errno = e;
        keep("gc_posix_memalign", r, 3000, true, false);
        ck_assert_uint_eq(((uintptr_t)p | (uintptr_t)q | (uintptr_t)r) % align, 0);
    }
}

/* The contents go with the object, and stay when there is none. */
static void resize(size_t i, size_t size)
{
    struct held *h = &held[i];
    void *p = gc_realloc(h->p, size);
    if (!p) {
        count_failure("gc_realloc", size, errno);
        return;
    }
    check_ends(p, h->size, size, i);
    fill_ends(p, size, i);
    h->p = p;
    h->size = size;
}

static void resize_all(void)
{
    size_t n = nheld;
    for (size_t i = 0; i < n; i += 5)
        resize(i, held[i].size * 3 + 7);
    for (size_t i = 0; i < n; i += 7)
        resize(i, held[i].size / 4 + 1);
}

static void make_strings(void)
{
    static const char text[] = "what a string is for";
    char *p = gc_strdup(text), *q = gc_strndup(text, 6), *r = (char *)1;
    int n = gc_asprintf(&r, "%s %05d", text, 42);
    if (!p || !q || n < 0)
        count_failure("a string", sizeof text, ENOMEM);
    ck_assert(n >= 0 || !r);
    ck_assert(!p || strcmp(p, text) == 0);
    ck_assert(!q || strcmp(q, "what a") == 0);
    ck_assert(n < 0 || strcmp(r, "what a string is for 00042") == 0);
}

/* The table of ranges grows a few times on the way. */
static void register_roots(void)
{
    static void *words[ROOT_RANGES];
    bool added[ROOT_RANGES];
    for (int i = 0; i < ROOT_RANGES; i++) {
        errno = 0;
        added[i] = gc_add_roots(&words[i], &words[i] + 1) == 0;
        if (!added[i] && (memory_is_there || errno != ENOMEM))
            ck_abort_msg("gc_add_roots failed: errno %d", errno);
    }
    for (int i = 0; i < ROOT_RANGES; i++)
        ck_assert_int_eq(gc_remove_roots(&words[i], &words[i] + 1), added[i] ? 0 : -1);
}

static void *in_thread(void *unused)
{
    (void)unused;
    if (gc_thread_attach() != 0) {
        ck_assert_int_eq(errno, ENOMEM);
        return NULL;
    }
    uint64_t *p = gc_malloc(24), *q = gc_malloc(200000);
    if (p && q)
        *p = *q = 1;
    ck_assert_int_eq(gc_thread_detach(), 0);
    return NULL;
}

static void run_thread(void)
{
    pthread_t id;
    if (pthread_create(&id, NULL, in_thread, NULL) == 0)
        pthread_join(id, NULL);
}

static void free_some(void)
{
    for (size_t i = 0; i < nheld; i += 4) {
        gc_free(held[i].p);
        held[i].p = NULL;
    }
}

static void use_everything(void)
{
    allocate_all();
    check_held();
    run_thread();
    allocate_aligned();
    resize_all();
    check_held();
    make_strings();
    free_some();
    register_roots();
    gc_collect();
    allocate_all();
    gc_release_memory();
    run_thread();
    allocate_all();
    check_held();
}

static void check_stats(void)
{
    struct gc_memstats st;
    gc_read_memstats(&st);
    ck_assert_uint_eq(st.mallocs - st.frees, st.heap_objects);
    ck_assert_uint_eq(st.heap_inuse + st.heap_idle, st.heap_sys);
    ck_assert_uint_eq(st.sys, st.heap_sys + st.stack_sys + st.mspan_sys + st.mcache_sys + st.buckhash_sys + st.gc_sys +
                                  st.other_sys);
    ck_assert_uint_le(nheld / 2, st.heap_objects);
}

/* Memory comes again. What is left must be exactly what is held. */
static void recover(void)
{
    os_null.fail_at = 0;
    memory_is_there = true;
    check_held();
    gc_collect();
    pageheap_check();
    check_held();
    check_stats();
    allocate_all();
    allocate_aligned();
    register_roots();
    run_thread();
    check_held();
    gc_collect();
    check_held();
}

/* The library could not start, and says so for as long as the process lives. */
static void use_nothing(void)
{
    ck_assert_int_eq(errno, ENOMEM);
    use_everything();
    ck_assert_uint_eq(nheld, 0);
    ck_assert_ptr_null(gc_base(&nheld));
    ck_assert_int_eq(gc_add_roots(held, held + 1), -1);
    check_stats();
}

START_TEST(use)
{
    gc_set_oom_handler(on_no_memory);
    bool started = gc_init() == 0;
    if (started)
        use_everything();
    else
        use_nothing();
    if (told < failures)
        ck_abort_msg("%llu failures, but the handler was called %llu times", (unsigned long long)failures,
                     (unsigned long long)told);
    fprintf(stderr, "calls %llu refused %llu failures %llu\n", (unsigned long long)os_null_fallible_calls(),
            (unsigned long long)os_null.failed, (unsigned long long)failures);
    if (started)
        recover();
}
END_TEST

static void scene(TCase *tc) { tcase_add_test(tc, use); }

struct result {
    unsigned long long calls, refused, failures;
};

static void run(uint64_t at, bool on, struct result *r)
{
    struct outcome o;
    char at_text[40];
    snprintf(at_text, sizeof at_text, "REFUSED_AT=%llu", (unsigned long long)at);
    const char *env[] = {at_text, on ? "REFUSED_ON=1" : "REFUSED_ON=0", "CK_FORK=no",
                         "CK_TAP_LOG_FILE_NAME=/dev/stderr", NULL};
    run_scene("use", env, &o);
    if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != 0)
        ck_abort_msg("%s %s: status %#x: %.4000s", at_text, env[1], (unsigned)o.status, o.text);
    const char *line = strstr(o.text, "calls ");
    ck_assert(line && sscanf(line, "calls %llu refused %llu failures %llu", &r->calls, &r->refused, &r->failures) == 3);
}

START_TEST(every_call_refused)
{
    struct result all, r;
    unsigned long long tries = 0, failed = 0, seen = 0;
    run(0, false, &all);
    ck_assert_uint_eq(all.refused, 0);
    ck_assert_uint_eq(all.failures, 0);
    ck_assert_uint_ge(all.calls, 30);
    for (uint64_t at = 1; at <= all.calls; at++, tries++) {
        run(at, _i != 0, &r);
        seen += r.refused > 0;
        failed += r.failures > 0;
    }
    fprintf(stderr, "%llu tries, allocations failed in %llu\n", tries, failed);
    ck_assert_uint_ge(seen, tries - 2); /* what a dead word on a stack holds may save a call or two */
    if (_i)
        ck_assert_uint_ge(failed, tries / 4);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, every_call_refused, 0, 2);
    tcase_set_timeout(tc, 280);
}

int main(int argc, char **argv)
{
    (void)argv;
    return check_main("fault/refused", argc > 1 ? scene : tests);
}
