/* realloc.c - gc_realloc and gc_reallocarray. Holds realloc.kind: contents kept, the kind kept, the tail zero. */
#include "helpers.h"

static const size_t sizes[] = {1,   8,    15,   16,   17,   24,    32,    33,    64,    100,    128,    129,
                               500, 1024, 1025, 4096, 8192, 20000, 32768, 32769, 65536, 100000, 300000, 1 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static NOINLINE void *make(size_t size, int noscan, size_t i)
{
    void *p = noscan ? gc_malloc_noscan(size) : gc_malloc(size);
    fill(p, size, i);
    return p;
}

/* From every size to every size. */
static void each_pair(int noscan)
{
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t k = 0; k < SIZES; k++) {
            void *p = make(sizes[i], noscan, i);
            size_t old = gc_usable_size(p);
            void *q = gc_realloc(p, sizes[k]);
            if (!q || gc_is_noscan(q) != noscan)
                ck_abort_msg("%zu to %zu: %p, noscan %d", sizes[i], sizes[k], q, gc_is_noscan(q));
            if (gc_usable_size(q) < sizes[k] && !(noscan && sizes[k] < 16))
                ck_abort_msg("%zu to %zu: usable %zu", sizes[i], sizes[k], gc_usable_size(q));
            check_filled(q, least(sizes[i], sizes[k]), i);
            if (!noscan && sizes[k] > old)
                check_zero((char *)q + old, gc_usable_size(q) - old);
            memset(q, 0xff, sizes[k]);
            gc_free(q);
        }
    }
}

START_TEST(scanned) { each_pair(0); }
END_TEST
START_TEST(never_scanned) { each_pair(1); }
END_TEST

/* Bytes asked for and not yet written are zero as the object grows a little at a time, in place or not. */
START_TEST(grown_tail_is_zero)
{
    for (size_t step = 1; step <= 4096; step *= 8) {
        unsigned char *p = gc_malloc(step);
        for (size_t n = step; n < 600 * step && n < 500000; n += step) {
            p[n - 1] = 0xff;
            p = gc_realloc(p, n + step);
            check_zero(p + n, gc_usable_size(p) - n);
        }
    }
}
END_TEST

/* Made smaller and larger again, in place: what was cut off is gone. */
START_TEST(cut_off_is_gone)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = make(sizes[i], 0, i);
        size_t usable = gc_usable_size(p);
        memset(p, 0xff, usable);
        for (size_t cut = usable; cut > usable / 2; cut -= 1 + cut / 7) {
            p = gc_realloc(gc_realloc(p, cut), usable);
            check_zero((char *)p + cut, usable - cut);
        }
    }
}
END_TEST

START_TEST(null_is_malloc)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = gc_realloc(NULL, sizes[i]);
        ck_assert_int_eq(gc_is_noscan(p), 0);
        check_zero(p, gc_usable_size(p));
        fill(p, sizes[i], i);
    }
}
END_TEST

START_TEST(zero_frees)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = gc_malloc(sizes[i]);
        uint64_t before = heap_objects();
        ck_assert_ptr_eq(launder(gc_realloc(p, 0)), launder(gc_malloc(0)));
        ck_assert_uint_eq(heap_objects(), before - 1);
        ck_assert_ptr_null(gc_base(p));
    }
}
END_TEST

/* A move frees the old object, at once. */
START_TEST(moved_is_freed)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = gc_malloc(sizes[i]);
        uint64_t before = heap_objects();
        void *q = gc_realloc(p, gc_usable_size(p) + 1);
        ck_assert_ptr_ne(p, q);
        ck_assert_uint_eq(heap_objects(), before);
        ck_assert_ptr_null(gc_base(p));
        ck_assert_ptr_eq(gc_base(q), q);
    }
}
END_TEST

START_TEST(same_size_stays)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = gc_malloc(sizes[i]);
        ck_assert_ptr_eq(gc_realloc(p, gc_usable_size(p)), p);
    }
}
END_TEST

/* A great shrink gives memory back: not a large object for a few bytes. */
START_TEST(shrunk_is_small)
{
    for (size_t i = 0; i < SIZES; i++) {
        if (sizes[i] < 1000)
            continue;
        void *p = make(sizes[i], 0, i), *q = gc_realloc(p, 32);
        ck_assert_uint_le(gc_usable_size(q), 64);
        check_filled(q, 32, i);
    }
}
END_TEST

/* A move keeps the kind: what a scanned object points to stays, what a noscan one "points" to goes. */
static NOINLINE void **grown_table(int noscan, size_t n)
{
    void **table = NULL;
    if (noscan)
        table = gc_malloc_noscan(sizeof *table);
    for (size_t i = 0; i < n; i++) {
        table = gc_realloc(table, (i + 1) * sizeof *table);
        table[i] = make_filled(48, i);
    }
    return table;
}

START_TEST(moved_table_holds)
{
    enum { TABLE = 20000 };
    void **table = grown_table(0, TABLE);
    settle();
    churn(48, TABLE);
    for (size_t i = 0; i < TABLE; i++)
        check_filled(table[i], 48, i);
}
END_TEST

START_TEST(moved_noscan_holds_nothing)
{
    enum { TABLE = 20000 };
    gc_disable();
    uint64_t before = heap_objects();
    void **table = grown_table(1, TABLE);
    ck_assert_uint_ge(heap_objects(), before + TABLE);
    settle();
    ck_assert_uint_le(heap_objects(), before + TABLE / 20);
    ck_assert_int_eq(gc_is_noscan(table), 1);
}
END_TEST

START_TEST(uncollectable_stays_so)
{
    static uintptr_t hidden;
    void **p = gc_malloc_uncollectable(64);
    *p = make_filled(48, 5);
    p = gc_realloc(p, 5000);
    p = gc_realloc(p, 100000);
    p = gc_realloc(p, 200);
    check_filled(*p, 48, 5);
    hidden = hide(p);
    p = NULL;
    settle();
    churn(200, 2000);
    churn(48, 2000);
    p = reveal(hidden);
    ck_assert_ptr_eq(gc_base(p), p);
    check_filled(*p, 48, 5);
    gc_free(p);
}
END_TEST

START_TEST(arrays)
{
    int *p = NULL;
    for (int n = 1; n < 5000; n += 7) {
        int had = p ? n - 7 : 0;
        p = gc_reallocarray(p, (size_t)n, sizeof *p);
        for (int i = had; i < n; i++)
            p[i] = -i;
        for (int i = 0; i < n; i++)
            if (p[i] != -i)
                ck_abort_msg("%d ints: [%d] is %d", n, i, p[i]);
    }
}
END_TEST

/* Failure leaves the old object as it is. */
static void *no_memory(size_t bytes)
{
    (void)bytes;
    return NULL;
}

START_TEST(failure_keeps_the_old)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p = make(sizes[i], 0, i);
        uint64_t before = heap_objects();
        gc_set_oom_handler(no_memory);
        gc_set_frozen(1);
        errno = 0;
        ck_assert_ptr_null(gc_realloc(p, (size_t)1 << 28));
        ck_assert_int_eq(errno, ENOMEM);
        gc_set_frozen(0);
        ck_assert_ptr_eq(gc_base(p), p);
        check_filled(p, sizes[i], i);
        ck_assert_uint_le(heap_objects(), before);
    }
}
END_TEST

/* What the handler returns is an object that realloc copies into. */
static char spare[1 << 16];

static void *give_spare(size_t bytes)
{
    ck_assert_uint_le(bytes, sizeof spare);
    return spare;
}

/* The frozen heap is used up first by memory that stays. */
START_TEST(handler_gives_memory)
{
    void *p = make(100, 0, 4);
    gc_set_frozen(1);
    gc_set_oom_handler(give_spare);
    for (void *q = NULL; q != spare;)
        q = launder(gc_malloc_uncollectable(sizeof spare));
    void *q = gc_realloc(p, sizeof spare);
    ck_assert_ptr_eq(q, spare);
    check_filled(q, 100, 4);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, scanned);
    tcase_add_test(tc, never_scanned);
    tcase_add_test(tc, grown_tail_is_zero);
    tcase_add_test(tc, cut_off_is_gone);
    tcase_add_test(tc, null_is_malloc);
    tcase_add_test(tc, zero_frees);
    tcase_add_test(tc, moved_is_freed);
    tcase_add_test(tc, same_size_stays);
    tcase_add_test(tc, shrunk_is_small);
    tcase_add_test(tc, moved_table_holds);
    tcase_add_test(tc, moved_noscan_holds_nothing);
    tcase_add_test(tc, uncollectable_stays_so);
    tcase_add_test(tc, arrays);
    tcase_add_test(tc, failure_keeps_the_old);
    tcase_add_test(tc, handler_gives_memory);
}
CHECK_MAIN("api/realloc", tests)
