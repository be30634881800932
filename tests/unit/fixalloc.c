/* fixalloc.c - records: aligned, apart, recycled, counted, and what of them a new user may rely on. */
#include "heap.h"

#include "base/check.h"
#include "heap/fixalloc.h"

#include <string.h>

enum { SIZE = 192, ALIGN = 64, IN_CHUNK = FIXALLOC_CHUNK / SIZE };

static struct fixalloc f;

static void setup(void) { fixalloc_init(&f, SIZE, ALIGN, SYS_MSPAN); }

/* .inuse */
START_TEST(fresh)
{
    char *p[3 * IN_CHUNK];
    for (int i = 0; i < 3 * IN_CHUNK; i++) {
        p[i] = fixalloc_alloc(&f);
        ck_assert(p[i] && (uintptr_t)p[i] % ALIGN == 0);
        for (int b = 0; b < SIZE; b++)
            if (p[i][b])
                ck_abort_msg("record %d, byte %d is not zero", i, b);
        memset(p[i], 0xff, SIZE);
        ck_assert_uint_eq(f.inuse, (size_t)(i + 1) * SIZE);
    }
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), 3 * FIXALLOC_CHUNK);
    for (int i = 0; i < 3 * IN_CHUNK; i++)
        fixalloc_free(&f, p[i]);
    ck_assert_uint_eq(f.inuse, 0);
}
END_TEST

/* A record that comes back is handed out again before memory is taken; its first word is zero, the rest as it was. */
START_TEST(reuse)
{
    char *a = fixalloc_alloc(&f), *b = fixalloc_alloc(&f);
    memset(a, 'a', SIZE);
    memset(b, 'b', SIZE);
    fixalloc_free(&f, a);
    fixalloc_free(&f, b);
    ck_assert_uint_eq(f.inuse, 0);
    char *again[2] = {fixalloc_alloc(&f), fixalloc_alloc(&f)};
    ck_assert_ptr_eq(again[0], b);
    ck_assert_ptr_eq(again[1], a);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(*(uint64_t *)(void *)again[i], 0);
        for (size_t at = sizeof(uint64_t); at < SIZE; at++)
            ck_assert_int_eq(again[i][at], i ? 'a' : 'b');
    }
    ck_assert_uint_eq(f.inuse, 2 * SIZE);
}
END_TEST

/* Records that fill a chunk to its last byte. */
START_TEST(whole_chunk)
{
    fixalloc_init(&f, 128, 64, SYS_MSPAN);
    char *first = fixalloc_alloc(&f);
    for (int i = 1; i < FIXALLOC_CHUNK / 128; i++)
        ck_assert_ptr_eq(fixalloc_alloc(&f), first + i * 128);
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), FIXALLOC_CHUNK);
    ck_assert_ptr_nonnull(fixalloc_alloc(&f));
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), 2 * FIXALLOC_CHUNK);
}
END_TEST

START_TEST(memory_stays)
{
    static void *p[IN_CHUNK];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < IN_CHUNK; i++)
            p[i] = fixalloc_alloc(&f);
        for (int i = 0; i < IN_CHUNK; i++)
            fixalloc_free(&f, p[i]);
    }
    ck_assert_uint_eq(sysmem_bytes(SYS_MSPAN), FIXALLOC_CHUNK);
}
END_TEST

START_TEST(failure)
{
    os_fail(1, true);
    ck_assert_ptr_null(fixalloc_alloc(&f));
    ck_assert_uint_eq(f.inuse, 0);
    os_fail(0, false);
    void *p = fixalloc_alloc(&f);
    ck_assert_ptr_nonnull(p);
    fixalloc_free(&f, p);
    os_fail(1, true); /* what was freed needs no system */
    ck_assert_ptr_eq(fixalloc_alloc(&f), p);
}
END_TEST

START_TEST(one_more_free_than_alloc)
{
    static char record[SIZE];
    fixalloc_free(&f, record);
}
END_TEST

START_TEST(record_without_room_for_a_link) { fixalloc_init(&f, 4, 4, SYS_OTHER); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, fresh);
    tcase_add_test(tc, reuse);
    tcase_add_test(tc, whole_chunk);
    tcase_add_test(tc, memory_stays);
    tcase_add_test(tc, failure);
    if (!GC_CHECKS)
        return;
    tcase_add_test_raise_signal(tc, one_more_free_than_alloc, SIGABRT);
    tcase_add_test_raise_signal(tc, record_without_room_for_a_link, SIGABRT);
}
CHECK_MAIN("unit/fixalloc", tests)
