/* heaplive.c - the bytes that count towards the next collection, through a heap's whole life. */
#include "heap.h"

#include "heap/pinned.h"

static bool chosen; /* to be sampled: none is */

static struct mcache c;

static void setup(void) { heap_start(); }

START_TEST(due)
{
    ck_assert_uint_eq(live_bytes(), 0);
    ck_assert(!heap_collection_due());
    atomic_store(&heap_trigger, 1000);
    heap_live_add(999);
    ck_assert(!heap_collection_due());
    heap_live_add(1);
    ck_assert(heap_collection_due());
    heap_live_sub(1);
    ck_assert(!heap_collection_due());
    atomic_store(&heap_trigger, 0);
    ck_assert(heap_collection_due());
}
END_TEST

/* While a cache holds a span all of it counts; when it leaves, what was handed out. */
START_TEST(span_in_a_cache)
{
    const spanclass spc = 2 << 1;
    ck_assert(mcache_refill(&c, spc));
    ck_assert_uint_eq(live_bytes(), 512 * 16);
    for (int i = 0; i < 100; i++) {
        if (!c.slots[spc].alloc_cache)
            ck_assert(mcache_refill(&c, spc));
        mcache_take(&c.slots[spc], 16);
        ck_assert_uint_eq(live_bytes(), 512 * 16);
    }
    mcache_flush(&c);
    ck_assert_uint_eq(live_bytes(), 100 * 16);
    ck_assert(mcache_refill(&c, spc));
    ck_assert_uint_eq(live_bytes(), 512 * 16);
    mcache_flush(&c);
    ck_assert_uint_eq(live_bytes(), 100 * 16);
}
END_TEST

static void add_allocated(struct mspan *s, void *bytes)
{
    if (mspan_state_of(s) == MSPAN_INUSE)
        *(uint64_t *)bytes += bits_count(s->alloc_bits, mspan_words(s)) * s->elemsize;
}

/* All spanclasses, pinned, large and freed ones: after the flush it is the sum over all spans, to the byte. */
START_TEST(sum_of_what_is_allocated)
{
    uint32_t x = 1;
    for (int step = 0; step < 20000; step++) {
        spanclass spc = (spanclass)(2 + next_random(&x) % (SPANCLASS_COUNT - 2));
        if (step % 100 == 0)
            ck_assert_ptr_nonnull(mcentral_alloc_large(5 + step % 7, 1, step % 3, step % 2));
        if (step % 9 == 0)
            ck_assert_ptr_nonnull(pinned_alloc(spc, 1, &chosen));
        if (!c.slots[spc].alloc_cache && !mcache_refill(&c, spc))
            ck_abort_msg("no memory");
        uintptr_t p = (uintptr_t)mcache_take(&c.slots[spc], 1);
        struct mspan *s = arena_span(p);
        if (step % 3 == 0 && mcache_free_local(&c, s, mspan_index(s, p)) != MCACHE_FREED)
            ck_abort_msg("step %d", step);
    }
    uint64_t sum = 0;
    mcache_flush(&c);
    pinned_flush();
    pageheap_each(add_allocated, &sum);
    ck_assert_uint_gt(sum, 0);
    ck_assert_uint_eq(live_bytes(), sum);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, due);
    tcase_add_test(tc, span_in_a_cache);
    tcase_add_test(tc, sum_of_what_is_allocated);
}
CHECK_MAIN("unit/heaplive", tests)
