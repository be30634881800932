/* sizeclass.c - every size from 0 to 32768, every class, every offset in a span of every class. */
#include "../check_main.h"

#include "heap/mspan.h"

#include <string.h>

static size_t span_bytes(unsigned c) { return (size_t)sizeclass_pages[c] * HEAP_PAGE; }
static size_t objects(unsigned c) { return span_bytes(c) / sizeclass_sizes[c]; }

START_TEST(classes)
{
    ck_assert_int_eq(SIZECLASS_COUNT, 67);
    ck_assert_uint_eq(sizeclass_sizes[0], 0);
    ck_assert_uint_eq(sizeclass_sizes[1], 8);
    ck_assert_uint_eq(sizeclass_sizes[SIZECLASS_COUNT - 1], SMALL_MAX);
    size_t most = 0;
    for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
        ck_assert_uint_gt(sizeclass_sizes[c], sizeclass_sizes[c - 1]);
        if (c > 1)
            ck_assert_uint_eq(sizeclass_sizes[c] % 16, 0);
        ck_assert_uint_ge(objects(c), 1);
        most = objects(c) > most ? objects(c) : most;
    }
    ck_assert_uint_eq(most, SIZECLASS_MAX_OBJECTS);
}
END_TEST

START_TEST(smallest_that_fits)
{
    ck_assert_uint_eq(sizeclass_of(0), 0);
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        unsigned c = sizeclass_of(size);
        if (c == 0 || c >= SIZECLASS_COUNT || sizeclass_sizes[c] < size || sizeclass_sizes[c - 1] >= size)
            ck_abort_msg("size %zu has class %u", size, c);
    }
}
END_TEST

/* Go's promise: what the objects leave of a span is at most an eighth of it. */
START_TEST(tail_waste)
{
    for (unsigned c = 1; c < SIZECLASS_COUNT; c++)
        ck_assert_uint_le(8 * (span_bytes(c) - objects(c) * sizeclass_sizes[c]), span_bytes(c));
}
END_TEST

/* And from 128 bytes on a size is rounded up by less than an eighth, or by more where that costs no object: as many of
 * the class fit in its span as would of the size rounded up to its step. */
START_TEST(rounding_waste)
{
    for (size_t size = 129; size <= SMALL_MAX; size++) {
        unsigned c = sizeclass_of(size);
        if (8 * (sizeclass_sizes[c] - size) <= sizeclass_sizes[c])
            continue;
        size_t power = (size_t)1 << (63 - __builtin_clzl(size - 1));
        size_t step = power >= 2048 ? 256 : power / 8;
        if (span_bytes(c) / round_up(size, step) != objects(c))
            ck_abort_msg("size %zu in class %u of %u", size, c, sizeclass_sizes[c]);
    }
}
END_TEST

START_TEST(division)
{
    for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
        struct mspan s = {.base = UINT64_C(0xc000000000), .divmul = sizeclass_divmul[c]};
        for (size_t off = 0; off < span_bytes(c); off++)
            if (mspan_index(&s, s.base + off) != off / sizeclass_sizes[c])
                ck_abort_msg("class %u, offset %zu: %zu", c, off, mspan_index(&s, s.base + off));
    }
}
END_TEST

/* C's promise: an object of n bytes can hold any type of n bytes, so it is at a multiple of the largest power of two
 * not above n, at most 16; wherever it lies in its span. */
START_TEST(alignment)
{
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        size_t want = 1;
        while (want * 2 <= size && want < 16)
            want *= 2;
        if (sizeclass_alignment(size) != want)
            ck_abort_msg("size %zu is to be aligned to %zu", size, sizeclass_alignment(size));
        if (sizeclass_sizes[sizeclass_of(size)] % want)
            ck_abort_msg("size %zu: slots of %u are not at multiples of %zu", size, sizeclass_sizes[sizeclass_of(size)],
                         want);
    }
}
END_TEST

START_TEST(spanclasses)
{
    bool seen[SPANCLASS_COUNT];
    memset(seen, 0, sizeof seen);
    for (unsigned c = 0; c < SIZECLASS_COUNT; c++) {
        for (int noscan = 0; noscan < 2; noscan++) {
            spanclass spc = spanclass_make(c, noscan);
            ck_assert_uint_lt(spc, SPANCLASS_COUNT);
            ck_assert(!seen[spc]);
            seen[spc] = true;
            ck_assert_int_eq(spanclass_noscan(spc), noscan);
            if (spc == SPANCLASS_TINY)
                continue;
            ck_assert_uint_eq(spanclass_sizeclass(spc), c);
            ck_assert_uint_eq(spanclass_size(spc), sizeclass_sizes[c]);
        }
    }
    ck_assert(spanclass_noscan(SPANCLASS_TINY));
    ck_assert_uint_eq(spanclass_size(SPANCLASS_TINY), TINY_SIZE);
    ck_assert_uint_eq(spanclass_sizeclass(SPANCLASS_TINY), sizeclass_of(TINY_SIZE));
}
END_TEST

START_TEST(whole_pages)
{
    ck_assert_uint_eq(pages_for(1), 1);
    ck_assert_uint_eq(pages_for(HEAP_PAGE), 1);
    ck_assert_uint_eq(pages_for(HEAP_PAGE + 1), 2);
    ck_assert_uint_eq(pages_for(SMALL_MAX + 1), 5);
    ck_assert_uint_eq(pages_for((size_t)1 << 40), (size_t)1 << 27);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, classes);
    tcase_add_test(tc, smallest_that_fits);
    tcase_add_test(tc, tail_waste);
    tcase_add_test(tc, rounding_waste);
    tcase_add_test(tc, division);
    tcase_add_test(tc, alignment);
    tcase_add_test(tc, spanclasses);
    tcase_add_test(tc, whole_pages);
}
CHECK_MAIN("unit/sizeclass", tests)
