/* os_filter.c - what is passed over is what the test of one word refuses, at every distance from both ends. */
#include "../check_main.h"

#include "os/os_filter.h"

enum { WORDS = 61 };

static const struct os_filter filter = {UINT64_C(0xc000000000), 1 << 22, (1 << 17) - 1, 0x1abcd};
static uintptr_t words[WORDS];

static uintptr_t by_hand(const struct os_filter *f, size_t from, size_t to)
{
    while (from < to && !os_filter_passes(f, words[from]))
        from++;
    return (uintptr_t)&words[from];
}

static void check_all_ranges(const struct os_filter *f)
{
    for (size_t from = 0; from <= WORDS; from++)
        for (size_t to = from; to <= WORDS; to++)
            if (os_filter_next(f, (uintptr_t)&words[from], (uintptr_t)&words[to]) != by_hand(f, from, to))
                ck_abort_msg("[%zu, %zu)", from, to);
}

static void fill(uintptr_t v)
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = v;
}

/* The bounds themselves and their neighbours, the ends of the numbers, signed and not, and near misses. */
START_TEST(each_value)
{
    const uintptr_t values[] = {0,
                                1,
                                filter.base - 1,
                                filter.base,
                                filter.base + 8,
                                filter.base + filter.size - 1,
                                filter.base + filter.size,
                                filter.base + filter.size + 1,
                                filter.base + (UINT64_C(1) << 63),
                                INT64_MAX,
                                (uintptr_t)INT64_MIN,
                                UINTPTR_MAX,
                                filter.low,
                                filter.low | UINT64_C(0xffff000000000000),
                                filter.low ^ 1,
                                filter.low ^ (1 << 16)};
    const bool passes[] = {0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ck_assert_int_eq(os_filter_passes(&filter, values[i]), passes[i]);
        for (size_t at = 0; at < WORDS; at += 7) {
            fill(UINT64_C(0x7fff00001000));
            words[at] = values[i];
            check_all_ranges(&filter);
        }
    }
}
END_TEST

/* An empty heap, and nothing mangled. */
START_TEST(nothing_passes)
{
    const struct os_filter none = {UINT64_C(0xc000000000), 0, (1 << 17) - 1, 1 << 17};
    fill(UINT64_C(0x1bfff));
    check_all_ranges(&none);
    words[30] = none.base;
    check_all_ranges(&none);
}
END_TEST

START_TEST(anything)
{
    uint64_t x = UINT64_C(88172645463325252);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < WORDS; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[i] = x % 8 ? x >> 1 : filter.base - (1 << 21) + x % (UINT64_C(1) << 23);
        }
        check_all_ranges(&filter);
    }
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, each_value);
    tcase_add_test(tc, nothing_passes);
    tcase_add_test(tc, anything);
}
CHECK_MAIN("unit/os_filter", tests)
