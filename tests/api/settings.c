/* settings.c - each setter changes what it says, returns the old value and refuses what is wrong: percent, memory
 * limit, frozen, disable, out-of-memory and warn handlers, giving memory back. Holds pacer.progress, pacer.minimum,
 * slow.order. */
#include "helpers.h"

static struct gc_memstats st;

static uint64_t collections(void) { return read_stats(&st)->num_gc; }

static NOINLINE void garbage(size_t bytes)
{
    for (size_t n = 0; n < bytes; n += 64)
        launder(gc_malloc(64));
}

/* ---- percent ---- */

START_TEST(percent_range)
{
    ck_assert_int_eq(gc_get_percent(), 100);
    ck_assert_int_eq(gc_set_percent(200), 100);
    ck_assert_int_eq(gc_set_percent(0), 200);
    ck_assert_int_eq(gc_set_percent(GC_SPAN_PERCENT_MAX), 0);
    ck_assert_int_eq(gc_set_percent(GC_SPAN_PERCENT_OFF), GC_SPAN_PERCENT_MAX);
    ck_assert_int_eq(gc_get_percent(), GC_SPAN_PERCENT_OFF);
    static const int wrong[] = {-5, -2, INT32_MIN, GC_SPAN_PERCENT_MAX + 1, 1000000000, INT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        ck_assert_int_eq(gc_set_percent(wrong[i]), GC_SPAN_PERCENT_INVALID);
        ck_assert_int_eq(errno, EINVAL);
        ck_assert_int_eq(gc_get_percent(), GC_SPAN_PERCENT_OFF);
    }
}
END_TEST

START_TEST(percent_off_never_collects)
{
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    garbage(64 << 20);
    ck_assert_uint_eq(collections(), 0);
    ck_assert_uint_ge(st.heap_inuse, 64 << 20);
    gc_collect();
    ck_assert_uint_eq(collections(), 1);
}
END_TEST

/* The more the heap may grow, the fewer the collections. Live data well above the minimum. */
static uint64_t collections_at(int percent, void **live)
{
    gc_set_percent(percent);
    gc_collect();
    uint64_t before = collections();
    garbage(256 << 20);
    gc_keep_alive(live);
    return collections() - before;
}

START_TEST(percent_paces)
{
    enum { LIVE = 20000 };
    static void *live[LIVE];
    for (size_t i = 0; i < LIVE; i++)
        live[i] = gc_malloc(1024);
    uint64_t at_50 = collections_at(50, live), at_100 = collections_at(100, live), at_400 = collections_at(400, live);
    /* 20 MiB live, 256 MiB of garbage: about 25, 12 and 3. */
    ck_assert_uint_ge(at_50, 18);
    ck_assert_uint_le(at_50, 32);
    ck_assert_uint_ge(at_100, 9);
    ck_assert_uint_le(at_100, 16);
    ck_assert_uint_ge(at_400, 2);
    ck_assert_uint_le(at_400, 4);
    gc_read_memstats(&st);
    ck_assert_uint_ge(st.next_gc, 5 * LIVE * 1024);
    ck_assert_uint_le(st.next_gc, 6 * LIVE * 1024 + (16 << 20)); /* the roots count too */
}
END_TEST

/* 0 percent collects often, and still makes progress. */
START_TEST(percent_0)
{
    gc_set_percent(0);
    garbage(16 << 20);
    ck_assert_uint_ge(collections(), 8);
    ck_assert_uint_le(st.num_gc, 32);
    ck_assert_uint_le(st.heap_sys, 8 << 20);
}
END_TEST

/* A small heap is not collected all the time: the goal is at least 4 MiB at 100 percent. */
START_TEST(minimum_goal)
{
    garbage(64 << 20);
    ck_assert_uint_le(collections(), 18);
    ck_assert_uint_ge(st.num_gc, 8);
}
END_TEST

/* Buffers cost marking nothing, and buy an eighth of the room that objects which are scanned do. */
START_TEST(buffers_buy_little)
{
    enum { LIVE = 40, EACH = 1 << 20 };
    static void *volatile live[LIVE];
    for (size_t i = 0; i < LIVE; i++)
        ck_assert_ptr_nonnull(live[i] = gc_malloc_noscan(EACH));
    for (int i = 0; i < 20 * LIVE; i++) /* a program that does nothing gets more room */
        memset(live[i % LIVE], i, EACH);
    gc_collect();
    gc_read_memstats(&st);
    ck_assert_uint_ge(st.next_gc, LIVE * EACH + LIVE * EACH / 8);
    ck_assert_uint_le(st.next_gc, LIVE * EACH + LIVE * EACH / 4 + (2 << 20)); /* the roots count too */
    for (size_t i = 0; i < LIVE; i++)
        ck_assert_ptr_nonnull(live[i] = gc_malloc(EACH));
    gc_collect();
    gc_read_memstats(&st);
    ck_assert_uint_ge(st.next_gc, 2 * LIVE * EACH);
}
END_TEST

/* ---- memory limit ---- */

START_TEST(limit_range)
{
    ck_assert_uint_eq(gc_get_memory_limit(), GC_SPAN_LIMIT_NONE);
    ck_assert_uint_eq(gc_set_memory_limit(1 << 30), GC_SPAN_LIMIT_NONE);
    ck_assert_uint_eq(gc_get_memory_limit(), 1 << 30);
    ck_assert_uint_eq(gc_set_memory_limit(0), 1 << 30);
    ck_assert_uint_eq(gc_get_memory_limit(), GC_SPAN_LIMIT_NONE);
    ck_assert_uint_eq(gc_set_memory_limit(1), GC_SPAN_LIMIT_NONE);
    ck_assert_uint_eq(gc_set_memory_limit(GC_SPAN_LIMIT_NONE), 1);
}
END_TEST

static uint64_t footprint_after(size_t garbage_bytes)
{
    uint64_t most = 0;
    for (int i = 0; i < 16; i++) {
        garbage(garbage_bytes / 16);
        gc_read_memstats(&st);
        if (st.sys - st.heap_released > most)
            most = st.sys - st.heap_released;
    }
    return most;
}

START_TEST(limit_is_a_goal)
{
    enum { LIMIT = 24 << 20 };
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    gc_set_memory_limit(LIMIT);
    uint64_t most = footprint_after(256 << 20);
    ck_assert_uint_le(most, LIMIT + LIMIT / 4);
    ck_assert_uint_ge(most, LIMIT / 2);
    ck_assert_uint_ge(collections(), 8);
    ck_assert_uint_le(st.num_gc, 60);
}
END_TEST

/* What is live is kept, however small the limit; and the program still gets on. */
START_TEST(limit_is_no_wall)
{
    enum { LIVE = 16000 };
    static void *live[LIVE];
    gc_set_memory_limit(4 << 20);
    for (size_t i = 0; i < LIVE; i++)
        live[i] = make_filled(1024, i);
    garbage(32 << 20);
    for (size_t i = 0; i < LIVE; i++)
        check_filled(live[i], 1024, i);
    ck_assert_uint_le(collections(), 100);
}
END_TEST

/* ---- disable and frozen ---- */

START_TEST(disable_nests)
{
    ck_assert_int_eq(gc_disabled_depth(), 0);
    ck_assert_int_eq(gc_enable(), 0);
    ck_assert_int_eq(gc_disable(), 1);
    ck_assert_int_eq(gc_disable(), 2);
    ck_assert_int_eq(gc_disabled_depth(), 2);
    garbage(16 << 20);
    ck_assert_int_eq(gc_enable(), 1);
    garbage(16 << 20);
    ck_assert_uint_eq(collections(), 0);
    gc_collect();
    ck_assert_uint_eq(collections(), 1);
    ck_assert_int_eq(gc_enable(), 0);
    ck_assert_int_eq(gc_enable(), 0);
    ck_assert_int_eq(gc_disable(), 1);
    ck_assert_int_eq(gc_enable(), 0);
    garbage(32 << 20);
    ck_assert_uint_ge(collections(), 3);
}
END_TEST

static int oom_calls;
static size_t oom_bytes;

static void *note_and_fail(size_t bytes)
{
    oom_calls++;
    oom_bytes = bytes;
    return NULL;
}

/* A list of all there is; its length. */
static struct block {
    struct block *next;
} * all;

static NOINLINE size_t take_all(size_t size)
{
    size_t n = 0;
    for (struct block *b; (b = gc_malloc(size)) != NULL; n++) {
        b->next = all;
        all = b;
    }
    return n;
}

START_TEST(frozen)
{
    static void *kept;
    kept = gc_malloc(100);
    gc_set_oom_handler(note_and_fail);
    ck_assert_int_eq(gc_get_frozen(), 0);
    ck_assert_int_eq(gc_set_frozen(1), 0);
    ck_assert_int_eq(gc_get_frozen(), 1);
    uint64_t heap_sys = read_stats(&st)->heap_sys, before = st.num_gc;
    errno = 0;
    size_t n = take_all(1000);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(oom_calls, 1);
    ck_assert_uint_eq(oom_bytes, 1000);
    ck_assert_uint_gt(n, 100);
    ck_assert_uint_eq(read_stats(&st)->heap_sys, heap_sys);
    ck_assert_uint_eq(st.num_gc, before + 1);
    ck_assert_uint_ge(st.heap_objects, n);
    ck_assert_uint_le(st.heap_idle, 64 << 10);
    gc_keep_alive(kept);
    /* Usable again once something is let go of, still frozen. */
    all = NULL;
    ck_assert_uint_ge(take_all(1000), n - n / 10);
    ck_assert_uint_eq(read_stats(&st)->heap_sys, heap_sys);
    ck_assert_int_ne(gc_set_frozen(0), 0);
    ck_assert_ptr_nonnull(gc_malloc(10 << 20));
}
END_TEST

/* While collections are forbidden, running out of memory is no reason for one: the program may have hidden pointers. */
static uintptr_t hidden[100];

static NOINLINE void hide_all(void)
{
    for (size_t i = 0; i < 100; i++)
        hidden[i] = hide(make_filled(64, i));
}

START_TEST(disabled_and_out_of_memory)
{
    hide_all();
    gc_clear_stack(64 * 1024);
    gc_set_oom_handler(note_and_fail);
    gc_disable();
    gc_set_frozen(1);
    take_all(1000);
    take_all(64);
    ck_assert_ptr_null(gc_malloc(1 << 20));
    ck_assert_int_eq(oom_calls, 3);
    ck_assert_uint_eq(collections(), 0);
    for (size_t i = 0; i < 100; i++)
        check_filled(reveal(hidden[i]), 64, i);
}
END_TEST

/* ---- handlers ---- */

static char spare[1 << 16];

static void *give_spare(size_t bytes)
{
    oom_bytes = bytes;
    return bytes <= sizeof spare ? spare : NULL;
}

START_TEST(oom_handler)
{
    volatile size_t absurd = (size_t)1 << 60;
    ck_assert(gc_set_oom_handler(note_and_fail) == NULL);
    ck_assert(gc_get_oom_handler() == note_and_fail);
    ck_assert(gc_set_oom_handler(give_spare) == note_and_fail);
    gc_set_frozen(1);
    errno = 77;
    void *p = NULL;
    for (int i = 0; i < 10000 && p != spare; i++)
        p = launder(gc_malloc_uncollectable(40000));
    ck_assert_ptr_eq(p, spare);
    ck_assert_uint_eq(oom_bytes, 40000);
    ck_assert_int_eq(errno, 77);
    ck_assert_ptr_null(gc_malloc_noscan(absurd));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(oom_bytes, absurd);
    ck_assert(gc_set_oom_handler(NULL) == give_spare);
    ck_assert(gc_get_oom_handler() == NULL);
}
END_TEST

/* It may allocate, free and let go of things itself: here it gives up its reserve and tries again. */
static void *reserve;

static void *give_up_reserve(size_t bytes)
{
    oom_calls++;
    gc_free(reserve);
    reserve = NULL;
    gc_set_oom_handler(note_and_fail);
    return gc_malloc(bytes);
}

START_TEST(oom_handler_calls_back)
{
    reserve = gc_malloc(4 << 20);
    gc_set_oom_handler(give_up_reserve);
    gc_set_frozen(1);
    take_all(500);
    ck_assert_int_eq(oom_calls, 2);
    uint64_t had = 0;
    for (const struct block *b = all; b; b = b->next)
        had += 500;
    ck_assert_uint_ge(had, 7 << 19);
}
END_TEST

static void default_oom(void *unused)
{
    volatile size_t absurd = (size_t)1 << 60;
    (void)unused;
    gc_set_memory_limit(123456789);
    if (gc_malloc(absurd) || errno != ENOMEM)
        _exit(5);
}

/* One line: bytes asked, in use, from the system, limit. */
START_TEST(oom_default)
{
    struct outcome o;
    run_child(default_oom, NULL, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_lines(o.text), 1);
    ck_assert_ptr_nonnull(strstr(o.text, "spangc: "));
    ck_assert_ptr_nonnull(strstr(o.text, "1152921504606846976 bytes"));
    ck_assert_ptr_nonnull(strstr(o.text, "in use"));
    ck_assert_ptr_nonnull(strstr(o.text, "123456789"));
}
END_TEST

static void warn(const char *message) { (void)message; }

START_TEST(warn_handler)
{
    ck_assert(gc_set_warn_handler(warn) == NULL);
    ck_assert(gc_get_warn_handler() == warn);
    ck_assert(gc_set_warn_handler(NULL) == warn);
    ck_assert(gc_get_warn_handler() == NULL);
}
END_TEST

/* ---- giving memory back ---- */

START_TEST(release)
{
    enum { BYTES = 64 << 20 };
    gc_set_percent(GC_SPAN_PERCENT_OFF);
    garbage(BYTES / 2);
    void *large = gc_malloc_noscan(BYTES / 2);
    memset(large, 1, BYTES / 2);
    gc_free(large);
    uint64_t before = resident(), heap_sys = read_stats(&st)->heap_sys;
    gc_clear_stack(64 * 1024);
    size_t released = gc_release_memory();
    ck_assert_uint_ge(released, BYTES * 9L / 10);
    ck_assert_uint_eq(read_stats(&st)->heap_released, released);
    ck_assert_uint_eq(st.heap_sys, heap_sys);
    ck_assert_uint_le(st.heap_released, st.heap_idle);
    if (!sanitizer_is("address") && !sanitizer_is("thread"))
        ck_assert_uint_le(resident() + BYTES * 9L / 10, before);
    ck_assert_uint_le(gc_release_memory(), released / 10);
    /* Used again, it is in memory and zero. */
    garbage(BYTES / 2);
    char *p = gc_malloc(BYTES / 4);
    check_zero(p, BYTES / 4);
    ck_assert_uint_le(read_stats(&st)->heap_released, st.heap_idle);
    ck_assert_uint_le(st.heap_released, released - BYTES / 4);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, percent_range);
    tcase_add_test(tc, percent_off_never_collects);
    tcase_add_test(tc, percent_paces);
    tcase_add_test(tc, percent_0);
    tcase_add_test(tc, minimum_goal);
    tcase_add_test(tc, buffers_buy_little);
    tcase_add_test(tc, limit_range);
    tcase_add_test(tc, limit_is_a_goal);
    tcase_add_test(tc, limit_is_no_wall);
    tcase_add_test(tc, disable_nests);
    tcase_add_test(tc, frozen);
    tcase_add_test(tc, disabled_and_out_of_memory);
    tcase_add_test(tc, oom_handler);
    tcase_add_test(tc, oom_handler_calls_back);
    tcase_add_test(tc, oom_default);
    tcase_add_test(tc, warn_handler);
    tcase_add_test(tc, release);
}
CHECK_MAIN("api/settings", tests)
