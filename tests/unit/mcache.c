/* mcache.c - a cache of its own for each test: the fast path, groups of 64, refilling, giving back, freeing. */
#include "heap.h"

#include "base/check.h"

#include <string.h>

static struct mcache c;

static void setup(void) { heap_start(); }

static const spanclass SMALL = 4 << 1, BYTES8 = 1 << 1; /* 170 objects of 48 bytes, 1024 of 8 */
enum { SLOTS = 170, SIZE = 48 };

static char *take(spanclass spc)
{
    struct mcache_slot *sl = &c.slots[spc];
    if (!sl->alloc_cache && !mcache_refill(&c, spc))
        return NULL;
    return mcache_take(sl, 1);
}

static struct mspan *span_at(const void *p) { return arena_span((uintptr_t)p); }
static size_t index_of(const void *p) { return mspan_index(span_at(p), (uintptr_t)p); }

/* gc_free by the owner, as far as the cache is concerned. */
static enum mcache_free free_own(const void *p)
{
    struct mspan *s = span_at(p);
    enum mcache_free done = mcache_free_local(&c, s, index_of(p));
    if (done == MCACHE_FREED)
        mcache_count_free(&c, s->spanclass_);
    return done;
}

/* gc_free by another thread. */
static enum mspan_freed free_foreign(const void *p)
{
    struct mspan *s = span_at(p);
    enum mspan_freed done = mspan_note_free(s, index_of(p));
    if (done == FREED_OK)
        mcache_count_free(&c, s->spanclass_);
    return done;
}

/* No span has left the cache yet: what an mcentral is told, it is told then. */
static bool still_holds_first_span(spanclass spc)
{
    uint64_t mallocs, frees;
    mcentral_read_counts(spc, &mallocs, &frees);
    return mallocs == 0;
}

static void add_noted(struct mspan *s, void *bytes)
{
    if (mspan_state_of(s) == MSPAN_INUSE)
        *(uint64_t *)bytes += (uint64_t)atomic_load(&s->freed) * s->elemsize;
}

/* After a flush what was allocated and not freed is what the heap says, in objects and in bytes; what other threads
 * freed counts as live until the span is taken again. */
static void expect_rest(spanclass spc, uint64_t mallocs, uint64_t frees)
{
    uint64_t m, f;
    mcache_flush(&c);
    check_heap_at_rest();
    mcentral_read_counts(spc, &m, &f);
    ck_assert_uint_eq(m, mallocs);
    ck_assert_uint_eq(f, frees);
    uint64_t noted = 0;
    pageheap_each(add_noted, &noted);
    ck_assert_uint_eq(live_bytes(), (mallocs - frees) * spanclass_size(spc) + noted);
}

START_TEST(rising_addresses)
{
    char *first = take(SMALL);
    for (size_t i = 1; i < SLOTS; i++)
        ck_assert_ptr_eq(take(SMALL), first + i * SIZE);
    ck_assert_ptr_eq(span_at(first), span_at(first + (SLOTS - 1) * SIZE));
    char *next = take(SMALL);
    ck_assert_ptr_ne(span_at(next), span_at(first));
    expect_rest(SMALL, SLOTS + 1, 0);
}
END_TEST

/* .claim: the slots of a group are claimed together, later groups are not. */
START_TEST(groups)
{
    char *p = take(BYTES8);
    const struct mspan *s = span_at(p);
    const struct mcache_slot *sl = &c.slots[BYTES8];
    for (size_t group = 0; group < 16; group++) {
        ck_assert_uint_eq(s->groups_done, group + 1);
        ck_assert_uint_eq(bits_count(s->alloc_bits, 16), 64 * (group + 1));
        ck_assert_uint_eq(sl->alloc_cache, UINT64_MAX - 1);
        ck_assert_uint_eq(sl->group_base, (uintptr_t)p);
        for (int i = 1; i < 64; i++)
            take(BYTES8);
        ck_assert_uint_eq(sl->alloc_cache, 0);
        p = take(BYTES8);
    }
    ck_assert_ptr_ne(span_at(p), s);
}
END_TEST

/* .owner, and the last group, which is not of 64. */
START_TEST(last_group)
{
    char *p = take(SMALL);
    const struct mspan *s = span_at(p);
    ck_assert_ptr_eq(atomic_load(&s->owner), &c);
    for (int i = 1; i <= 128; i++)
        take(SMALL);
    ck_assert_uint_eq(c.slots[SMALL].alloc_cache, bits_low(SLOTS - 128) & ~UINT64_C(1));
    mcache_flush(&c);
    ck_assert_ptr_null(atomic_load(&s->owner));
    ck_assert_ptr_null(c.slots[SMALL].span);
    ck_assert_int_eq(s->alloc_count, 129);
    mspan_check(s);
}
END_TEST

/* Claims that were not used go back to the last bit, wherever the flush comes. */
START_TEST(flush_puts_claims_back)
{
    for (uint64_t n = 1; n <= SLOTS; n++) {
        take(SMALL);
        expect_rest(SMALL, n, 0);
    }
    ck_assert_uint_eq(page_stats().inuse, HEAP_PAGE);
    mcache_flush(&c);
    mcache_flush(&c);
    expect_rest(SMALL, SLOTS, 0);
}
END_TEST

START_TEST(flush_of_an_unused_span)
{
    ck_assert(mcache_refill(&c, SMALL));
    expect_rest(SMALL, 0, 0);
    ck_assert_uint_eq(page_stats().inuse, 0);
}
END_TEST

/* Not qsort: that is one of the library's functions, and would start it in this program. */
static void sort(uintptr_t *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uintptr_t x = p[i];
        size_t k = i;
        for (; k > 0 && p[k - 1] > x; k--)
            p[k] = p[k - 1];
        p[k] = x;
    }
}

/* Two and a half spans of every class: no two slots overlap, each lies in a span of its class. */
START_TEST(every_class)
{
    for (unsigned i = 2; i < SPANCLASS_COUNT; i++) {
        static uintptr_t p[2600];
        spanclass spc = (spanclass)i;
        size_t per_span = sizeclass_pages[spanclass_sizeclass(spc)] * (size_t)HEAP_PAGE / spanclass_size(spc);
        size_t n = per_span * 5 / 2;
        for (size_t k = 0; k < n; k++) {
            p[k] = (uintptr_t)take(spc);
            if (!p[k] || arena_span(p[k])->spanclass_ != spc)
                ck_abort_msg("class %u", i);
        }
        sort(p, n);
        for (size_t k = 1; k < n; k++)
            if (p[k] - p[k - 1] < spanclass_size(spc))
                ck_abort_msg("class %u: two slots overlap", i);
    }
    mcache_flush(&c);
    check_heap_at_rest();
}
END_TEST

/* Spans of tiny blocks are of 16 bytes, noscan, and apart from both other classes. */
START_TEST(tiny)
{
    char *block = take(SPANCLASS_TINY);
    ck_assert_ptr_eq(take(SPANCLASS_TINY), block + TINY_SIZE);
    ck_assert_ptr_ne(span_at(take(spanclass_make(2, true))), span_at(block));
    ck_assert_int_eq(span_at(block)->scan, SCAN_NONE);
    c.tiny_end = (uintptr_t)block + TINY_SIZE;
    c.tiny_left = 5;
    mcache_flush(&c);
    ck_assert_uint_eq(c.tiny_end, 0);
    ck_assert_uint_eq(c.tiny_left, 0);
    check_heap_at_rest();
}
END_TEST

START_TEST(cache_for_none)
{
    ck_assert_ptr_eq(mcache_self, &mcache_none);
    for (int spc = 0; spc < SPANCLASS_COUNT; spc++)
        ck_assert(mcache_none.slots[spc].alloc_cache == 0 && mcache_none.slots[spc].span == NULL);
}
END_TEST

/* In the current group a freed slot is the next to be taken, if it is the lowest. */
START_TEST(free_in_the_current_group)
{
    char *p[10];
    for (int i = 0; i < 10; i++)
        p[i] = take(SMALL);
    ck_assert_int_eq(free_own(p[7]), MCACHE_FREED);
    ck_assert_int_eq(free_own(p[3]), MCACHE_FREED);
    ck_assert(mcache_slot_unused(span_at(p[3]), 3));
    ck_assert_ptr_eq(take(SMALL), p[3]);
    ck_assert_ptr_eq(take(SMALL), p[7]);
    expect_rest(SMALL, 12, 2);
}
END_TEST

/* In a group that was left: found when the span is used up, before another span is taken. */
START_TEST(free_in_an_earlier_group)
{
    char *p[SLOTS];
    for (int i = 0; i < 140; i++)
        p[i] = take(SMALL);
    ck_assert_int_eq(free_own(p[5]), MCACHE_FREED);
    ck_assert_int_eq(free_own(p[70]), MCACHE_FREED);
    ck_assert_ptr_eq(take(SMALL), p[139] + SIZE);
    for (int i = 141; i < SLOTS; i++)
        take(SMALL);
    ck_assert_ptr_eq(take(SMALL), p[5]);
    ck_assert_ptr_eq(take(SMALL), p[70]);
    ck_assert(still_holds_first_span(SMALL));
    ck_assert_ptr_ne(span_at(take(SMALL)), span_at(p[0]));
    expect_rest(SMALL, SLOTS + 3, 2);
}
END_TEST

/* In a group that the cache has not reached: of a span that came with objects in it. */
START_TEST(free_in_a_later_group)
{
    char *p[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        p[i] = take(SMALL);
    ck_assert_int_eq(free_own(p[1]), MCACHE_FREED);
    mcache_flush(&c);
    ck_assert_ptr_eq(take(SMALL), p[1]);
    ck_assert_int_eq(free_own(p[150]), MCACHE_FREED);
    ck_assert_int_eq(free_own(p[150]), MCACHE_FREED_TWICE);
    ck_assert_ptr_eq(take(SMALL), p[150]);
    ck_assert_ptr_ne(span_at(take(SMALL)), span_at(p[0]));
    expect_rest(SMALL, SLOTS + 3, 2);
}
END_TEST

START_TEST(free_everything)
{
    char *p[SLOTS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SLOTS; i++)
            p[i] = take(SMALL);
        for (int i = 0; i < SLOTS; i++)
            ck_assert_int_eq(free_own(p[i]), MCACHE_FREED);
    }
    ck_assert_uint_eq(arena_used(), GRANULE);
    expect_rest(SMALL, 3 * SLOTS, 3 * SLOTS);
    ck_assert_uint_eq(page_stats().inuse, 0);
}
END_TEST

START_TEST(free_twice)
{
    char *p[100];
    for (int i = 0; i < 100; i++)
        p[i] = take(SMALL);
    ck_assert_int_eq(free_own(p[70]), MCACHE_FREED); /* current group */
    ck_assert_int_eq(free_own(p[70]), MCACHE_FREED_TWICE);
    ck_assert_int_eq(free_own(p[10]), MCACHE_FREED); /* earlier group */
    ck_assert_int_eq(free_own(p[10]), MCACHE_FREED_TWICE);
    ck_assert_int_eq(free_foreign(p[20]), FREED_OK);
    ck_assert_int_eq(free_own(p[20]), MCACHE_FREED_TWICE);
    ck_assert_int_eq(free_foreign(p[20]), FREED_TWICE);
    ck_assert_int_eq(free_foreign(p[10]), FREED_TWICE);
    ck_assert_int_eq(free_own(p[99] + SIZE), MCACHE_FREED_TWICE);      /* claimed, never handed out */
    ck_assert_int_eq(free_own(p[0] + 169 * SIZE), MCACHE_FREED_TWICE); /* not even claimed */
    expect_rest(SMALL, 100, 3);
}
END_TEST

/* What other threads freed in the span while it is held is found when it is used up. */
START_TEST(foreign_frees_are_folded)
{
    char *p[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        p[i] = take(SMALL);
    ck_assert_int_eq(free_foreign(p[100]), FREED_OK);
    ck_assert_int_eq(free_foreign(p[3]), FREED_OK);
    ck_assert_ptr_eq(take(SMALL), p[3]);
    ck_assert_ptr_eq(take(SMALL), p[100]);
    ck_assert(still_holds_first_span(SMALL));
    expect_rest(SMALL, SLOTS + 2, 2);
}
END_TEST

/* And what they freed before: when it is taken. */
START_TEST(frees_of_a_span_at_rest)
{
    char *p[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        p[i] = take(SMALL);
    mcache_flush(&c);
    struct mspan *s = span_at(p[0]);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(free_foreign(p[i]), FREED_OK);
    mcentral_offer_freed(s);
    for (int i = 0; i < 30; i++)
        ck_assert_ptr_eq(take(SMALL), p[i]);
    ck_assert_ptr_ne(span_at(take(SMALL)), s);
    expect_rest(SMALL, SLOTS + 31, 30);
}
END_TEST

START_TEST(slot_unused)
{
    char *p = take(SMALL);
    struct mspan *s = span_at(p);
    ck_assert(!mcache_slot_unused(s, 0));
    for (size_t i = 1; i < 64; i++)
        ck_assert(mcache_slot_unused(s, i));
    for (size_t i = 64; i < SLOTS; i++)
        ck_assert(!mcache_slot_unused(s, i));
    mcache_flush(&c);
    for (size_t i = 0; i < SLOTS; i++)
        ck_assert(!mcache_slot_unused(s, i));
}
END_TEST

/* Refused memory leaves an empty slot that the next refill fills. */
START_TEST(no_memory)
{
    os_fail(1, true);
    ck_assert(!mcache_refill(&c, SMALL));
    ck_assert(c.slots[SMALL].alloc_cache == 0 && c.slots[SMALL].span == NULL);
    ck_assert_uint_eq(live_bytes(), 0);
    os_fail(0, false);
    ck_assert_ptr_nonnull(take(SMALL));
    sysmem_set_frozen(true);
    uint64_t n = 1;
    while (take(SMALL))
        n++;
    ck_assert_uint_eq(n, GRANULE_PAGES * SLOTS);
    ck_assert_ptr_null(take(SMALL));
    sysmem_set_frozen(false);
    ck_assert_ptr_nonnull(take(SMALL));
    expect_rest(SMALL, n + 1, 0);
}
END_TEST

enum { HELD = 3000 };
static char *held[HELD];

static size_t random_free(size_t n, uint32_t *x)
{
    size_t i = next_random(x) % n;
    char *p = held[i];
    bool own = atomic_load(&span_at(p)->owner) == &c;
    if (*(uint64_t *)(void *)p != (uint64_t)(uintptr_t)p)
        ck_abort_msg("%p was handed out twice", (void *)p);
    if (own && next_random(x) % 3) {
        if (free_own(p) != MCACHE_FREED || free_own(p) != MCACHE_FREED_TWICE)
            ck_abort_msg("own free of %p", (void *)p);
    } else if (free_foreign(p) != FREED_OK || free_foreign(p) != FREED_TWICE) {
        ck_abort_msg("free of %p", (void *)p);
    }
    if (!own)
        mcentral_offer_freed(span_at(p));
    held[i] = held[n - 1];
    return n - 1;
}

/* Taking, freeing both ways and flushing at random: each object says where it is, and the counts come out even. */
START_TEST(random_sequence)
{
    uint32_t x = (uint32_t)_i * 2654435761u + 1;
    size_t n = 0, mallocs = 0;
    for (int step = 0; step < 40000; step++) {
        bool grow = step / 5000 % 2 == 0;
        if (next_random(&x) % 500 == 0)
            expect_rest(SMALL, mallocs, mallocs - n);
        if (n == 0 || (n < HELD && next_random(&x) % 4 < (grow ? 3u : 1u))) {
            held[n] = take(SMALL);
            *(uint64_t *)(void *)held[n] = (uint64_t)(uintptr_t)held[n];
            n++;
            mallocs++;
        } else {
            n = random_free(n, &x);
        }
    }
    while (n > 0)
        n = random_free(n, &x);
    expect_rest(SMALL, mallocs, mallocs);
    pageheap_each(preset_marks, NULL);
    mcentral_begin_sweep();
    size_t pages_freed = 0;
    while (mcentral_sweep_one(&pages_freed))
        ;
    ck_assert_uint_eq(page_stats().inuse, 0);
    uint64_t m, f;
    mcentral_read_counts(SMALL, &m, &f);
    ck_assert_uint_eq(f, mallocs); /* the sweep found nothing dead that was not freed */
}
END_TEST

START_TEST(refill_of_a_group_in_use)
{
    take(SMALL);
    mcache_refill(&c, SMALL);
}
END_TEST

START_TEST(local_free_in_a_span_of_another)
{
    static struct mcache other;
    ck_assert(mcache_refill(&other, SMALL));
    mcache_free_local(&c, other.slots[SMALL].span, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, rising_addresses);
    tcase_add_test(tc, groups);
    tcase_add_test(tc, last_group);
    tcase_add_test(tc, flush_puts_claims_back);
    tcase_add_test(tc, flush_of_an_unused_span);
    tcase_add_test(tc, every_class);
    tcase_add_test(tc, tiny);
    tcase_add_test(tc, cache_for_none);
    tcase_add_test(tc, free_in_the_current_group);
    tcase_add_test(tc, free_in_an_earlier_group);
    tcase_add_test(tc, free_in_a_later_group);
    tcase_add_test(tc, free_everything);
    tcase_add_test(tc, free_twice);
    tcase_add_test(tc, foreign_frees_are_folded);
    tcase_add_test(tc, frees_of_a_span_at_rest);
    tcase_add_test(tc, slot_unused);
    tcase_add_test(tc, no_memory);
    tcase_add_loop_test(tc, random_sequence, 0, 4);
    if (!GC_CHECKS)
        return;
    tcase_add_test_raise_signal(tc, refill_of_a_group_in_use, SIGABRT);
    tcase_add_test_raise_signal(tc, local_free_in_a_span_of_another, SIGABRT);
}
CHECK_MAIN("unit/mcache", tests)
