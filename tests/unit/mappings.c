/* mappings.c - the list of mappings: what went in and did not go out again, and what there was no room for. */
#include "heap.h"

#include "heap/mappings.h"

enum { PAGE = 4096, MANY = 5000 };

static char *at(size_t page) { return (char *)(UINT64_C(0x7f0000000000) + page * PAGE); }

struct sum {
    uint64_t bytes;
    size_t n;
    uintptr_t lo, hi;
};

static void add_up(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct sum *s = arg;
    ck_assert_uint_lt(lo, hi);
    s->lo = s->n == 0 || lo < s->lo ? lo : s->lo;
    s->hi = hi > s->hi ? hi : s->hi;
    s->bytes += hi - lo;
    s->n++;
}

static void check_sum(size_t n, size_t pages)
{
    struct sum s = {0};
    ck_assert_uint_eq(mappings_each(add_up, &s), 0);
    ck_assert_uint_eq(s.n, n);
    ck_assert_uint_eq(s.bytes, pages * PAGE);
}

START_TEST(in_and_out)
{
    mappings_add(at(0), PAGE);
    mappings_add(at(1), 2 * PAGE); /* beside it: still one of its own */
    mappings_add(at(100), 3 * PAGE);
    check_sum(3, 6);
    mappings_remove(at(1), 2 * PAGE);
    check_sum(2, 4);
    mappings_remove(at(0), PAGE);
    mappings_remove(at(100), 3 * PAGE);
    check_sum(0, 0);
}
END_TEST

/* What grows is one; what may be given back does not become part of it, on neither side. */
START_TEST(growing)
{
    mappings_add(at(9), PAGE);
    mappings_extend(at(10), PAGE);
    mappings_extend(at(11), 5 * PAGE);
    check_sum(2, 7);
    mappings_add(at(16), PAGE);
    mappings_extend(at(30), PAGE);
    check_sum(4, 9);
    mappings_remove(at(16), PAGE);
    mappings_remove(at(9), PAGE);
    check_sum(2, 7);
}
END_TEST

/* Half a terabyte is the most that a word can say. */
START_TEST(large)
{
    size_t pages = (size_t)1 << 26;
    for (size_t i = 0; i < 5; i++)
        mappings_extend(at(i * pages), pages * PAGE);
    struct sum s = {0};
    ck_assert_uint_eq(mappings_each(add_up, &s), 0);
    ck_assert_uint_eq(s.bytes, 5 * pages * PAGE);
    ck_assert_uint_eq(s.lo, (uintptr_t)at(0));
    ck_assert_uint_eq(s.hi, (uintptr_t)at(5 * pages));
}
END_TEST

START_TEST(full)
{
    struct sum s = {0};
    for (size_t i = 0; i < MANY; i++)
        mappings_add(at(2 * i), PAGE);
    uint64_t unlisted = mappings_each(add_up, &s);
    ck_assert_uint_gt(unlisted, 0);
    ck_assert_uint_eq(s.bytes + unlisted, (uint64_t)MANY * PAGE);
    for (size_t i = 0; i < MANY; i++)
        mappings_remove(at(2 * i), PAGE);
    check_sum(0, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, in_and_out);
    tcase_add_test(tc, growing);
    tcase_add_test(tc, large);
    tcase_add_test(tc, full);
}

CHECK_MAIN("unit/mappings", tests)
