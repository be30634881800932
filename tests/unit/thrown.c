/* thrown.c - the table of exceptions against a plain array: what was added and not removed is given, once; memory that
 * is refused is said, and changes nothing. Holds thrown.probe. */
#include "heap.h"

#include "world/thrown.h"

enum { N = 3000 };

/* Addresses as malloc gives them: near each other, and the same ones again. */
static uintptr_t address(size_t i) { return UINT64_C(0x555500000000) + i * 160 + (i % 7) * 16; }

static uintptr_t hi_of[N]; /* 0: not in it */
static size_t seen;

static void look(uintptr_t lo, uintptr_t hi, void *arg)
{
    unsigned char *times = arg;
    for (size_t i = 0; i < N; i++) {
        if (address(i) == lo) {
            if (hi_of[i] != hi || times[i]++)
                ck_abort_msg("entry %zu is given wrongly, or twice", i);
            seen++;
        }
    }
}

static void compare(size_t n)
{
    unsigned char times[N] = {0};
    seen = 0;
    thrown_each(look, times);
    ck_assert_uint_eq(seen, n);
}

START_TEST(empty)
{
    compare(0);
    thrown_remove(address(1));
    compare(0);
}
END_TEST

START_TEST(random_order)
{
    unsigned x = (unsigned)_i * 7919 + 1;
    size_t n = 0;
    for (int step = 0; step < 40000; step++) {
        x = x * 1103515245 + 12345;
        size_t i = (x >> 8) % N;
        bool fill = step % 20000 < 12000;
        if (hi_of[i] ? fill : !fill)
            continue;
        if (hi_of[i]) {
            thrown_remove(address(i));
            hi_of[i] = 0;
            n--;
        } else {
            hi_of[i] = address(i) + 8 + i;
            ck_assert(thrown_add(address(i), hi_of[i]));
            n++;
        }
        if (step % 1000 == 0)
            compare(n);
    }
    compare(n);
    for (size_t i = 0; i < N; i++) {
        thrown_remove(address(i));
        hi_of[i] = 0;
    }
    compare(0);
}
END_TEST

/* The same address again: its range is the new one. */
START_TEST(added_again)
{
    ck_assert(thrown_add(address(5), address(5) + 8));
    hi_of[5] = address(5) + 80;
    ck_assert(thrown_add(address(5), hi_of[5]));
    compare(1);
    thrown_remove(address(5));
    compare(0);
}
END_TEST

/* It fills up what it has, and says when that is full. */
START_TEST(no_memory)
{
    size_t n = 0;
    ck_assert(thrown_add(address(0), hi_of[0] = address(0) + 8));
    os_null.fail_at = os_null_fallible_calls() + 1;
    os_null.fail_on = true;
    for (n = 1; n < N && thrown_add(address(n), address(n) + 8); n++)
        hi_of[n] = address(n) + 8;
    ck_assert_uint_gt(n, 100);
    ck_assert_uint_lt(n, N);
    compare(n);
    thrown_remove(address(3));
    hi_of[3] = 0;
    compare(n - 1);
    ck_assert(thrown_add(address(3), hi_of[3] = address(3) + 8));
    ck_assert(!thrown_add(address(n), address(n) + 8));
    os_null.fail_at = 0;
    ck_assert(thrown_add(address(n), hi_of[n] = address(n) + 8));
    compare(n + 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, empty);
    tcase_add_loop_test(tc, random_order, 0, 5);
    tcase_add_test(tc, added_again);
    tcase_add_test(tc, no_memory);
}
CHECK_MAIN("unit/thrown", tests)
