/* buckets.c - the table of stacks: who is counted where, and as of when. */
#include "heap.h"

#include "watch/buckets.h"

#include <stdlib.h>

static const uintptr_t a[] = {1, 2, 3}, b[] = {1, 2, 4};

static struct mcache c;

static void setup(void) { heap_start(); }

/* A mark ends here. */
static void mark(void) { atomic_fetch_add(&heap_sweepgen, 2); }

static struct sample *alloc(const uintptr_t *stack) { return buckets_alloc(stack, 3, 48, 512); }

/* What is known of the stack, all zeros when nothing is. */
static struct bucket_counts known(const uintptr_t *stack)
{
    size_t n;
    struct bucket_counts found = {0};
    struct bucket_figures *f = buckets_read(&c, &n);
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < n; i++)
        if (f[i].bucket->depth == 3 && f[i].bucket->stack[2] == stack[2])
            found = f[i].counts;
    free(f);
    return found;
}

static void expect(const uintptr_t *stack, uint64_t allocs, uint64_t freed, uint64_t collected)
{
    struct bucket_counts k = known(stack);
    ck_assert_uint_eq(k.allocs, allocs);
    ck_assert_uint_eq(k.freed, freed);
    ck_assert_uint_eq(k.collected, collected);
}

START_TEST(all_is_known_before_the_first_mark)
{
    struct sample *s = alloc(a);
    alloc(a);
    alloc(b);
    buckets_end(s, SPECIAL_FREED);
    expect(a, 2, 1, 0);
    expect(b, 1, 0, 0);
}
END_TEST

START_TEST(as_of_the_last_mark)
{
    struct sample *s = alloc(a), *dead = alloc(a);
    mark();
    expect(a, 2, 0, 0);
    buckets_end(s, SPECIAL_FREED);
    alloc(a);
    expect(a, 2, 0, 0);
    buckets_end(dead, SPECIAL_SWEPT);
    expect(a, 2, 0, 1);
    mark();
    expect(a, 3, 1, 1);
    mark();
    mark();
    expect(a, 3, 1, 1);
}
END_TEST

/* Of a stack that nothing was allocated by since, and of one that is new. */
START_TEST(settled_when_looked_at)
{
    alloc(a);
    mark();
    mark();
    alloc(b);
    expect(a, 1, 0, 0);
    expect(b, 0, 0, 0);
    mark();
    expect(b, 1, 0, 0);
}
END_TEST

START_TEST(apart)
{
    struct bucket *first = alloc(a)->bucket;
    ck_assert_ptr_eq(alloc(a)->bucket, first);
    ck_assert_ptr_ne(alloc(b)->bucket, first);
    ck_assert_ptr_ne(buckets_alloc(a, 2, 48, 512)->bucket, first);
    ck_assert_ptr_ne(buckets_alloc(a, 3, 64, 512)->bucket, first);
    ck_assert_ptr_ne(buckets_alloc(a, 3, 48, 1)->bucket, first);
    ck_assert_ptr_ne(buckets_alloc(NULL, 0, 48, 512)->bucket, first);
}
END_TEST

START_TEST(gone_and_still_there)
{
    struct sample *s = alloc(a);
    mark();
    buckets_end(s, SPECIAL_SWEPT);
    mark();
    expect(a, 1, 0, 1);
}
END_TEST

START_TEST(taken_back)
{
    buckets_take_back(alloc(a));
    expect(a, 0, 0, 0);
}
END_TEST

/* More stacks than chains, and records that are used again. */
START_TEST(many)
{
    enum { STACKS = 40000 };
    size_t n;
    for (uintptr_t i = 0; i < STACKS; i++) {
        uintptr_t stack[3] = {i, i * 7, ~i};
        struct sample *s = alloc(stack);
        if (!s || s->bucket->stack[0] != i || s->bucket->known.allocs)
            ck_abort_msg("stack %lu", (unsigned long)i);
        buckets_end(s, SPECIAL_FREED);
    }
    struct bucket_figures *f = buckets_read(&c, &n);
    ck_assert_uint_eq(n, STACKS);
    ck_assert_uint_eq(f[0].bucket->stack[0], STACKS - 1);
    free(f);
    ck_assert_uint_lt(sysmem_bytes(SYS_BUCKHASH), STACKS * 200);
}
END_TEST

START_TEST(no_memory)
{
    struct sample *s = alloc(a);
    os_fail(1, true);
    for (uintptr_t i = 10; s && i < 100000; i++) {
        uintptr_t stack[3] = {i, i, i};
        s = alloc(stack);
    }
    ck_assert_ptr_null(s);
    os_fail(0, false);
    ck_assert_ptr_nonnull(alloc(b));
    expect(a, 1, 0, 0);
    expect(b, 1, 0, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, all_is_known_before_the_first_mark);
    tcase_add_test(tc, as_of_the_last_mark);
    tcase_add_test(tc, settled_when_looked_at);
    tcase_add_test(tc, apart);
    tcase_add_test(tc, gone_and_still_there);
    tcase_add_test(tc, taken_back);
    tcase_add_test(tc, many);
    tcase_add_test(tc, no_memory);
}
CHECK_MAIN("unit/buckets", tests)
