/* scavenge.c - which free pages go back: by age, by length, by the limit; and what becomes of huge pages. */
#include "heap.h"

#include "heap/hugepages.h"
#include "heap/pagerun.h"
#include "os/os.h"

static const spanclass SCAN = SPANCLASS_LARGE, NOSCAN = SPANCLASS_LARGE_NOSCAN;

/* Spans of so many pages, each followed by one that stays. */
static struct mspan *apart(size_t npages)
{
    struct mspan *s = pages(npages, SCAN);
    ck_assert_ptr_nonnull(s);
    ck_assert_ptr_nonnull(pages(1, SCAN));
    return s;
}

/* Free it as if it had been at that time. */
static struct mspan *freed_at(struct mspan *s, uint64_t ns)
{
    uintptr_t base = s->base;
    pageheap_free(s);
    s = arena.runs[arena_page(base)];
    s->unused_since = ns;
    return s;
}

static bool with_os(const struct mspan *s) { return s->released_pages == s->npages; }

START_TEST(by_age)
{
    heap_start();
    struct mspan *a = apart(20), *b = apart(20), *c = apart(20);
    ck_assert_uint_eq(pageheap_oldest_unused(), UINT64_MAX);
    a = freed_at(a, 3000);
    b = freed_at(b, 1000);
    c = freed_at(c, 2000);
    ck_assert_uint_eq(pageheap_oldest_unused(), 1000);
    ck_assert_uint_eq(pageheap_scavenge(999, MIB), 0);
    ck_assert_uint_eq(pageheap_scavenge(2000, MIB), 40 * HEAP_PAGE);
    ck_assert(!with_os(a) && with_os(b) && with_os(c));
    ck_assert_uint_eq(pageheap_oldest_unused(), 3000);
    ck_assert_uint_eq(pageheap_scavenge(2000, MIB), 0);
    ck_assert_uint_eq(pageheap_scavenge(UINT64_MAX, MIB), 20 * HEAP_PAGE);
    ck_assert_uint_eq(pageheap_oldest_unused(), UINT64_MAX);
    pageheap_check();
}
END_TEST

START_TEST(longest_first)
{
    heap_start();
    struct mspan *a = apart(5), *b = apart(140), *c = apart(30), *d = apart(150);
    a = freed_at(a, 1);
    b = freed_at(b, 1);
    c = freed_at(c, 1);
    d = freed_at(d, 1);
    ck_assert_uint_eq(pageheap_scavenge(1, HEAP_PAGE * 150), 150 * HEAP_PAGE);
    ck_assert(with_os(d) && !with_os(b));
    ck_assert_uint_eq(pageheap_scavenge(1, HEAP_PAGE * 170), 170 * HEAP_PAGE);
    ck_assert(with_os(b) && with_os(c) && !with_os(a));
    ck_assert_uint_eq(a->released_pages, 0);
    pageheap_check();
}
END_TEST

/* A page freed at its edge does not make a long run young, nor a long one a short one old. */
START_TEST(mean_of_ages)
{
    heap_start();
    struct mspan *a = pages(99, SCAN), *b = pages(1, SCAN);
    ck_assert_ptr_nonnull(pages(1, SCAN));
    ck_assert_uint_eq(b->base, a->base + 99 * HEAP_PAGE);
    uintptr_t base = a->base;
    freed_at(a, 1000000);
    uint64_t now = os_now_ns();
    pageheap_free(b);
    const struct mspan *s = arena.runs[arena_page(base)];
    ck_assert_uint_eq(s->npages, 100);
    ck_assert_uint_ge(s->unused_since, (now - 1000000) / 100);
    ck_assert_uint_le(s->unused_since, now / 50);
}
END_TEST

/* .released: what was released reads as zeros and is counted back when it is used. */
START_TEST(used_again)
{
    heap_start();
    struct mspan *a = apart(50);
    memset((void *)a->base, 0xff, mspan_bytes(a));
    freed_at(a, 1);
    uint64_t before = pageheap_footprint();
    ck_assert_uint_eq(pageheap_scavenge(1, MIB), 50 * HEAP_PAGE);
    ck_assert_uint_eq(pageheap_footprint(), before - 50 * HEAP_PAGE);
    a = pages(50, SCAN);
    ck_assert_uint_eq(pageheap_footprint(), before);
    for (size_t i = 0; i < mspan_bytes(a); i++)
        ck_assert_int_eq(((const char *)a->base)[i], 0);
    pageheap_check();
}
END_TEST

/* Above the limit, what is free pays for what is taken into use. */
START_TEST(limit)
{
    heap_start();
    struct mspan *a = apart(100);
    ck_assert_ptr_nonnull(apart(50));
    freed_at(a, 1);
    uint64_t held = pageheap_footprint();
    pageheap_set_limit(held + 10 * HEAP_PAGE);
    ck_assert_ptr_nonnull(pages(110, SCAN)); /* does not fit into the run */
    ck_assert(pageheap_over_limit());
    pageheap_release_over_limit();
    ck_assert(!pageheap_over_limit());
    ck_assert_uint_le(pageheap_footprint(), held + 10 * HEAP_PAGE);
    ck_assert_uint_ge(pageheap_footprint(), held + 9 * HEAP_PAGE);
    pageheap_set_limit(UINT64_MAX);
    pageheap_check();
}
END_TEST

/* What is live does not fit: nothing is left to release, and memory is given all the same. */
START_TEST(limit_too_low)
{
    heap_start();
    pageheap_set_limit(1);
    for (int i = 0; i < 50; i++)
        ck_assert_ptr_nonnull(pages(100, i % 2 ? SCAN : NOSCAN));
    pageheap_release_over_limit();
    ck_assert(pageheap_over_limit());
    pageheap_check();
}
END_TEST

/* Not for a small heap and not for large objects that are not scanned; not any more where a part is released, and again
 * when the granule was empty. */
START_TEST(huge_pages)
{
    heap_start();
    ck_assert_ptr_nonnull(pages(6 * GRANULE_PAGES, SCAN));
    ck_assert_uint_eq(os_null.huge, 0);
    ck_assert_ptr_nonnull(pages(GRANULE_PAGES, NOSCAN));
    ck_assert_uint_eq(os_null.huge, 0);
    struct mspan *a = pages(100, SCAN), *b = pages(GRANULE_PAGES - 100, SCAN);
    ck_assert_uint_eq(os_null.huge, GRANULE);
    freed_at(a, 1);
    ck_assert_uint_eq(pageheap_scavenge(1, MIB), 100 * HEAP_PAGE);
    ck_assert_uint_eq(os_null.not_huge, GRANULE);
    freed_at(b, 1);
    ck_assert_uint_eq(release_all(), (GRANULE_PAGES - 100) * HEAP_PAGE);
    ck_assert_uint_eq(os_null.not_huge, GRANULE);
    ck_assert_ptr_nonnull(pages(GRANULE_PAGES, SCAN));
    ck_assert_uint_eq(os_null.huge, 2 * GRANULE);
}
END_TEST

/* A whole granule goes back as the one huge page that it is. */
START_TEST(whole_huge_pages)
{
    heap_start();
    ck_assert_ptr_nonnull(pages(6 * GRANULE_PAGES, SCAN));
    struct mspan *a = pages(3 * GRANULE_PAGES, SCAN);
    ck_assert_uint_eq(os_null.huge, 3 * GRANULE);
    freed_at(a, 1);
    ck_assert_uint_eq(pageheap_scavenge(1, HEAP_PAGE), GRANULE);
    ck_assert_uint_eq(release_all(), 2 * GRANULE);
    ck_assert_uint_eq(os_null.not_huge, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, by_age);
    tcase_add_test(tc, longest_first);
    tcase_add_test(tc, mean_of_ages);
    tcase_add_test(tc, used_again);
    tcase_add_test(tc, limit);
    tcase_add_test(tc, limit_too_low);
    tcase_add_test(tc, huge_pages);
    tcase_add_test(tc, whole_huge_pages);
}
CHECK_MAIN("unit/scavenge", tests)
