/* os_mem_null.c - the simulated system that other tests stand on: it keeps os_mem.h's promises, counts, and refuses
 * exactly what it is told to. */
#include "../check_main.h"

#include "os/os_mem_null.h"

#include <string.h>

enum { PAGE = 4096 };

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

START_TEST(known_addresses)
{
    uintptr_t base = os_null.base;
    char *p = os_reserve(0, 16 * PAGE, false);
    ck_assert_uint_eq((uintptr_t)p, base);
    ck_assert_ptr_eq(os_reserve(base + 16 * PAGE, PAGE, true), p + 16 * PAGE);
    ck_assert_ptr_null(os_reserve(base, PAGE, true));
    ck_assert_ptr_ne(os_reserve(base, PAGE, false), p);
    ck_assert_uint_eq(os_null.reserved, 18 * PAGE);
    ck_assert_uint_eq(os_null.mapped, 0);
}
END_TEST

/* .contents */
START_TEST(contents)
{
    char *p = os_reserve(0, 16 * PAGE, false);
    ck_assert(os_map(p, 8 * PAGE));
    ck_assert(is_zero(p, 8 * PAGE));
    memset(p, 1, 8 * PAGE);
    ck_assert(os_release(p + PAGE, 2 * PAGE));
    ck_assert(is_zero(p + PAGE, 2 * PAGE) && p[PAGE - 1] == 1 && p[3 * PAGE] == 1);
    char *q = os_alloc(PAGE);
    ck_assert(is_zero(q, PAGE));
    ck_assert_uint_eq(os_null.mapped, 9 * PAGE);
    ck_assert_uint_eq(os_null.released, 2 * PAGE);
    os_free(q, PAGE);
    ck_assert_uint_eq(os_null.mapped, 8 * PAGE);
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 1);
    ck_assert_uint_eq(os_null_fallible_calls(), 4);
}
END_TEST

START_TEST(map_outside_a_reservation)
{
    char *p = os_reserve(0, PAGE, false);
    os_map(p, 2 * PAGE);
}
END_TEST

START_TEST(odd_size) { os_alloc(PAGE + 1); }
END_TEST

/* Call i of four, alone or with all that follow. */
START_TEST(refuses)
{
    char *p = os_reserve(0, PAGE, false);
    os_null.fail_at = 1 + 1 + (uint64_t)_i % 4;
    os_null.fail_on = _i >= 4;
    bool done[4] = {os_reserve(0, PAGE, false) != NULL, os_map(p, PAGE), os_alloc(PAGE) != NULL, os_release(p, PAGE)};
    int refused = 0;
    for (int call = 0; call < 4; call++) {
        bool want = call != _i % 4 && !(_i >= 4 && call > _i % 4);
        refused += !want;
        ck_assert_int_eq(done[call], want);
    }
    ck_assert_uint_eq(os_null.failed, (uint64_t)refused);
}
END_TEST

START_TEST(limit)
{
    char *p = os_reserve(0, 16 * PAGE, false);
    os_null.limit = 4 * PAGE;
    ck_assert(os_map(p, 3 * PAGE));
    ck_assert(!os_map(p + 3 * PAGE, 2 * PAGE));
    char *q = os_alloc(PAGE);
    ck_assert_ptr_nonnull(q);
    ck_assert_ptr_null(os_alloc(PAGE));
    os_free(q, PAGE);
    ck_assert_ptr_nonnull(os_alloc(PAGE));
    ck_assert_uint_eq(os_null.mapped, 4 * PAGE);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, known_addresses);
    tcase_add_test(tc, contents);
    tcase_add_loop_test(tc, refuses, 0, 8);
    tcase_add_test(tc, limit);
    tcase_add_test_raise_signal(tc, map_outside_a_reservation, SIGABRT);
    tcase_add_test_raise_signal(tc, odd_size, SIGABRT);
}
CHECK_MAIN("unit/os_mem_null", tests)
