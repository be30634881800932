/* pagerun.c - the pools of free runs, on pages that no page heap knows: coalescing, best fit, whole granules. */
#include "heap.h"

#include "heap/pagerun.h"

/* Pages of the first GRANULES granules are described here; pages that no run has are somebody's. */
enum { GRANULES = 16 };

static void setup(void)
{
    heap_start();
    ck_assert_uint_ne(arena_grow(GRANULES * GRANULE), 0);
}

static size_t records(void) { return pagerun_record_bytes() / sizeof(struct mspan); }

static struct mspan *give(size_t page, size_t npages, enum heap_side side, uint64_t since)
{
    struct mspan *s = pagerun_record_new();
    ck_assert_ptr_nonnull(s);
    pagerun_describe(s, page, npages, side, since);
    pagerun_insert(s);
    return s;
}

/* The free run that page is the first or the last of. */
static struct mspan *run_at(size_t page)
{
    struct mspan *s = arena.runs[page];
    ck_assert(!arena.spans[page] && s && mspan_state_of(s) == MSPAN_FREE);
    return s;
}

static void expect_run(size_t page, size_t npages, enum heap_side side)
{
    struct mspan *s = run_at(page);
    ck_assert_uint_eq(arena_page(s->base), page);
    ck_assert_uint_eq(s->npages, npages);
    ck_assert_int_eq(s->side, (int)side);
    ck_assert_ptr_eq(run_at(page + npages - 1), s);
}

START_TEST(record)
{
    struct mspan *s = pagerun_record_new();
    ck_assert_uint_eq(records(), 1);
    ck_assert_uint_eq((uintptr_t)s % 64, 0);
    ck_assert_int_eq(mspan_state_of(s), MSPAN_DEAD);
    pagerun_record_free(s);
    ck_assert_uint_eq(records(), 0);
    ck_assert_ptr_eq(pagerun_record_new(), s);
    os_fail(1, true);
    while (pagerun_record_new())
        ;
    os_fail(0, false);
    ck_assert_ptr_nonnull(pagerun_record_new());
}
END_TEST

START_TEST(no_neighbour)
{
    give(10, 5, SIDE_SCAN, 1);
    give(16, 5, SIDE_SCAN, 1);
    ck_assert_uint_eq(pagerun_check(), 10);
    ck_assert_uint_eq(records(), 2);
    expect_run(10, 5, SIDE_SCAN);
    expect_run(16, 5, SIDE_SCAN);
}
END_TEST

/* .merged and .ends */
START_TEST(left_neighbour)
{
    give(10, 5, SIDE_SCAN, 1);
    give(15, 7, SIDE_SCAN, 1);
    expect_run(10, 12, SIDE_SCAN);
    ck_assert_uint_eq(pagerun_check(), 12);
    ck_assert_uint_eq(records(), 1);
}
END_TEST

START_TEST(right_neighbour)
{
    give(15, 7, SIDE_SCAN, 1);
    give(10, 5, SIDE_SCAN, 1);
    expect_run(10, 12, SIDE_SCAN);
    ck_assert_uint_eq(pagerun_check(), 12);
    ck_assert_uint_eq(records(), 1);
}
END_TEST

/* From lists and from the treap into the treap; the age is the mean by pages, and the pages released are those of all. */
START_TEST(both_neighbours)
{
    bits_set_range(arena.released, 12, 20);
    bits_set_range(arena.released, 150, 152);
    give(10, 40, SIDE_NOSCAN, 9000);
    give(51, 149, SIDE_NOSCAN, 7000);
    give(50, 1, SIDE_NOSCAN, 8000);
    expect_run(10, 190, SIDE_NOSCAN);
    ck_assert_uint_eq(run_at(10)->released_pages, 10);
    ck_assert_uint_eq(run_at(10)->unused_since / 10, (40 * 9000 + 8000 + 149 * 7000) / 190 / 10);
    ck_assert_uint_eq(pagerun_check(), 190);
    ck_assert_uint_eq(records(), 1);
}
END_TEST

START_TEST(other_side)
{
    give(10, 5, SIDE_SCAN, 1);
    give(15, 5, SIDE_NOSCAN, 1);
    expect_run(10, 5, SIDE_SCAN);
    expect_run(15, 5, SIDE_NOSCAN);
    ck_assert_uint_eq(pagerun_check(), 10);
}
END_TEST

START_TEST(ends_of_the_arena)
{
    size_t end = GRANULES * GRANULE_PAGES;
    give(0, 3, SIDE_SCAN, 1);
    give(end - 3, 3, SIDE_SCAN, 1);
    expect_run(0, 3, SIDE_SCAN);
    expect_run(end - 3, 3, SIDE_SCAN);
    ck_assert_uint_eq(pagerun_check(), 6);
}
END_TEST

/* .granule: 30 pages before a granule, two granules, 40 after: the granules may serve either side. */
START_TEST(whole_granules)
{
    size_t lo = GRANULE_PAGES - 30, all = 30 + 2 * GRANULE_PAGES + 40;
    give(lo, all, SIDE_SCAN, 5);
    expect_run(lo, 30, SIDE_SCAN);
    expect_run(GRANULE_PAGES, 2 * GRANULE_PAGES, SIDE_EMPTY);
    expect_run(3 * GRANULE_PAGES, 40, SIDE_SCAN);
    ck_assert_uint_eq(run_at(GRANULE_PAGES)->unused_since, 5);
    ck_assert_uint_eq(pagerun_check(), all);
    ck_assert_uint_eq(records(), 3);
}
END_TEST

START_TEST(exactly_a_granule)
{
    give(GRANULE_PAGES, 100, SIDE_NOSCAN, 1);
    give(GRANULE_PAGES + 100, GRANULE_PAGES - 100, SIDE_NOSCAN, 1);
    expect_run(GRANULE_PAGES, GRANULE_PAGES, SIDE_EMPTY);
    give(0, GRANULE_PAGES, SIDE_EMPTY, 1);
    expect_run(0, 2 * GRANULE_PAGES, SIDE_EMPTY);
    ck_assert_uint_eq(pagerun_check(), 2 * GRANULE_PAGES);
    ck_assert_uint_eq(records(), 1);
}
END_TEST

/* Without records for the pieces a run keeps its granules: nothing is lost, and it is found by its side. */
START_TEST(granule_without_records)
{
    struct mspan *s = pagerun_record_new();
    os_fail(1, true);
    struct mspan *last = NULL;
    for (struct mspan *r; (r = pagerun_record_new());)
        last = r;
    pagerun_record_free(last); /* one, where two are needed */
    size_t before = records();
    pagerun_describe(s, GRANULE_PAGES - 1, GRANULE_PAGES + 2, SIDE_SCAN, 1);
    pagerun_insert(s);
    expect_run(GRANULE_PAGES - 1, GRANULE_PAGES + 2, SIDE_SCAN);
    ck_assert_uint_eq(pagerun_check(), GRANULE_PAGES + 2);
    ck_assert_uint_eq(records(), before);
    ck_assert_ptr_eq(pagerun_find(SIDE_SCAN, GRANULE_PAGES), s);
}
END_TEST

/* Runs of 1, 2, ... pages with a page between them: for each request the run of just that length. */
START_TEST(best_fit)
{
    enum { LONGEST = 70 };
    for (size_t n = 1, page = 0; n <= LONGEST; page += n + 1, n++) {
        if (page / GRANULE_PAGES != (page + n) / GRANULE_PAGES)
            page = round_up(page, GRANULE_PAGES);
        give(page, n, SIDE_SCAN, 1);
    }
    ck_assert_ptr_null(pagerun_find(SIDE_NOSCAN, 1));
    ck_assert_ptr_null(pagerun_find(SIDE_EMPTY, 1));
    for (size_t n = 1; n <= LONGEST; n++)
        ck_assert_uint_eq(pagerun_find(SIDE_SCAN, n)->npages, n);
    struct mspan *s = pagerun_find(SIDE_SCAN, 33);
    pagerun_remove(s);
    ck_assert_uint_eq(pagerun_find(SIDE_SCAN, 33)->npages, 34);
}
END_TEST

/* From LIST_PAGES up the treap decides: the shortest, of these the lowest. */
START_TEST(best_fit_at_the_lowest_address)
{
    give(4 * GRANULE_PAGES + 1, 150, SIDE_SCAN, 1);
    give(2 * GRANULE_PAGES + 1, 150, SIDE_SCAN, 1);
    give(1, 200, SIDE_SCAN, 1);
    give(6 * GRANULE_PAGES + 1, LIST_PAGES, SIDE_SCAN, 1);
    give(8 * GRANULE_PAGES + 1, LIST_PAGES - 1, SIDE_SCAN, 1);
    ck_assert_ptr_eq(pagerun_find(SIDE_SCAN, 1), run_at(8 * GRANULE_PAGES + 1));
    ck_assert_ptr_eq(pagerun_find(SIDE_SCAN, LIST_PAGES), run_at(6 * GRANULE_PAGES + 1));
    ck_assert_ptr_eq(pagerun_find(SIDE_SCAN, LIST_PAGES + 1), run_at(2 * GRANULE_PAGES + 1));
    ck_assert_ptr_eq(pagerun_find(SIDE_SCAN, 151), run_at(1));
    ck_assert_ptr_null(pagerun_find(SIDE_SCAN, 201));
    pagerun_check();
}
END_TEST

/* Several runs of one length: out of the list's front, middle and end. */
START_TEST(remove_from_a_list)
{
    struct mspan *s[4];
    for (size_t i = 0; i < 4; i++)
        s[i] = give(10 * i + 1, 6, SIDE_SCAN, 1);
    static const int order[] = {1, 3, 0, 2};
    for (size_t i = 0; i < 4; i++) {
        pagerun_remove(s[order[i]]);
        ck_assert_uint_eq(pagerun_check(), 6 * (3 - i));
    }
    ck_assert_ptr_null(pagerun_find(SIDE_SCAN, 1));
}
END_TEST

/* Free in random order all pages of a range that was handed out in random pieces: one run of whole granules is left. */
START_TEST(everything_coalesces)
{
    enum { PAGES = 8 * GRANULE_PAGES };
    static struct {
        size_t page, n;
    } piece[PAGES];
    size_t n = 0, freed = 0;
    uint32_t x = 2463534242u;
    for (size_t page = 0; page < PAGES; n++) {
        size_t len = 1 + next_random(&x) % 60;
        piece[n].page = page;
        piece[n].n = len < PAGES - page ? len : PAGES - page;
        page += piece[n].n;
    }
    while (n > 0) {
        size_t i = next_random(&x) % n;
        give(piece[i].page, piece[i].n, SIDE_NOSCAN, 1);
        freed += piece[i].n;
        piece[i] = piece[--n];
        ck_assert_uint_eq(pagerun_check(), freed);
    }
    expect_run(0, PAGES, SIDE_EMPTY);
    ck_assert_uint_eq(records(), 1);
}
END_TEST

START_TEST(broken_end)
{
    give(10, 5, SIDE_SCAN, 1);
    arena.runs[14] = NULL;
    pagerun_check();
}
END_TEST

START_TEST(broken_merge)
{
    give(10, 5, SIDE_SCAN, 1);
    give(15, 5, SIDE_NOSCAN, 1)->side = SIDE_SCAN;
    pagerun_check();
}
END_TEST

START_TEST(broken_granule)
{
    give(10, 5, SIDE_EMPTY, 1);
    pagerun_check();
}
END_TEST

START_TEST(broken_released)
{
    give(10, 5, SIDE_SCAN, 1);
    bits_set(arena.released, 12);
    pagerun_check();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, record);
    tcase_add_test(tc, no_neighbour);
    tcase_add_test(tc, left_neighbour);
    tcase_add_test(tc, right_neighbour);
    tcase_add_test(tc, both_neighbours);
    tcase_add_test(tc, other_side);
    tcase_add_test(tc, ends_of_the_arena);
    tcase_add_test(tc, whole_granules);
    tcase_add_test(tc, exactly_a_granule);
    tcase_add_test(tc, granule_without_records);
    tcase_add_test(tc, best_fit);
    tcase_add_test(tc, best_fit_at_the_lowest_address);
    tcase_add_test(tc, remove_from_a_list);
    tcase_add_test(tc, everything_coalesces);
    tcase_add_test_raise_signal(tc, broken_end, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_merge, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_granule, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_released, SIGABRT);
}
CHECK_MAIN("unit/pagerun", tests)
