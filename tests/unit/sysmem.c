/* sysmem.c - every byte from the operating system is counted once, under the kind that it is used for. */
#include "heap.h"

#include "base/check.h"

enum { PAGE = 4096 };

/* .sum, against what the system itself counted. */
static void check_sum(void)
{
    uint64_t sum = 0;
    for (int k = 0; k < SYS_KINDS; k++)
        sum += sysmem_bytes((enum sys_kind)k);
    ck_assert_uint_eq(sysmem_total(), sum);
    ck_assert_uint_eq(sysmem_total(), os_null.mapped);
}

START_TEST(alloc_and_free)
{
    void *p[SYS_KINDS];
    for (int k = 0; k < SYS_KINDS; k++) {
        size_t n = (size_t)(k + 1) * PAGE;
        p[k] = sysmem_alloc(n, (enum sys_kind)k);
        ck_assert_ptr_nonnull(p[k]);
        ck_assert_uint_eq(sysmem_bytes((enum sys_kind)k), n);
        for (size_t i = 0; i < n; i++)
            if (((char *)p[k])[i])
                ck_abort_msg("byte %zu is not zero", i);
        check_sum();
    }
    for (int k = 0; k < SYS_KINDS; k++) {
        sysmem_free(p[k], (size_t)(k + 1) * PAGE, (enum sys_kind)k);
        ck_assert_uint_eq(sysmem_bytes((enum sys_kind)k), 0);
        check_sum();
    }
}
END_TEST

/* .retired: nothing goes back until it is said that the world runs. */
START_TEST(retired)
{
    char *p = sysmem_alloc(PAGE, SYS_GC), *q = sysmem_alloc(2 * PAGE, SYS_OTHER);
    p[PAGE - 1] = 1;
    sysmem_retire(p, PAGE, SYS_GC);
    sysmem_retire(q, 2 * PAGE, SYS_OTHER);
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 0);
    ck_assert_int_eq(p[PAGE - 1], 1);
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), PAGE);
    check_sum();
    sysmem_free_retired();
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 2);
    ck_assert_uint_eq(sysmem_total(), 0);
    check_sum();
    sysmem_free_retired();
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 2);
}
END_TEST

/* .retired: the table that was outgrown can be read until then, and where there is no room it stays as it was. */
START_TEST(grown)
{
    size_t bytes = 0;
    char *p = sysmem_grow(NULL, &bytes, 1, SYS_GC);
    ck_assert_uint_eq(bytes, PAGE);
    ck_assert_ptr_eq(sysmem_grow(p, &bytes, PAGE, SYS_GC), p);
    p[0] = 1;
    p[PAGE - 1] = 2;
    os_fail(1, false);
    ck_assert_ptr_null(sysmem_grow(p, &bytes, PAGE + 1, SYS_GC));
    ck_assert_uint_eq(bytes, PAGE);
    char *q = sysmem_grow(p, &bytes, PAGE + 1, SYS_GC);
    ck_assert_ptr_ne(q, p);
    ck_assert_uint_eq(bytes, 2 * PAGE);
    ck_assert(q[0] == 1 && q[PAGE - 1] == 2 && q[PAGE] == 0);
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 0);
    check_sum();
    sysmem_free_retired();
    ck_assert_uint_eq(os_null.calls[OS_NULL_FREE], 1);
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), 2 * PAGE);
}
END_TEST

START_TEST(map)
{
    char *p = os_reserve(0, 16 * PAGE, false);
    ck_assert_uint_eq(sysmem_total(), 0);
    ck_assert(sysmem_map(p, 4 * PAGE, SYS_HEAP));
    ck_assert_uint_eq(sysmem_bytes(SYS_HEAP), 4 * PAGE);
    p[4 * PAGE - 1] = 1;
    ck_assert(sysmem_map(p + 4 * PAGE, PAGE, SYS_GC));
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), PAGE);
    check_sum();
}
END_TEST

START_TEST(move)
{
    ck_assert_ptr_nonnull(sysmem_alloc(3 * PAGE, SYS_OTHER));
    sysmem_move(1000, SYS_OTHER, SYS_MSPAN);
    ck_assert_uint_eq(sysmem_bytes(SYS_OTHER), 3 * PAGE - 1000);
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), 1000);
    check_sum();
}
END_TEST

START_TEST(move_of_more_than_there_is) { sysmem_move(1, SYS_OTHER, SYS_MSPAN); }
END_TEST

START_TEST(failure_is_not_counted)
{
    char *p = os_reserve(0, 16 * PAGE, false);
    os_fail(1, true);
    ck_assert_ptr_null(sysmem_alloc(PAGE, SYS_GC));
    ck_assert(!sysmem_map(p, PAGE, SYS_HEAP));
    ck_assert_uint_eq(os_null.failed, 2);
    ck_assert_uint_eq(sysmem_total(), 0);
    os_fail(0, false);
    ck_assert_ptr_nonnull(sysmem_alloc(PAGE, SYS_GC));
    ck_assert(sysmem_map(p, PAGE, SYS_HEAP));
    check_sum();
}
END_TEST

/* Frozen, the heap is refused and everything else is not; the system is not even asked. */
START_TEST(frozen)
{
    char *p = os_reserve(0, 16 * PAGE, false);
    ck_assert(!sysmem_frozen());
    ck_assert(!sysmem_set_frozen(true));
    ck_assert(sysmem_frozen());
    uint64_t calls = os_null_fallible_calls();
    ck_assert(!sysmem_map(p, PAGE, SYS_HEAP));
    ck_assert_uint_eq(os_null_fallible_calls(), calls);
    ck_assert_uint_eq(sysmem_bytes(SYS_HEAP), 0);
    ck_assert(sysmem_map(p + PAGE, PAGE, SYS_GC));
    ck_assert_ptr_nonnull(sysmem_alloc(PAGE, SYS_OTHER));
    ck_assert(sysmem_set_frozen(false));
    ck_assert(sysmem_map(p, PAGE, SYS_HEAP));
    check_sum();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, alloc_and_free);
    tcase_add_test(tc, retired);
    tcase_add_test(tc, grown);
    tcase_add_test(tc, map);
    tcase_add_test(tc, move);
    tcase_add_test(tc, failure_is_not_counted);
    tcase_add_test(tc, frozen);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, move_of_more_than_there_is, SIGABRT);
}
CHECK_MAIN("unit/sysmem", tests)
