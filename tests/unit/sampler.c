/* sampler.c - every byte that is allocated is as likely to be sampled, however slots are claimed, given back and freed. */
#include "heap.h"

#include "base/check.h"

enum { RATE = 4096 };

static struct mcache c;

static void setup(void)
{
    heap_start();
    sampler_set_rate(RATE);
    c.sampler.random = 12345; /* the same sequence in every run */
}

/* 1 - exp(-x) by its series. */
static double share(double x)
{
    double sum = 0, term = x;
    for (int i = 1; i < 200; i++) {
        sum += term;
        term *= -x / (i + 1);
    }
    return sum;
}

/* Of n objects of the size, `sampled` were: as many as expected, within five times the standard deviation. */
static void expect_share(uint64_t sampled, uint64_t n, size_t size)
{
    double p = share((double)size / RATE), mean = (double)n * p, miss = (double)sampled - mean;
    ck_assert_msg(miss * miss <= 25 * mean * (1 - p), "%llu of %llu objects of %zu bytes were sampled, not about %.0f",
                  (unsigned long long)sampled, (unsigned long long)n, size, mean);
}

/* As api/slow.c does. */
static char *alloc(spanclass spc, uint64_t *sampled)
{
    char *p = mcache_alloc(&c, spc, 1);
    if (!p)
        ck_abort_msg("no memory");
    *sampled += mcache_fresh(&c) == (uintptr_t)p;
    mcache_set_fresh(&c, 0);
    return p;
}

START_TEST(none)
{
    struct sampler s = {.random = 1};
    sampler_set_rate(0);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(sampler_choose(&s, UINT64_MAX, SMALL_MAX), 0);
        ck_assert(!sampler_take(&s, 1 << 30));
    }
}
END_TEST

START_TEST(all)
{
    struct sampler s = {.random = 1};
    sampler_set_rate(1);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(sampler_choose(&s, 0xf00d, 8), 0xf00d);
        ck_assert(sampler_take(&s, 8));
    }
}
END_TEST

START_TEST(one_by_one)
{
    static const size_t sizes[] = {8, 100, 4096, 20000};
    enum { N = 400000 };
    struct sampler s = {.random = 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t sampled = 0;
        for (int k = 0; k < N; k++)
            sampled += sampler_take(&s, sizes[i]);
        expect_share(sampled, N, sizes[i]);
    }
}
END_TEST

START_TEST(each_slot_alike)
{
    enum { N = 200000, SIZE = 64 };
    struct sampler s = {.random = 1};
    uint64_t sampled[WORD_BITS] = {0}, slots = 0xfffff0f00fff1ffb;
    for (int k = 0; k < N; k++) {
        uint64_t chosen = sampler_choose(&s, slots, SIZE);
        if (chosen & ~slots)
            ck_abort_msg("a slot that is not free was chosen");
        for (int i = 0; i < WORD_BITS; i++)
            sampled[i] += chosen >> i & 1;
    }
    for (int i = 0; i < WORD_BITS; i++)
        if (slots >> i & 1)
            expect_share(sampled[i], N, SIZE);
}
END_TEST

/* The first few hundred draws after another rate are of the new one. */
START_TEST(another_rate)
{
    struct sampler s = {.random = 1};
    sampler_set_rate(UINT64_C(1) << 56);
    ck_assert(!sampler_take(&s, 1));
    sampler_set_rate(2);
    uint64_t sampled = 0;
    for (int k = 0; k < 1000; k++)
        sampled += sampler_take(&s, 64);
    ck_assert_uint_ge(sampled, 990);
}
END_TEST

static const spanclass SMALL = 4 << 1, PAIR = 2 << 1, LONG = 17 << 1; /* 48, 16 and 256 bytes */

START_TEST(allocated_and_kept)
{
    enum { N = 1000000 };
    uint64_t sampled = 0;
    for (int k = 0; k < N; k++)
        alloc(SMALL, &sampled);
    expect_share(sampled, N, 48);
}
END_TEST

/* Collections empty the caches again and again: what is allocated of a group are its first slots. */
START_TEST(groups_given_back)
{
    enum { ROUNDS = 60000, EACH = 5 };
    uint64_t sampled = 0;
    for (int k = 0; k < ROUNDS; k++) {
        for (int i = 0; i < EACH; i++)
            alloc(SMALL, &sampled);
        mcache_flush(&c);
    }
    ck_assert(mcache_is_empty(&c));
    expect_share(sampled, (uint64_t)ROUNDS * EACH, 48);
    uint64_t mallocs, frees;
    mcentral_read_counts(SMALL, &mallocs, &frees);
    ck_assert_uint_eq(mallocs, (uint64_t)ROUNDS * EACH);
    check_heap_at_rest();
}
END_TEST

/* As gc_free does. */
static void let_go(const char *p)
{
    struct mspan *s = arena_span((uintptr_t)p);
    size_t i = mspan_index(s, (uintptr_t)p);
    bool own = atomic_load(&s->owner) == &c;
    if (own ? mcache_free_local(&c, s, i) != MCACHE_FREED : mspan_note_free(s, i) != FREED_OK)
        ck_abort_msg("it was freed before");
}

/* Nothing is claimed any more: the same slot goes to and fro. */
START_TEST(freed_at_once)
{
    enum { N = 1000000 };
    uint64_t sampled = 0;
    for (int k = 0; k < N; k++)
        let_go(alloc(PAIR, &sampled));
    expect_share(sampled, N, 16);
}
END_TEST

START_TEST(freed_in_disorder)
{
    enum { N = 1000000, HELD = 1000 };
    static char *held[HELD];
    uint32_t x = 1;
    uint64_t sampled = 0;
    for (int k = 0; k < N; k++) {
        uint32_t i = next_random(&x) % HELD;
        if (held[i])
            let_go(held[i]);
        held[i] = alloc(LONG, &sampled);
    }
    expect_share(sampled, N, 256);
}
END_TEST

/* No slot is lost or handed out twice, and of what is hidden another thread knows that nobody has it. */
START_TEST(hidden_is_unused)
{
    char *first = NULL;
    uint64_t sampled = 0;
    sampler_set_rate(100);
    for (size_t i = 0; i < 170; i++) {
        char *p = alloc(SMALL, &sampled);
        struct mspan *s = arena_span((uintptr_t)p);
        first = first ? first : p;
        ck_assert_ptr_eq(p, first + i * 48);
        for (size_t k = 0; k <= i; k++)
            ck_assert(!mcache_slot_unused(s, k));
        for (size_t k = i + 1; k % WORD_BITS; k++)
            ck_assert(k >= 170 || mcache_slot_unused(s, k));
    }
    ck_assert_uint_gt(sampled, 20);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, none);
    tcase_add_test(tc, all);
    tcase_add_test(tc, one_by_one);
    tcase_add_test(tc, each_slot_alike);
    tcase_add_test(tc, another_rate);
    tcase_add_test(tc, allocated_and_kept);
    tcase_add_test(tc, groups_given_back);
    tcase_add_test(tc, freed_at_once);
    tcase_add_test(tc, freed_in_disorder);
    tcase_add_test(tc, hidden_is_unused);
}
CHECK_MAIN("unit/sampler", tests)
