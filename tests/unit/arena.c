/* arena.c - the range: its start, its growth through a second reservation, its tables, and what each refusal leaves. */
#include "heap.h"

#include "base/check.h"

#include <sys/mman.h>

static uint64_t reservations(void) { return os_null.calls[OS_NULL_RESERVE]; }

/* .range and .tables; what is counted is what is mapped. */
static void check_arena(void)
{
    size_t used = arena_used();
    ck_assert_uint_eq(arena.base % GRANULE, 0);
    ck_assert(used <= arena.reserved && arena.reserved <= arena.max);
    ck_assert_uint_eq(sysmem_bytes(SYS_HEAP), used);
    ck_assert_uint_eq(sysmem_total(), os_null.mapped);
    for (size_t page = 0; page < used >> PAGE_SHIFT; page++)
        if (arena.spans[page] || arena.runs[page] || bits_test(arena.dirty, page) || bits_test(arena.released, page))
            ck_abort_msg("page %zu", page);
}

START_TEST(start)
{
    ck_assert(arena_init(64 * MIB, 256 * MIB));
    ck_assert_uint_eq(arena.base, UINT64_C(0x200000000000));
    ck_assert_uint_eq(arena.reserved, 64 * MIB);
    ck_assert_uint_eq(arena.max, 256 * MIB);
    ck_assert_uint_eq(arena_used(), 0);
    ck_assert(!arena_contains(arena.base));
    ck_assert_uint_eq(os_null.mapped, 0);
    check_arena();
}
END_TEST

START_TEST(addresses)
{
    ck_assert(arena_init(64 * MIB, 64 * MIB));
    ck_assert_uint_eq(arena_grow(2 * GRANULE), arena.base);
    ck_assert(!arena_contains(0));
    ck_assert(!arena_contains(arena.base - 1));
    ck_assert(arena_contains(arena.base));
    ck_assert(arena_contains(arena.base + 2 * GRANULE - 1));
    ck_assert(!arena_contains(arena.base + 2 * GRANULE));
    ck_assert(!arena_contains(UINTPTR_MAX));
    ck_assert_uint_eq(arena_page(arena.base), 0);
    ck_assert_uint_eq(arena_page(arena.base + HEAP_PAGE - 1), 0);
    ck_assert_uint_eq(arena_page(arena.base + HEAP_PAGE), 1);
    for (size_t page = 0; page < 2 * GRANULE_PAGES; page++)
        if (arena_page(arena_address(page)) != page)
            ck_abort_msg("page %zu", page);
}
END_TEST

START_TEST(page_to_span)
{
    static struct mspan a, b;
    ck_assert(arena_init(64 * MIB, 64 * MIB));
    arena_grow(GRANULE);
    arena_set_span(3, &a);
    arena_set_span(4, &b);
    ck_assert_ptr_null(arena_span(arena_address(3) - 1));
    ck_assert_ptr_eq(arena_span(arena_address(3)), &a);
    ck_assert_ptr_eq(arena_span(arena_address(4) - 1), &a);
    ck_assert_ptr_eq(arena_span(arena_address(4)), &b);
}
END_TEST

START_TEST(growth)
{
    ck_assert(arena_init(256 * MIB, 256 * MIB));
    uint64_t before = reservations();
    for (size_t n = 1; n <= 10; n++) {
        size_t used = arena_used();
        char *p = (char *)arena_grow(n * GRANULE);
        ck_assert_uint_eq((uintptr_t)p, arena.base + used);
        ck_assert_uint_eq(arena_used(), used + n * GRANULE);
        p[0] = p[n * GRANULE - 1] = 1;
        check_arena();
    }
    ck_assert_uint_eq(reservations(), before);
}
END_TEST

/* The first reservation is full: more is reserved right above it, and the range stays one. */
START_TEST(second_reservation)
{
    ck_assert(arena_init(ARENA_MIN, 4 * ARENA_MIN));
    ck_assert_uint_eq(arena_grow(ARENA_MIN), arena.base);
    uint64_t before = reservations();
    ck_assert_uint_eq(arena_grow(GRANULE), arena.base + ARENA_MIN);
    ck_assert_uint_eq(reservations(), before + 1);
    ck_assert_uint_eq(arena.reserved, 2 * ARENA_MIN);
    ck_assert(arena_contains(arena.base + ARENA_MIN + GRANULE - 1));
    check_arena();
    ck_assert_uint_eq(arena_grow(3 * ARENA_MIN - GRANULE), arena.base + ARENA_MIN + GRANULE);
    ck_assert_uint_eq(arena_used(), arena.max);
    check_arena();
    uint64_t calls = os_null_fallible_calls();
    ck_assert_uint_eq(arena_grow(GRANULE), 0);
    ck_assert_uint_eq(os_null_fallible_calls(), calls);
    check_arena();
}
END_TEST

static void occupy(uintptr_t at)
{
    void *p = mmap((void *)at, os_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_uint_eq((uintptr_t)p, at);
}

/* Somebody else's memory above: as much again does not fit, what is needed does. */
START_TEST(second_reservation_beside_a_neighbour)
{
    ck_assert(arena_init(ARENA_MIN, 4 * ARENA_MIN));
    arena_grow(ARENA_MIN);
    occupy(arena.base + ARENA_MIN + 2 * GRANULE);
    ck_assert_uint_eq(arena_grow(2 * GRANULE), arena.base + ARENA_MIN);
    ck_assert_uint_eq(arena.reserved, ARENA_MIN + 2 * GRANULE);
    check_arena();
    ck_assert_uint_eq(arena_grow(GRANULE), 0);
    ck_assert_uint_eq(arena.reserved, ARENA_MIN + 2 * GRANULE);
    check_arena();
}
END_TEST

START_TEST(range_not_at_a_granule)
{
    os_null.base += os_page_size();
    ck_assert(arena_init(ARENA_MIN + 5 * os_page_size(), UINT64_MAX));
    ck_assert_uint_eq(arena.base % GRANULE, 0);
    ck_assert_uint_eq(arena.reserved, ARENA_MIN - GRANULE);
    ck_assert_uint_eq(arena_grow(ARENA_MIN - GRANULE), arena.base);
    check_arena();
}
END_TEST

START_TEST(less_address_space_than_asked)
{
    os_fail(1, false);
    ck_assert(arena_init(64 * MIB, 64 * MIB));
    ck_assert_uint_eq(os_null.failed, 1);
    ck_assert_uint_eq(arena.reserved, 32 * MIB);
    ck_assert_uint_eq(arena.max, 64 * MIB);
    ck_assert_uint_ne(arena_grow(64 * MIB), 0);
    check_arena();
}
END_TEST

START_TEST(no_address_space)
{
    ck_assert(!arena_init(ARENA_MIN - GRANULE, 64 * MIB));
    ck_assert_uint_eq(reservations(), 0);
    os_fail(1, true);
    ck_assert(!arena_init(64 * MIB, 64 * MIB));
    ck_assert_uint_eq(reservations(), 3); /* 64, 32, 16 */
    ck_assert_uint_eq(arena.reserved, 0);
    os_fail(0, false);
    ck_assert(arena_init(64 * MIB, 64 * MIB));
}
END_TEST

START_TEST(frozen)
{
    ck_assert(arena_init(64 * MIB, 64 * MIB));
    sysmem_set_frozen(true);
    uint64_t calls = os_null_fallible_calls();
    ck_assert_uint_eq(arena_grow(GRANULE), 0);
    ck_assert_uint_eq(os_null_fallible_calls(), calls);
    sysmem_set_frozen(false);
    ck_assert_uint_eq(arena_grow(GRANULE), arena.base);
    check_arena();
}
END_TEST

/* Growth through two further reservations. What is refused changes nothing, and the same request succeeds then. */
static void grow_far(void)
{
    ck_assert(arena_init(ARENA_MIN, 4 * ARENA_MIN));
    for (size_t used = 0; used < 4 * ARENA_MIN; used += ARENA_MIN / 2) {
        uintptr_t p = arena_grow(ARENA_MIN / 2);
        if (!p) {
            ck_assert_uint_eq(arena_used(), used);
            check_arena();
            p = arena_grow(ARENA_MIN / 2);
        }
        ck_assert_uint_eq(p, arena.base + used);
        ck_assert_uint_eq(arena_used(), used + ARENA_MIN / 2);
        check_arena();
    }
}

enum { FIRST_RESERVATIONS = 8, CALLS = 40 }; /* the range and seven tables; what growth calls after these */

START_TEST(each_call_refused)
{
    os_fail(FIRST_RESERVATIONS + (uint64_t)_i, false);
    grow_far();
}
END_TEST

START_TEST(calls_are_all_refused_above)
{
    grow_far();
    ck_assert_uint_eq(reservations(), FIRST_RESERVATIONS + 2);
    ck_assert_uint_lt(os_null_fallible_calls(), FIRST_RESERVATIONS + CALLS);
}
END_TEST

START_TEST(growth_by_half_a_granule)
{
    ck_assert(arena_init(64 * MIB, 64 * MIB));
    arena_grow(GRANULE / 2);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, start);
    tcase_add_test(tc, addresses);
    tcase_add_test(tc, page_to_span);
    tcase_add_test(tc, growth);
    tcase_add_test(tc, second_reservation);
    tcase_add_test(tc, second_reservation_beside_a_neighbour);
    tcase_add_test(tc, range_not_at_a_granule);
    tcase_add_test(tc, less_address_space_than_asked);
    tcase_add_test(tc, no_address_space);
    tcase_add_test(tc, frozen);
    tcase_add_loop_test(tc, each_call_refused, 1, CALLS);
    tcase_add_test(tc, calls_are_all_refused_above);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, growth_by_half_a_granule, SIGABRT);
}
CHECK_MAIN("unit/arena", tests)
