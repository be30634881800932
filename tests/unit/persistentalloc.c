/* persistentalloc.c - zeroed, aligned, apart, counted; a new chunk when one is used up; what failure leaves. */
#include "heap.h"

#include "base/check.h"
#include "heap/persistentalloc.h"

#include <string.h>

static uint64_t chunks(void) { return os_null.calls[OS_NULL_ALLOC]; }

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

START_TEST(alignment)
{
    for (size_t align = 1; align <= os_page_size(); align *= 2) {
        for (size_t n = 1; n < 100; n += 7) {
            char *p = persistentalloc(n, align, SYS_GC);
            if (!p || (uintptr_t)p % align != 0 || !is_zero(p, n))
                ck_abort_msg("%zu bytes at %zu: %p", n, align, (void *)p);
            memset(p, 0xff, n); /* a block that overlapped the next would not leave it zero */
        }
    }
}
END_TEST

/* .bump: blocks follow each other through the chunk, one call of the system a chunk. */
START_TEST(chunk_change)
{
    enum { SIZE = 1000, IN_CHUNK = PERSISTENT_CHUNK / SIZE };
    char *first = persistentalloc(SIZE, 1, SYS_GC);
    for (int i = 1; i < IN_CHUNK; i++)
        ck_assert_ptr_eq(persistentalloc(SIZE, 1, SYS_GC), first + i * SIZE);
    ck_assert_uint_eq(chunks(), 1);
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), IN_CHUNK * SIZE);
    ck_assert_uint_eq(sysmem_bytes(SYS_OTHER), PERSISTENT_CHUNK - IN_CHUNK * SIZE);
    char *next = persistentalloc(SIZE, 1, SYS_MSPAN);
    ck_assert(next + SIZE <= first || next >= first + PERSISTENT_CHUNK);
    ck_assert_uint_eq(chunks(), 2);
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), SIZE);
    ck_assert_uint_eq(sysmem_total(), 2 * PERSISTENT_CHUNK);
}
END_TEST

START_TEST(chunk_used_to_its_last_byte)
{
    char *first = persistentalloc(PERSISTENT_CHUNK / 8, 1, SYS_GC);
    for (size_t i = 1; i < 8; i++)
        ck_assert_ptr_eq(persistentalloc(PERSISTENT_CHUNK / 8, 1, SYS_GC), first + i * (PERSISTENT_CHUNK / 8));
    ck_assert_uint_eq(chunks(), 1);
    ck_assert_uint_eq(sysmem_bytes(SYS_OTHER), 0);
    ck_assert_ptr_nonnull(persistentalloc(1, 1, SYS_GC));
    ck_assert_uint_eq(chunks(), 2);
}
END_TEST

START_TEST(direct_blocks)
{
    char *small = persistentalloc(100, 1, SYS_GC);
    char *p = persistentalloc(PERSISTENT_DIRECT, 4096, SYS_BUCKHASH);
    char *q = persistentalloc(PERSISTENT_DIRECT + 1, 1, SYS_BUCKHASH);
    ck_assert_uint_eq(chunks(), 3);
    ck_assert_uint_eq((uintptr_t)p % os_page_size(), 0);
    ck_assert(is_zero(p, PERSISTENT_DIRECT) && is_zero(q, PERSISTENT_DIRECT + 1));
    ck_assert_uint_eq(sysmem_bytes(SYS_BUCKHASH), 2 * PERSISTENT_DIRECT + os_page_size());
    ck_assert_ptr_eq(persistentalloc(PERSISTENT_DIRECT - 1, 1, SYS_GC), small + 100);
    ck_assert_uint_eq(chunks(), 3);
}
END_TEST

START_TEST(failure_of_the_first_chunk)
{
    os_fail(1, true);
    ck_assert_ptr_null(persistentalloc(64, 8, SYS_GC));
    ck_assert_ptr_null(persistentalloc(PERSISTENT_DIRECT, 8, SYS_GC));
    ck_assert_uint_eq(sysmem_total(), 0);
    os_fail(0, false);
    ck_assert_ptr_nonnull(persistentalloc(64, 8, SYS_GC));
}
END_TEST

/* What is left of the chunk still serves requests that fit it. */
START_TEST(failure_of_a_later_chunk)
{
    char *first = persistentalloc(60000, 1, SYS_GC);
    for (int i = 1; i < 4; i++)
        ck_assert_ptr_nonnull(persistentalloc(60000, 1, SYS_GC));
    os_fail(1, true);
    ck_assert_ptr_null(persistentalloc(60000, 1, SYS_GC));
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), 240000);
    ck_assert_uint_eq(sysmem_total(), PERSISTENT_CHUNK);
    ck_assert_ptr_eq(persistentalloc(1000, 1, SYS_GC), first + 240000);
    os_fail(0, false);
    ck_assert_ptr_nonnull(persistentalloc(60000, 1, SYS_GC));
}
END_TEST

START_TEST(alignment_not_a_power_of_two) { persistentalloc(8, 24, SYS_GC); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, alignment);
    tcase_add_test(tc, chunk_change);
    tcase_add_test(tc, chunk_used_to_its_last_byte);
    tcase_add_test(tc, direct_blocks);
    tcase_add_test(tc, failure_of_the_first_chunk);
    tcase_add_test(tc, failure_of_a_later_chunk);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, alignment_not_a_power_of_two, SIGABRT);
}
CHECK_MAIN("unit/persistentalloc", tests)
