/* bits.c - bitmaps against a slow model: ranges at every pair of places in three words. */
#include "../check_main.h"

#include "base/bits.h"
#include "os/os.h"
#include "os/os_real.h"

enum { NBITS = 3 * WORD_BITS };

static void check_ranges_from(size_t lo)
{
    uint64_t b[NBITS / WORD_BITS];
    for (size_t hi = lo; hi <= NBITS; hi++) {
        for (size_t w = 0; w < NBITS / WORD_BITS; w++)
            b[w] = 0;
        bits_set_range(b, lo, hi);
        for (size_t i = 0; i < NBITS; i++)
            if (bits_test(b, i) != (i >= lo && i < hi))
                ck_abort_msg("[%zu, %zu): bit %zu", lo, hi, i);
        ck_assert_uint_eq(bits_count(b, NBITS / WORD_BITS), hi - lo);
        ck_assert_uint_eq(bits_next(b, 0, NBITS, true), lo == hi ? NBITS : lo);
        ck_assert_uint_eq(bits_next(b, lo, NBITS, false), hi);
        bits_clear_range(b, lo, hi);
        ck_assert_uint_eq(bits_count_range(b, 0, NBITS), 0);
    }
}

START_TEST(ranges)
{
    for (size_t lo = 0; lo <= NBITS; lo++)
        check_ranges_from(lo);
}
END_TEST

START_TEST(test_and_set)
{
    uint64_t b[2] = {0, 0};
    ck_assert(!bits_test_and_set_atomic(b, 65));
    ck_assert(bits_test_and_set_atomic(b, 65));
    ck_assert_uint_eq(b[1], 2);
    bits_clear(b, 65);
    ck_assert_uint_eq(b[1], 0);
}
END_TEST

START_TEST(masks)
{
    ck_assert_uint_eq(bits_words(0), 0);
    ck_assert_uint_eq(bits_words(1), 1);
    ck_assert_uint_eq(bits_words(64), 1);
    ck_assert_uint_eq(bits_words(65), 2);
    ck_assert_uint_eq(bits_low(0), 0);
    ck_assert_uint_eq(bits_low(1), 1);
    ck_assert_uint_eq(bits_low(63), UINT64_MAX >> 1);
    ck_assert_uint_eq(bits_low(64), UINT64_MAX);
    ck_assert_uint_eq(bits_valid(0, 0), 0);
    ck_assert_uint_eq(bits_valid(0, 200), UINT64_MAX);
    ck_assert_uint_eq(bits_valid(1, 70), 63);
    ck_assert_uint_eq(bits_valid(1, 64), 0);
    ck_assert_uint_eq(bits_valid(5, 64), 0);
}
END_TEST

START_TEST(one_bit)
{
    for (size_t i = 0; i < NBITS; i++) {
        uint64_t b[NBITS / WORD_BITS] = {0};
        bits_set(b, i);
        for (size_t j = 0; j < NBITS; j++)
            if (bits_test(b, j) != (i == j))
                ck_abort_msg("bit %zu set, bit %zu is %d", i, j, bits_test(b, j));
        bits_set_range(b, 0, NBITS);
        bits_clear(b, i);
        if (bits_count(b, NBITS / WORD_BITS) != NBITS - 1 || bits_test(b, i))
            ck_abort_msg("bit %zu was not cleared alone", i);
    }
}
END_TEST

struct model {
    uint64_t b[NBITS / WORD_BITS];
    bool is[NBITS];
};

static size_t model_count(const struct model *m, size_t lo, size_t hi)
{
    size_t n = 0;
    for (size_t i = lo; i < hi; i++)
        n += m->is[i];
    return n;
}

static size_t model_next(const struct model *m, size_t lo, size_t hi, bool value)
{
    while (lo < hi && m->is[lo] != value)
        lo++;
    return lo;
}

static void check_model(const struct model *m, size_t lo, size_t hi)
{
    for (size_t i = 0; i < NBITS; i++)
        if (bits_test(m->b, i) != m->is[i])
            ck_abort_msg("bit %zu after [%zu, %zu)", i, lo, hi);
    if (bits_count_range(m->b, lo, hi) != model_count(m, lo, hi))
        ck_abort_msg("count in [%zu, %zu)", lo, hi);
    for (int value = 0; value < 2; value++)
        if (bits_next(m->b, lo, hi, value) != model_next(m, lo, hi, value))
            ck_abort_msg("next %d in [%zu, %zu)", value, lo, hi);
}

/* Ranges set and cleared over what is there already: nothing outside them changes. */
START_TEST(random_ranges)
{
    struct model m = {0};
    uint32_t x = 1;
    for (int step = 0; step < 20000; step++) {
        x = x * 1664525 + 1013904223;
        size_t lo = (x >> 8) % (NBITS + 1), hi = lo + (x >> 20) % (NBITS + 1 - lo);
        bool set = x >> 31;
        (set ? bits_set_range : bits_clear_range)(m.b, lo, hi);
        for (size_t i = lo; i < hi; i++)
            m.is[i] = set;
        check_model(&m, lo / 2, hi);
    }
}
END_TEST

enum { SHARED_BITS = 8 * WORD_BITS, ROUNDS = 20000 };
static uint64_t shared[ROUNDS][SHARED_BITS / WORD_BITS];
static _Atomic uint32_t arrived;

/* Who waits long sleeps: on a busy machine each turn of a loop that yields lets all others run for milliseconds first, and
 * so many rounds would take minutes. */
static void wait_for_both(uint32_t both)
{
    if (++arrived == both) {
        os_futex_wake_all(&arrived);
        return;
    }
    for (int spins = 0; spins < 10000 && arrived < both; spins++)
        ;
    for (uint32_t n; (n = arrived) < both;)
        os_futex_wait(&arrived, n, UINT64_MAX);
}

/* Two threads begin each round together, one at each end, and meet in between. */
static size_t win(bool upwards)
{
    size_t n = 0;
    for (int round = 0; round < ROUNDS; round++) {
        wait_for_both(2 * (uint32_t)(round + 1));
        for (size_t i = 0; i < SHARED_BITS; i++)
            n += !bits_test_and_set_atomic(shared[round], upwards ? i : SHARED_BITS - 1 - i);
    }
    return n;
}

static void *win_downwards(void *count)
{
    *(size_t *)count = win(false);
    return NULL;
}

/* Two threads that meet on every bit: each has one winner. */
START_TEST(one_winner)
{
    pthread_t id;
    size_t mine, others;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, win_downwards, &others), 0);
    mine = win(true);
    os_real_pthread_join(id, NULL);
    ck_assert_uint_eq(mine + others, ROUNDS * SHARED_BITS);
    ck_assert_uint_eq(bits_count(shared[0], ROUNDS * SHARED_BITS / WORD_BITS), ROUNDS * SHARED_BITS);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, masks);
    tcase_add_test(tc, one_bit);
    tcase_add_test(tc, ranges);
    tcase_add_test(tc, random_ranges);
    tcase_add_test(tc, test_and_set);
    tcase_add_test(tc, one_winner);
}
CHECK_MAIN("unit/bits", tests)
