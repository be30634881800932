/* mcentral.c - lists of spans by sweep state: what is cached and put back, sweeping on demand, reclaiming before growing,
 * large objects. One thread; a cycle is played by marking bits and calling mcentral_begin_sweep. */
#include "heap.h"

#include "base/check.h"

static void setup(void) { heap_start(); }

static const spanclass SMALL = 4 << 1; /* 170 objects of 48 bytes */
enum { SLOTS = 170, SIZE = 48 };

static struct mcentral *central(spanclass spc) { return mcentral_get(spc, false); }

/* What the mcache of these tests has of each mcentral that they use: SMALL, BIG and pinned ones. */
static struct span_batch batches[2 * SPANCLASS_COUNT];

static struct span_batch *batch_of(const struct mcentral *c)
{
    return &batches[(c->pinned ? SPANCLASS_COUNT : 0) + c->spc];
}

static struct mspan *take_from(struct mcentral *c) { return mcentral_cache_span(c, batch_of(c)); }

/* Give back what was taken, used or not. */
static void return_batch(struct mcentral *c) { mcentral_return_batch(c, batch_of(c)); }

static void give_back(struct mspan *s)
{
    mcentral_uncache_span(batch_of(mcentral_of(s)), s);
    return_batch(mcentral_of(s));
}

/* As an mcache would: take a span, hand out slots until n of it are allocated, put it back. */
static struct mspan *use(spanclass spc, size_t n)
{
    struct mspan *s = take_from(central(spc));
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(s->list, LIST_NONE);
    bits_set_range(s->alloc_bits, 0, n);
    give_back(s);
    return s;
}

static struct mspan *fill(spanclass spc)
{
    return use(spc, sizeclass_pages[spc >> 1] * (size_t)HEAP_PAGE / sizeclass_sizes[spc >> 1]);
}

static void mark(struct mspan *s, size_t lo, size_t hi) { bits_set_range(s->gcmark_bits, lo, hi); }

/* What the end of a mark does, the world stopped. */
static void end_mark(uint64_t live)
{
    pageheap_each(preset_marks, NULL);
    mcentral_begin_sweep();
    atomic_store(&heap_live, live);
}

static size_t sweep_all(void)
{
    size_t freed = 0, n = 0;
    while (mcentral_sweep_one(&freed))
        n++;
    ck_assert(mcentral_all_swept());
    check_heap_at_rest();
    return n;
}

/* .list: in which list it is, and that it is there once. */
static bool is_in(const struct mspan *s, unsigned list)
{
    size_t found = 0;
    const struct mspan *prev = NULL;
    for (const struct mspan *at = mcentral_of(s)->lists[list]; at; prev = at, at = at->next) {
        ck_assert_ptr_eq(at->prev, prev);
        found += at == s;
    }
    return found == 1 && s->list == (uint8_t)list;
}

static unsigned parity(void) { return sweepgen_now() / 2 % 2; }
static bool is_full(const struct mspan *s) { return is_in(s, LIST_FULL + parity()); }

static bool is_partial(const struct mspan *s)
{
    unsigned quarters = (unsigned)s->alloc_count * QUARTERS / s->nelems;
    return is_in(s, LIST_PARTIAL + parity() * QUARTERS + (quarters < QUARTERS ? quarters : QUARTERS - 1));
}

static void expect_counts(spanclass spc, uint64_t mallocs, uint64_t frees)
{
    uint64_t m, f;
    mcentral_read_counts(spc, &m, &f);
    ck_assert_uint_eq(m, mallocs);
    ck_assert_uint_eq(f, frees);
}

START_TEST(each_class_has_its_own)
{
    for (unsigned spc = 0; spc < SPANCLASS_COUNT; spc++) {
        ck_assert_uint_eq(mcentral_get((spanclass)spc, false)->spc, spc);
        ck_assert(!mcentral_get((spanclass)spc, false)->pinned && mcentral_get((spanclass)spc, true)->pinned);
    }
    struct mspan *s = use(SMALL, 1);
    ck_assert_ptr_eq(mcentral_of(s), central(SMALL));
}
END_TEST

START_TEST(unused_span_goes_back)
{
    struct mspan *s = take_from(central(SMALL));
    ck_assert(mspan_is_swept(s));
    ck_assert_uint_eq(live_bytes(), SLOTS * SIZE);
    give_back(s);
    ck_assert_uint_eq(live_bytes(), 0);
    ck_assert_uint_eq(page_stats().inuse, 0);
    ck_assert_uint_eq(check_heap_at_rest(), 0);
    expect_counts(SMALL, 0, 0);
}
END_TEST

START_TEST(partial_span_is_cached_again)
{
    struct mspan *s = use(SMALL, 50);
    ck_assert(is_partial(s));
    ck_assert_uint_eq(live_bytes(), 50 * SIZE);
    ck_assert_ptr_eq(use(SMALL, 120), s);
    ck_assert_uint_eq(live_bytes(), 120 * SIZE);
    expect_counts(SMALL, 120, 0);
    ck_assert_uint_eq(check_heap_at_rest(), 1);
}
END_TEST

/* What is nearly full is filled first, also of spans that the sweep puts there. */
START_TEST(fullest_first)
{
    static const size_t used[] = {SLOTS / 2, SLOTS / 8, SLOTS * 7 / 8, SLOTS * 3 / 8};
    static const int order[] = {2, 0, 3, 1};
    struct mspan *s[4];
    for (int i = 0; i < 4; i++)
        s[i] = take_from(central(SMALL));
    for (int i = 0; i < 4; i++) {
        bits_set_range(s[i]->alloc_bits, 0, used[i]);
        give_back(s[i]);
        ck_assert(is_partial(s[i]));
    }
    for (int round = 0; round < 2; round++) {
        struct mspan *t[4];
        for (int i = 0; i < 4; i++)
            ck_assert_ptr_eq(t[i] = take_from(central(SMALL)), s[order[i]]);
        for (int i = 0; i < 4; i++) {
            give_back(t[i]);
            mark(t[i], 0, used[order[i]]);
        }
        if (round == 0) {
            end_mark(live_bytes());
            ck_assert_uint_eq(sweep_all(), 4);
        }
    }
}
END_TEST

START_TEST(full_span_is_not)
{
    struct mspan *s = fill(SMALL);
    ck_assert(is_full(s));
    ck_assert_uint_eq(live_bytes(), SLOTS * SIZE);
    struct mspan *t = fill(SMALL);
    ck_assert_ptr_ne(t, s);
    ck_assert_uint_eq(live_bytes(), 2 * SLOTS * SIZE);
    expect_counts(SMALL, 2 * SLOTS, 0);
    ck_assert_uint_eq(check_heap_at_rest(), 2);
}
END_TEST

/* Each time twice as many are taken at once, up to eight pages of them; what is not used goes back unchanged. */
START_TEST(in_batches)
{
    enum { SPANS = 20 };
    struct span_batch *b = batch_of(central(SMALL));
    struct mspan *s[SPANS];
    for (int i = 0; i < SPANS; i++) {
        s[i] = take_from(central(SMALL));
        bits_set_range(s[i]->alloc_bits, 0, SLOTS);
        mcentral_uncache_span(b, s[i]);
        ck_assert_int_eq(s[i]->list, LIST_NONE);
    }
    return_batch(central(SMALL));
    expect_counts(SMALL, SPANS * SLOTS, 0);
    for (int i = 0; i < SPANS; i++)
        mark(s[i], 0, (size_t)i);
    end_mark(SPANS * (SPANS - 1) / 2 * SIZE);
    static const int sizes[] = {1, 2, 4, 8, 5};
    for (int i = 0; i < 5; i++) {
        struct mspan *first = take_from(central(SMALL));
        int n = 1;
        for (const struct mspan *at = b->ready; at; at = at->next, n++)
            ck_assert(mspan_is_swept(at) && at->alloc_count < SLOTS && at->list == LIST_NONE);
        ck_assert_int_eq(n, sizes[i]);
        for (struct mspan *at = first; at; at = b->ready ? take_from(central(SMALL)) : NULL) {
            bits_set_range(at->alloc_bits, 0, SLOTS);
            mcentral_uncache_span(b, at);
        }
    }
    struct mspan *first = take_from(central(SMALL));
    ck_assert_int_eq(first->alloc_count, 0); /* none was left: a fresh one, which goes back unused */
    mcentral_uncache_span(b, first);
    return_batch(central(SMALL));
    ck_assert_uint_eq(live_bytes(), SPANS * SLOTS * SIZE);
    expect_counts(SMALL, 2 * SPANS * SLOTS - SPANS * (SPANS - 1) / 2, SPANS * SLOTS - SPANS * (SPANS - 1) / 2);
    ck_assert(!b->spent && b->size == 0);
    sweep_all();
}
END_TEST

START_TEST(no_memory)
{
    os_fail(1, true);
    ck_assert_ptr_null(take_from(central(SMALL)));
    ck_assert_ptr_null(mcentral_alloc_large(5, 1, false, false));
    ck_assert_uint_eq(live_bytes(), 0);
    os_fail(0, false);
    fill(SMALL);
    check_heap_at_rest();
}
END_TEST

/* .swept: every span is unswept at once, and none was touched. */
START_TEST(end_of_a_mark)
{
    struct mspan *s = use(SMALL, 50), *t = use(SPANCLASS_TINY, 30);
    ck_assert(mcentral_all_swept());
    end_mark(0);
    ck_assert(!mcentral_all_swept());
    ck_assert(!mspan_is_swept(s) && !mspan_is_swept(t));
    ck_assert(!is_partial(s) && s->list != LIST_NONE);
    ck_assert_uint_eq(bits_count(s->alloc_bits, 3), 50);
}
END_TEST

START_TEST(sweep_one)
{
    struct mspan *full = fill(SMALL), *half = fill(SMALL), *dead = fill(SMALL), *big = fill(20 << 1);
    mark(full, 0, SLOTS);
    mark(half, 10, 20);
    (void)dead;
    (void)big;
    end_mark((SLOTS + 10) * SIZE);
    size_t freed = 0, n = 0, before = page_stats().inuse;
    while (mcentral_sweep_one(&freed))
        n++;
    ck_assert_uint_eq(n, 4);
    ck_assert_uint_eq(freed, 2); /* a page each of the two that nothing was marked in */
    ck_assert_uint_eq(page_stats().inuse, before - 2 * HEAP_PAGE);
    ck_assert(mcentral_all_swept());
    ck_assert(!mcentral_sweep_one(&freed));
    ck_assert(is_full(full) && is_partial(half));
    expect_counts(SMALL, 3 * SLOTS, 2 * SLOTS - 10);
    expect_counts(20 << 1, 23, 23);
    ck_assert_uint_eq(live_bytes(), (SLOTS + 10) * SIZE);
    ck_assert_uint_eq(check_heap_at_rest(), 2);
}
END_TEST

/* A class that needs a span sweeps its own first, those with free slots before the mark first of all. */
START_TEST(sweep_on_demand)
{
    struct mspan *full = fill(SMALL), *partial = use(SMALL, 60);
    mark(full, 0, SLOTS - 1);
    mark(partial, 0, 60);
    end_mark((SLOTS - 1 + 60) * SIZE);
    uint64_t calls = os_null_fallible_calls();
    ck_assert_ptr_eq(use(SMALL, SLOTS), partial);
    ck_assert(is_full(partial));
    ck_assert(!mspan_is_swept(full));
    ck_assert_ptr_eq(use(SMALL, SLOTS), full);
    ck_assert(is_full(full));
    ck_assert_uint_eq(os_null_fallible_calls(), calls);
    ck_assert_uint_eq(live_bytes(), 2 * SLOTS * SIZE);
    expect_counts(SMALL, SLOTS + 60 + SLOTS - 60 + 1, 1);
    sweep_all();
}
END_TEST

/* An empty span that was swept for is used as it is, not by way of the page heap. */
START_TEST(sweep_on_demand_of_a_dead_span)
{
    struct mspan *s = fill(SMALL);
    end_mark(0);
    ck_assert_ptr_eq(use(SMALL, 1), s);
    expect_counts(SMALL, SLOTS + 1, SLOTS);
    ck_assert_uint_eq(live_bytes(), SIZE);
    sweep_all();
}
END_TEST

/* Full spans that stay full are looked at, up to a bound; then a fresh one is taken. All end swept, where they belong. */
START_TEST(fruitless_sweep_is_bounded)
{
    enum { SPANS = 150, TRIES = 1 + 2 + 4 + 12 * 8 }; /* batches until there are 100 */
    struct mspan *s[SPANS];
    for (int i = 0; i < SPANS; i++) {
        s[i] = fill(SMALL);
        mark(s[i], 0, SLOTS);
    }
    end_mark(SPANS * SLOTS * SIZE);
    struct mspan *fresh = use(SMALL, 1);
    int swept = 0;
    for (int i = 0; i < SPANS; i++) {
        ck_assert_ptr_ne(s[i], fresh);
        swept += mspan_is_swept(s[i]);
    }
    ck_assert_int_eq(swept, TRIES);
    ck_assert_uint_eq(sweep_all(), SPANS - TRIES);
    for (int i = 0; i < SPANS; i++)
        ck_assert(is_full(s[i]));
    ck_assert(is_partial(fresh));
}
END_TEST

/* Pages that sweeping another class sets free are taken before the heap grows. */
START_TEST(reclaim_before_growing)
{
    size_t n = 0;
    for (size_t used = 0; used == 0 || page_stats().inuse < used; n++) {
        fill(SMALL);
        used = arena_used();
    }
    end_mark(0);
    uint64_t before = os_null.calls[OS_NULL_MAP] + os_null.calls[OS_NULL_RESERVE];
    size_t mapped = arena_used();
    for (size_t i = 0; i < n / 2; i++)
        fill(10 << 1);
    ck_assert_ptr_nonnull(mcentral_alloc_large(10, 1, false, false));
    ck_assert_uint_eq(os_null.calls[OS_NULL_MAP] + os_null.calls[OS_NULL_RESERVE], before);
    ck_assert_uint_eq(arena_used(), mapped);
    sweep_all();
}
END_TEST

/* Nothing to reclaim and no growth: NULL, and the heap serves what still fits. */
START_TEST(frozen)
{
    struct mspan *s = use(SMALL, SLOTS - 1);
    sysmem_set_frozen(true);
    size_t n = 0;
    while (mcentral_alloc_large(5, 1, false, false))
        n++;
    ck_assert_uint_eq(n, (GRANULE_PAGES - 1) / 5);
    ck_assert_uint_eq(arena_used(), GRANULE);
    ck_assert_ptr_eq(use(SMALL, SLOTS), s);
    sysmem_set_frozen(false);
    ck_assert_ptr_nonnull(mcentral_alloc_large(5, 1, false, false));
    check_heap_at_rest();
}
END_TEST

START_TEST(large)
{
    struct mspan *s = mcentral_alloc_large(100, 1, false, false), *t = mcentral_alloc_large(7, 16, true, false);
    ck_assert(s->spanclass_ == SPANCLASS_LARGE && t->spanclass_ == SPANCLASS_LARGE_NOSCAN);
    ck_assert_uint_eq(t->base % (16 * HEAP_PAGE), 0);
    ck_assert(is_full(s) && is_full(t));
    ck_assert_uint_eq(live_bytes(), 107 * HEAP_PAGE);
    mcentral_free_large(t);
    ck_assert_uint_eq(live_bytes(), 100 * HEAP_PAGE);
    ck_assert_uint_eq(page_stats().inuse, 100 * HEAP_PAGE);
    ck_assert_uint_eq(check_heap_at_rest(), 1);
    mark(s, 0, 1);
    end_mark(100 * HEAP_PAGE);
    ck_assert_uint_eq(sweep_all(), 1);
    ck_assert(is_full(s));
    end_mark(0);
    ck_assert_uint_eq(sweep_all(), 1);
    ck_assert_uint_eq(page_stats().inuse, 0);
    ck_assert_uint_eq(page_stats().large_frees, 2);
}
END_TEST

START_TEST(ensure_swept)
{
    struct mspan *live = use(SMALL, 5), *dead = fill(20 << 1);
    ck_assert(mcentral_ensure_swept(live));
    mark(live, 0, 1);
    end_mark(SIZE);
    ck_assert(mcentral_ensure_swept(live));
    ck_assert(mspan_is_swept(live) && is_partial(live));
    ck_assert_int_eq(live->alloc_count, 1);
    ck_assert(!mcentral_ensure_swept(dead));
    ck_assert_int_ne(mspan_state_of(dead), MSPAN_INUSE);
    expect_counts(20 << 1, 23, 23);
    ck_assert_uint_eq(sweep_all(), 0);
}
END_TEST

/* .room: a full span with slots noted free is allocated from again once it is offered, not before. */
START_TEST(offer_freed)
{
    struct mspan *s = fill(SMALL);
    mcentral_offer_freed(s);
    ck_assert(is_full(s));
    ck_assert_int_eq(mspan_note_free(s, 100), FREED_OK);
    mcentral_offer_freed(s);
    ck_assert(is_partial(s));
    mcentral_offer_freed(s);
    ck_assert(is_partial(s));
    ck_assert_ptr_eq(take_from(central(SMALL)), s);
    mcentral_offer_freed(s); /* in a cache by now: nothing to do */
    ck_assert_int_eq(s->list, LIST_NONE);
    ck_assert_uint_eq(mspan_fold_free(s), 1);
    s->alloc_count--;
    batch_of(central(SMALL))->frees++;
    give_back(s);
    expect_counts(SMALL, SLOTS, 1);
    ck_assert_uint_eq(live_bytes(), (SLOTS - 1) * SIZE);
    check_heap_at_rest();
}
END_TEST

static void count_span(struct mspan *s, void *n)
{
    ck_assert(s->pinned);
    ++*(int *)n;
}

START_TEST(pinned)
{
    fill(SMALL);
    int n = 0;
    mcentral_each_pinned(count_span, &n);
    ck_assert_int_eq(n, 0);
    for (int i = 1; i <= 3; i++) {
        struct mspan *s = take_from(mcentral_get((spanclass)(i * 2), true));
        ck_assert(s->pinned);
        bits_set_range(s->alloc_bits, 0, i == 1 ? s->nelems : 1);
        give_back(s);
    }
    ck_assert(mcentral_alloc_large(5, 1, true, true)->pinned);
    mcentral_each_pinned(count_span, &n);
    ck_assert_int_eq(n, 4);
    expect_counts(3 << 1, 1, 0);
    check_heap_at_rest();
}
END_TEST

START_TEST(begin_before_all_is_swept)
{
    fill(SMALL);
    end_mark(0);
    end_mark(0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, each_class_has_its_own);
    tcase_add_test(tc, unused_span_goes_back);
    tcase_add_test(tc, partial_span_is_cached_again);
    tcase_add_test(tc, fullest_first);
    tcase_add_test(tc, full_span_is_not);
    tcase_add_test(tc, in_batches);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, end_of_a_mark);
    tcase_add_test(tc, sweep_one);
    tcase_add_test(tc, sweep_on_demand);
    tcase_add_test(tc, sweep_on_demand_of_a_dead_span);
    tcase_add_test(tc, fruitless_sweep_is_bounded);
    tcase_add_test(tc, reclaim_before_growing);
    tcase_add_test(tc, frozen);
    tcase_add_test(tc, large);
    tcase_add_test(tc, ensure_swept);
    tcase_add_test(tc, offer_freed);
    tcase_add_test(tc, pinned);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, begin_before_all_is_swept, SIGABRT);
}
CHECK_MAIN("unit/mcentral", tests)
