/* pageheap.c - spans out of free runs and back: split, coalescing, growth, sides, alignment, release and zeroing. */
#include "heap.h"

#include "base/check.h"
#include "heap/pagerun.h"

#include <string.h>

static void setup(void) { heap_start(); }

static const spanclass SCAN = SPANCLASS_LARGE, NOSCAN = SPANCLASS_LARGE_NOSCAN;

static struct mspan *aligned_pages(size_t npages, size_t align_pages, bool may_grow)
{
    struct pageheap_request rq = {.npages = npages, .align_pages = align_pages, .spc = SCAN, .may_grow = may_grow};
    return pageheap_alloc(&rq);
}

static size_t page_of(const struct mspan *s) { return arena_page(s->base); }
static size_t records(void) { return page_stats().span_records / sizeof(struct mspan); }

/* The free run that starts at page, of so many pages and that side. */
static void expect_free(size_t page, size_t npages, enum heap_side side)
{
    const struct mspan *s = arena.runs[page];
    ck_assert(s && mspan_state_of(s) == MSPAN_FREE);
    ck_assert_uint_eq(page_of(s), page);
    ck_assert_uint_eq(s->npages, npages);
    ck_assert_int_eq(s->side, (int)side);
    pageheap_check();
}

static bool reads_zero(const struct mspan *s, size_t n)
{
    const uint64_t *p = (const uint64_t *)s->base;
    for (size_t i = 0; i < n / sizeof *p; i++)
        if (p[i])
            return false;
    return true;
}

START_TEST(first_span)
{
    pageheap_check();
    struct mspan *s = pages(3, SCAN);
    ck_assert_uint_eq(s->base, arena.base);
    ck_assert_uint_eq(s->npages, 3);
    ck_assert_uint_eq(arena_used(), GRANULE);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(arena_span(s->base + i * HEAP_PAGE + 100), s);
    ck_assert_ptr_null(arena_span(mspan_limit(s)));
    ck_assert_uint_eq(page_stats().inuse, 3 * HEAP_PAGE);
    ck_assert_uint_eq(page_stats().mapped, GRANULE);
    expect_free(3, GRANULE_PAGES - 3, SIDE_SCAN);
    ck_assert_uint_eq(records(), 2);
}
END_TEST

/* .tiles, .counts: split in front, the rest goes on being free. */
START_TEST(split)
{
    size_t at = 0;
    for (size_t n = 1; at + n <= GRANULE_PAGES; at += n, n++) {
        struct mspan *s = pages(n, SCAN);
        ck_assert_uint_eq(page_of(s), at);
        pageheap_check();
    }
    ck_assert_uint_eq(arena_used(), GRANULE);
    ck_assert_uint_eq(page_stats().inuse, at * HEAP_PAGE);
    expect_free(at, GRANULE_PAGES - at, SIDE_SCAN);
}
END_TEST

/* In each order of three neighbours the granule becomes whole again, and its records go back. */
static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

START_TEST(coalesce)
{
    struct mspan *s[3] = {pages(10, SCAN), pages(20, SCAN), pages(GRANULE_PAGES - 30, SCAN)};
    ck_assert_uint_eq(records(), 3);
    for (int i = 0; i < 3; i++) {
        pageheap_free(s[orders[_i][i]]);
        pageheap_check();
    }
    expect_free(0, GRANULE_PAGES, SIDE_EMPTY);
    ck_assert_uint_eq(records(), 1);
    ck_assert_uint_eq(page_stats().inuse, 0);
    for (size_t page = 0; page < GRANULE_PAGES; page++)
        ck_assert_ptr_null(arena.spans[page]);
}
END_TEST

/* A free run of each length, each in a granule of its own that is in use but for it. */
static void make_runs(const size_t *lengths, size_t n, size_t *at)
{
    struct mspan *run[8];
    for (size_t i = 0; i < n; i++) {
        pages(1, SCAN);
        run[i] = pages(lengths[i], SCAN);
        pages(GRANULE_PAGES - 1 - lengths[i], SCAN);
        at[i] = page_of(run[i]);
    }
    for (size_t i = 0; i < n; i++)
        pageheap_free(run[i]);
    ck_assert_uint_eq(arena_used(), n * GRANULE);
    pageheap_check();
}

START_TEST(best_fit)
{
    static const size_t lengths[] = {50, 20, 40, 30};
    size_t at[4];
    make_runs(lengths, 4, at);
    ck_assert_uint_eq(page_of(pages(25, SCAN)), at[3]);
    ck_assert_uint_eq(page_of(pages(20, SCAN)), at[1]);
    ck_assert_uint_eq(page_of(pages(45, SCAN)), at[0]);
    ck_assert_uint_eq(page_of(pages(5, SCAN)), at[0] + 45); /* exact fits that the splits left */
    ck_assert_uint_eq(page_of(pages(5, SCAN)), at[3] + 25);
    ck_assert_uint_eq(arena_used(), 4 * GRANULE);
    pageheap_check();
}
END_TEST

/* Runs of 128 pages and more are in the treap: the shortest, of these the one at the lowest address. */
START_TEST(best_fit_at_the_lowest_address)
{
    static const size_t lengths[] = {200, 150, 150, 150};
    size_t at[4];
    make_runs(lengths, 4, at);
    ck_assert_uint_eq(page_of(pages(140, SCAN)), at[1]);
    ck_assert_uint_eq(page_of(pages(150, SCAN)), at[2]);
    ck_assert_uint_eq(page_of(pages(150, SCAN)), at[3]);
    ck_assert_uint_eq(page_of(pages(150, SCAN)), at[0]);
    pageheap_check();
}
END_TEST

START_TEST(growth)
{
    ck_assert_ptr_null(aligned_pages(1, 1, false));
    ck_assert_uint_eq(arena_used(), 0);
    pages(3000, SCAN);
    ck_assert_uint_eq(arena_used(), 12 * GRANULE);
    expect_free(3000, 12 * GRANULE_PAGES - 3000, SIDE_SCAN);
    ck_assert_ptr_null(aligned_pages(100, 1, false));
    ck_assert_uint_eq(arena_used(), 12 * GRANULE);
    struct mspan *s = pages(100, SCAN);
    ck_assert_uint_eq(page_of(s), 12 * GRANULE_PAGES);
    ck_assert_uint_eq(arena_used(), 13 * GRANULE);
    pageheap_check();
}
END_TEST

/* Whole free granules at the end of the heap are a part of what is asked for: only the rest is mapped. */
START_TEST(growth_from_a_free_end)
{
    pages(1, SCAN);
    struct mspan *s = pages(3 * GRANULE_PAGES, SCAN);
    pageheap_free(s);
    expect_free(GRANULE_PAGES, 3 * GRANULE_PAGES, SIDE_EMPTY);
    s = pages(5 * GRANULE_PAGES, SCAN);
    ck_assert_uint_eq(page_of(s), GRANULE_PAGES);
    ck_assert_uint_eq(arena_used(), 6 * GRANULE);
    pageheap_check();
}
END_TEST

START_TEST(too_large)
{
    ck_assert_ptr_null(pages(UINT32_MAX, SCAN));
    ck_assert_ptr_null(pages(SIZE_MAX - 1, SCAN));
    ck_assert_ptr_null(aligned_pages(1, (size_t)1 << 33, true));
    ck_assert_ptr_null(pages((arena.max >> PAGE_SHIFT) + 1, SCAN));
    ck_assert_uint_eq(arena_used(), 0);
    ck_assert_uint_eq(records(), 0);
    ck_assert_ptr_nonnull(pages(1, SCAN));
    pageheap_check();
}
END_TEST

/* .sides */
START_TEST(sides_part)
{
    struct mspan *a = pages(1, SCAN), *b = pages(1, NOSCAN), *c = pages(1, SCAN), *d = pages(1, NOSCAN);
    ck_assert_uint_eq(page_of(a) / GRANULE_PAGES, page_of(c) / GRANULE_PAGES);
    ck_assert_uint_eq(page_of(b) / GRANULE_PAGES, page_of(d) / GRANULE_PAGES);
    ck_assert_uint_ne(page_of(a) / GRANULE_PAGES, page_of(b) / GRANULE_PAGES);
    ck_assert_uint_eq(arena_used(), 2 * GRANULE);
    /* However much of the other side is free, it is not taken. */
    pageheap_free(d);
    ck_assert_ptr_null(aligned_pages(GRANULE_PAGES - 1, 1, false));
    pageheap_check();
}
END_TEST

START_TEST(empty_granule_changes_sides)
{
    for (int i = 0; i < 4; i++) {
        struct mspan *s = pages(GRANULE_PAGES / 2, i % 2 ? NOSCAN : SCAN);
        ck_assert_uint_eq(page_of(s), 0);
        ck_assert_uint_eq(arena_used(), GRANULE);
        pageheap_check();
        pageheap_free(s);
        expect_free(0, GRANULE_PAGES, SIDE_EMPTY);
    }
}
END_TEST

/* A granule inside a longer run changes sides too, its ends stay. */
START_TEST(granule_in_the_middle_changes_sides)
{
    struct mspan *a = pages(GRANULE_PAGES - 10, SCAN), *b = pages(GRANULE_PAGES + 20, SCAN);
    struct mspan *c = pages(GRANULE_PAGES - 10, SCAN);
    pageheap_free(b);
    (void)a;
    (void)c;
    size_t used = arena_used();
    struct mspan *n = pages(GRANULE_PAGES, NOSCAN);
    ck_assert_uint_eq(page_of(n) % GRANULE_PAGES, 0);
    ck_assert_uint_eq(arena_used(), used);
    pageheap_check();
}
END_TEST

START_TEST(alignment)
{
    for (size_t align = 1; align <= 1024; align *= 2) {
        for (size_t n = 1; n <= 300; n += 149) {
            pages(1, SCAN);
            struct mspan *s = aligned_pages(n, align, true);
            if (!s || s->base % (align * HEAP_PAGE) || s->npages != n)
                ck_abort_msg("%zu pages at multiples of %zu", n, align);
            pageheap_check();
        }
    }
}
END_TEST

/* What lies in front and behind goes back: nothing stays in use but what was asked for. */
START_TEST(alignment_leaves_nothing)
{
    pages(1, SCAN);
    struct mspan *s = aligned_pages(3, 64, true);
    ck_assert_uint_eq(page_of(s), 64);
    ck_assert_uint_eq(page_stats().inuse, 4 * HEAP_PAGE);
    expect_free(1, 63, SIDE_SCAN);
    expect_free(67, GRANULE_PAGES - 67, SIDE_SCAN);
    pageheap_free(s);
    expect_free(1, GRANULE_PAGES - 1, SIDE_SCAN);
}
END_TEST

START_TEST(large_counts)
{
    struct mspan *a = pages(100, SCAN), *b = pages(7, NOSCAN), *c = pages(1, spanclass_make(5, false));
    ck_assert_uint_eq(page_stats().large_mallocs, 2);
    ck_assert_uint_eq(page_stats().large_malloc_bytes, 107 * HEAP_PAGE);
    pageheap_free(b);
    pageheap_free(c);
    ck_assert_uint_eq(page_stats().large_frees, 1);
    ck_assert_uint_eq(page_stats().large_free_bytes, 7 * HEAP_PAGE);
    pageheap_free(a);
    ck_assert_uint_eq(page_stats().large_frees, 2);
    ck_assert_uint_eq(page_stats().inuse, 0);
}
END_TEST

/* .released: all free pages go to the system, once; a span takes its own back. */
START_TEST(release)
{
    struct mspan *keep = pages(10, SCAN), *s = pages(100, SCAN);
    memset((void *)s->base, 0xaa, mspan_bytes(s));
    pageheap_free(s);
    size_t free_bytes = (GRANULE_PAGES - 10) * HEAP_PAGE; /* what was never touched is as good as released */
    ck_assert_uint_eq(page_stats().released, free_bytes - 100 * HEAP_PAGE);
    ck_assert_uint_eq(release_all(), 100 * HEAP_PAGE);
    ck_assert_uint_eq(os_null.released, 100 * HEAP_PAGE);
    ck_assert_uint_eq(page_stats().released, free_bytes);
    ck_assert_uint_eq(bits_count_range(arena.dirty, 0, GRANULE_PAGES), 0);
    pageheap_check();
    ck_assert_uint_eq(release_all(), 0);
    ck_assert_uint_eq(os_null.released, 100 * HEAP_PAGE);

    s = pages(60, SCAN);
    ck_assert(reads_zero(s, mspan_bytes(s)));
    ck_assert_uint_eq(page_stats().released, free_bytes - 60 * HEAP_PAGE);
    pageheap_check();
    pageheap_free(s);
    ck_assert_uint_eq(page_stats().released, free_bytes - 60 * HEAP_PAGE);
    ck_assert_uint_eq(release_all(), 60 * HEAP_PAGE);
    pageheap_free(keep);
    ck_assert_uint_eq(release_all(), 10 * HEAP_PAGE);
    ck_assert_uint_eq(page_stats().released, GRANULE);
    pageheap_check();
}
END_TEST

START_TEST(release_refused)
{
    struct mspan *s = pages(10, SCAN);
    memset((void *)s->base, 0xaa, mspan_bytes(s));
    pageheap_free(s);
    os_fail(1, true);
    ck_assert_uint_eq(release_all(), 0);
    ck_assert_uint_eq(page_stats().released, (GRANULE_PAGES - 10) * HEAP_PAGE);
    ck_assert_uint_eq(pageheap_oldest_unused(), UINT64_MAX); /* not to be tried again and again */
    pageheap_check();
    os_fail(0, false);
    s = pages(10, SCAN);
    pageheap_zero(s, mspan_bytes(s));
    ck_assert(reads_zero(s, mspan_bytes(s)));
}
END_TEST

/* .zero: of ten pages that come back, some are dirty and some not. The clean ones are marked behind the heap's back, so
 * that it shows which were written. */
START_TEST(zero_writes_dirty_pages_only)
{
    struct mspan *s = pages(10, SCAN);
    ck_assert(reads_zero(s, mspan_bytes(s)));
    pageheap_free(s);
    ck_assert_uint_eq(bits_count_range(arena.dirty, 0, GRANULE_PAGES), 10);
    bits_clear_range(arena.dirty, 3, 5);
    bits_clear(arena.dirty, 9);
    s = pages(10, SCAN);
    ck_assert_uint_eq(page_of(s), 0);
    memset((void *)s->base, 0xaa, mspan_bytes(s));
    pageheap_zero(s, 8 * HEAP_PAGE - 1000);
    for (size_t page = 0; page < 10; page++) {
        const char *p = (const char *)arena_address(page);
        char want = (page < 3 || (page >= 5 && page < 8)) ? 0 : (char)0xaa;
        if (p[0] != want || p[HEAP_PAGE / 2] != want || p[HEAP_PAGE - 1] != want)
            ck_abort_msg("page %zu", page);
    }
}
END_TEST

START_TEST(fresh_pages_are_clean)
{
    struct mspan *s = pages(GRANULE_PAGES, SCAN);
    ck_assert_uint_eq(bits_count_range(arena.dirty, 0, GRANULE_PAGES), 0);
    *(char *)s->base = 1;
    pageheap_zero(s, mspan_bytes(s));
    ck_assert_int_eq(*(char *)s->base, 1);
}
END_TEST

/* A request needs three records at hand, whatever it uses of them. With fewer it is refused, and none is lost. */
START_TEST(few_records)
{
    struct mspan *spare[3] = {NULL}, *s;
    pages(1, SCAN);
    os_fail(1, true);
    while ((s = pagerun_record_new())) {
        memmove(spare + 1, spare, 2 * sizeof *spare);
        spare[0] = s;
    }
    for (int i = 0; i < _i; i++)
        pagerun_record_free(spare[i]);
    size_t before = records();
    s = aligned_pages(1, 1, false);
    ck_assert_int_eq(s != NULL, _i == 3);
    ck_assert_uint_eq(records(), before + (s ? 1 : 0));
    pageheap_check();
}
END_TEST

START_TEST(free_twice)
{
    struct mspan *s = pages(1, SCAN);
    pages(1, SCAN);
    pageheap_free(s);
    pageheap_free(s);
}
END_TEST

START_TEST(broken_tiles)
{
    struct mspan *s = pages(3, SCAN);
    s->npages = 2;
    pageheap_check();
}
END_TEST

START_TEST(broken_released)
{
    pages(3, SCAN);
    bits_set(arena.released, 1);
    pageheap_check();
}
END_TEST

START_TEST(broken_sides)
{
    pages(3, SCAN);
    pages(3, SCAN)->spanclass_ = NOSCAN;
    pageheap_check();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, first_span);
    tcase_add_test(tc, split);
    tcase_add_loop_test(tc, coalesce, 0, 6);
    tcase_add_test(tc, best_fit);
    tcase_add_test(tc, best_fit_at_the_lowest_address);
    tcase_add_test(tc, growth);
    tcase_add_test(tc, growth_from_a_free_end);
    tcase_add_test(tc, too_large);
    tcase_add_test(tc, sides_part);
    tcase_add_test(tc, empty_granule_changes_sides);
    tcase_add_test(tc, granule_in_the_middle_changes_sides);
    tcase_add_test(tc, alignment);
    tcase_add_test(tc, alignment_leaves_nothing);
    tcase_add_test(tc, large_counts);
    tcase_add_test(tc, release);
    tcase_add_test(tc, release_refused);
    tcase_add_test(tc, zero_writes_dirty_pages_only);
    tcase_add_test(tc, fresh_pages_are_clean);
    tcase_add_loop_test(tc, few_records, 0, 4);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, free_twice, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_tiles, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_released, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_sides, SIGABRT);
}
CHECK_MAIN("unit/pageheap", tests)
