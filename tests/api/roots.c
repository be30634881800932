/* roots.c - registered and excluded ranges, uncollectable memory: what lies there, and only while it does, holds.
 * Holds rootjobs.all, roots.order, pinned.apart. */
#include "helpers.h"

#include <sys/mman.h>

enum { N = 1000, SIZE = 64 };

/* Pointers to N objects, in memory that no scan looks at unless it was told. */
static NOINLINE void build(void **table)
{
    for (size_t i = 0; i < N; i++)
        table[i] = make_filled(SIZE, i);
}

static NOINLINE void check_table(void *const *table)
{
    for (size_t i = 0; i < N; i++)
        check_live(table[i], SIZE, i);
}

static NOINLINE void collect_and_churn(void)
{
    for (int i = 0; i < 2; i++) {
        settle();
        churn(SIZE, 3 * N);
    }
    settle();
}

/* How many of the table's objects are there after a collection. */
static NOINLINE size_t alive(void *const *table)
{
    size_t n = 0;
    settle();
    for (size_t i = 0; i < N; i++)
        n += gc_base(table[i]) != NULL;
    return n;
}

static void *map_table(int flags)
{
    void *p = mmap(NULL, N * sizeof(void *), PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

static void holds_while_added(void **table)
{
    build(table);
    ck_assert_int_eq(gc_add_roots(table, table + N), 0);
    collect_and_churn();
    check_table(table);
    ck_assert_int_eq(gc_remove_roots(table, table + N), 0);
    ck_assert_uint_le(alive(table), N / 20);
}

START_TEST(private_mapping) { holds_while_added(map_table(MAP_PRIVATE)); }
END_TEST
START_TEST(shared_mapping) { holds_while_added(map_table(MAP_SHARED)); }
END_TEST

START_TEST(malloc_memory)
{
    void **table = malloc(N * sizeof *table);
    holds_while_added(table);
    free(table);
}
END_TEST

/* Without being added it holds nothing: what the tests above rest on. */
START_TEST(not_added)
{
    void **table = map_table(MAP_PRIVATE);
    build(table);
    ck_assert_uint_le(alive(table), N / 20);
}
END_TEST

/* Each gc_add_roots is undone by one gc_remove_roots. */
START_TEST(added_twice)
{
    void **table = map_table(MAP_PRIVATE);
    build(table);
    ck_assert_int_eq(gc_add_roots(table, table + N), 0);
    ck_assert_int_eq(gc_add_roots(table, table + N), 0);
    ck_assert_int_eq(gc_remove_roots(table, table + N), 0);
    collect_and_churn();
    check_table(table);
    ck_assert_int_eq(gc_remove_roots(table, table + N), 0);
    ck_assert_uint_le(alive(table), N / 20);
}
END_TEST

START_TEST(nested_and_overlapping)
{
    void **table = map_table(MAP_PRIVATE);
    build(table);
    ck_assert_int_eq(gc_add_roots(table, table + 600), 0);
    ck_assert_int_eq(gc_add_roots(table + 400, table + N), 0);
    ck_assert_int_eq(gc_add_roots(table + 100, table + 200), 0);
    ck_assert_int_eq(gc_add_roots(table + 100, table + 900), 0);
    collect_and_churn();
    check_table(table);
    ck_assert_int_eq(gc_remove_roots(table, table + 600), 0);
    ck_assert_int_eq(gc_remove_roots(table + 400, table + N), 0);
    ck_assert_int_eq(gc_remove_roots(table + 100, table + 900), 0);
    settle();
    size_t inside = 0, outside = 0;
    for (size_t i = 0; i < N; i++)
        *(i >= 100 && i < 200 ? &inside : &outside) += gc_base(table[i]) != NULL;
    ck_assert_uint_eq(inside, 100);
    ck_assert_uint_le(outside, N / 20);
}
END_TEST

/* Ends that are not at words: whole aligned words are scanned, and nothing outside is touched. */
START_TEST(unaligned_ends)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mprotect(map + page, page, PROT_READ | PROT_WRITE), 0);
    void **table = (void **)(map + page);
    size_t words = page / sizeof *table;
    for (size_t i = 0; i < words; i++)
        table[i] = make_filled(SIZE, i);
    ck_assert_int_eq(gc_add_roots(map + page + 1, map + 2 * page - 1), 0);
    collect_and_churn();
    for (size_t i = 1; i < words - 1; i++)
        check_live(table[i], SIZE, i);
    ck_assert_int_eq(gc_remove_roots(map + page + 1, map + 2 * page - 1), 0);
}
END_TEST

START_TEST(many_ranges)
{
    void **table = map_table(MAP_PRIVATE);
    build(table);
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(gc_add_roots(table + i, table + i + 1), 0);
    collect_and_churn();
    check_table(table);
    for (size_t i = 0; i < N; i += 2)
        ck_assert_int_eq(gc_remove_roots(table + i, table + i + 1), 0);
    size_t n = alive(table);
    ck_assert_uint_ge(n, N / 2);
    ck_assert_uint_le(n, N / 2 + N / 20);
    for (size_t i = 1; i < N; i += 2)
        check_live(table[i], SIZE, i);
}
END_TEST

static void is_einval(int result)
{
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
}

START_TEST(wrong_ranges)
{
    char *p = map_table(MAP_PRIVATE);
    errno = 0;
    is_einval(gc_add_roots(p + 8, p));
    is_einval(gc_exclude_roots(p + 8, p));
    is_einval(gc_remove_roots(p, p + 8));
    ck_assert_int_eq(gc_add_roots(p, p + 64), 0);
    is_einval(gc_remove_roots(p, p + 56));
    is_einval(gc_remove_roots(p + 8, p + 64));
    is_einval(gc_remove_roots(p + 64, p));
    ck_assert_int_eq(gc_remove_roots(p, p + 64), 0);
    is_einval(gc_remove_roots(p, p + 64));
    /* An excluded range is not one that was added. */
    ck_assert_int_eq(gc_exclude_roots(p, p + 64), 0);
    is_einval(gc_remove_roots(p, p + 64));
    /* Empty ranges are ranges. */
    ck_assert_int_eq(gc_add_roots(p, p), 0);
    gc_collect();
    ck_assert_int_eq(gc_remove_roots(p, p), 0);
    is_einval(gc_remove_roots(p, p));
    ck_assert_int_eq(errno, 0);
}
END_TEST

/* ---- excluded ---- */

static void *in_bss[N];
static void *in_data[N] = {(void *)1};

static void excluded_holds_nothing(void **table)
{
    build(table);
    ck_assert_uint_eq(alive(table), N);
    ck_assert_int_eq(gc_exclude_roots(table, table + N), 0);
    ck_assert_uint_le(alive(table), N / 20);
}

START_TEST(exclude_bss) { excluded_holds_nothing(in_bss); }
END_TEST
START_TEST(exclude_data) { excluded_holds_nothing(in_data); }
END_TEST

/* Only what was named: its neighbours hold. In any order, overlapping. */
START_TEST(exclude_parts)
{
    build(in_bss);
    ck_assert_int_eq(gc_exclude_roots(in_bss + 700, in_bss + 800), 0);
    ck_assert_int_eq(gc_exclude_roots(in_bss + 100, in_bss + 300), 0);
    ck_assert_int_eq(gc_exclude_roots(in_bss + 150, in_bss + 160), 0);
    ck_assert_int_eq(gc_exclude_roots(in_bss + 250, in_bss + 350), 0);
    collect_and_churn();
    for (size_t i = 0; i < N; i++)
        if (i < 100 || (i >= 350 && i < 700) || i >= 800)
            check_live(in_bss[i], SIZE, i);
    struct gc_memstats st;
    settle();
    ck_assert_uint_lt(read_stats(&st)->heap_objects, N - 350 + 50);
}
END_TEST

START_TEST(added_beats_excluded)
{
    ck_assert_int_eq(gc_exclude_roots(in_bss, in_bss + N), 0);
    ck_assert_int_eq(gc_add_roots(in_bss, in_bss + N), 0);
    build(in_bss);
    collect_and_churn();
    check_table(in_bss);
}
END_TEST

/* ---- uncollectable ---- */

static uintptr_t hidden[N];

static NOINLINE void build_uncollectable(bool noscan, size_t size)
{
    for (size_t i = 0; i < N; i++) {
        void *p = noscan ? gc_malloc_uncollectable_noscan(size) : gc_malloc_uncollectable(size);
        check_zero(p, size);
        fill(p, size, i);
        hidden[i] = hide(p);
    }
}

static void stay_until_freed(bool noscan, size_t size)
{
    settle();
    uint64_t before = heap_objects();
    build_uncollectable(noscan, size);
    ck_assert_uint_eq(heap_objects() - before, N);
    gc_clear_stack(64 * 1024);
    gc_collect_without_stacks();
    churn(size, 2 * N);
    gc_collect_without_stacks();
    ck_assert_uint_ge(heap_objects() - before, N);
    for (size_t i = 0; i < N; i++) {
        void *p = reveal(hidden[i]);
        check_live(p, size, i);
        ck_assert_int_eq(gc_is_noscan(p), noscan);
        gc_free(p);
    }
    settle();
    ck_assert_uint_le(heap_objects(), before + 5);
}

START_TEST(uncollectable)
{
    stay_until_freed(false, 1);
    stay_until_freed(false, SIZE);
    stay_until_freed(false, 1024);
    stay_until_freed(false, 40000);
}
END_TEST

START_TEST(uncollectable_noscan)
{
    stay_until_freed(true, 1);
    stay_until_freed(true, SIZE);
    stay_until_freed(true, 1024);
    stay_until_freed(true, 40000);
}
END_TEST

static NOINLINE void hide_table(void **table)
{
    build(table);
    hidden[0] = hide(table);
}

/* The scanned kind holds others until it is freed. */
static void uncollectable_table(size_t bytes)
{
    hide_table(gc_malloc_uncollectable(bytes));
    for (int i = 0; i < 2; i++) {
        gc_clear_stack(64 * 1024);
        gc_collect_without_stacks();
        churn(SIZE, 3 * N);
    }
    void **table = reveal(hidden[0]);
    check_table(table);
    void **copy = map_table(MAP_PRIVATE);
    memcpy(copy, table, N * sizeof *copy);
    gc_free(table);
    ck_assert_uint_le(alive(copy), N / 20);
}

START_TEST(uncollectable_holds_others)
{
    uncollectable_table(N * sizeof(void *));
    uncollectable_table(100000);
}
END_TEST

START_TEST(uncollectable_noscan_holds_nothing)
{
    hide_table(gc_malloc_uncollectable_noscan(N * sizeof(void *)));
    ck_assert_uint_le(alive(reveal(hidden[0])), N / 20);
    hide_table(gc_malloc_uncollectable_noscan(100000));
    ck_assert_uint_le(alive(reveal(hidden[0])), N / 20);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, private_mapping);
    tcase_add_test(tc, shared_mapping);
    tcase_add_test(tc, malloc_memory);
    tcase_add_test(tc, not_added);
    tcase_add_test(tc, added_twice);
    tcase_add_test(tc, nested_and_overlapping);
    tcase_add_test(tc, unaligned_ends);
    tcase_add_test(tc, many_ranges);
    tcase_add_test(tc, wrong_ranges);
    tcase_add_test(tc, exclude_bss);
    tcase_add_test(tc, exclude_data);
    tcase_add_test(tc, exclude_parts);
    tcase_add_test(tc, added_beats_excluded);
    tcase_add_test(tc, uncollectable);
    tcase_add_test(tc, uncollectable_noscan);
    tcase_add_test(tc, uncollectable_holds_others);
    tcase_add_test(tc, uncollectable_noscan_holds_nothing);
}
CHECK_MAIN("api/roots", tests)
