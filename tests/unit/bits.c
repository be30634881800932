/* bits.c - bitmaps against a slow model: ranges at every pair of places in three words. */
#include "../check_main.h"

#include "base/bits.h"

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

static void tests(TCase *tc)
{
    tcase_add_test(tc, ranges);
    tcase_add_test(tc, test_and_set);
}
CHECK_MAIN("unit/bits", tests)
