/* gcbits.c - bitmaps of every length: zeroed, apart, recycled. */
#include "heap.h"

#include "base/check.h"
#include "heap/gcbits.h"

#include <string.h>

static bool is_zero(const uint64_t *b, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (b[i])
            return false;
    return true;
}

/* .zero: new ones, of every length, all kept and soiled. */
START_TEST(fresh)
{
    for (size_t nbits = 1; nbits <= SIZECLASS_MAX_OBJECTS; nbits++) {
        uint64_t *b = gcbits_alloc(nbits);
        if (!b || !is_zero(b, bits_words(nbits)))
            ck_abort_msg("a bitmap of %zu", nbits);
        memset(b, 0xff, bits_words(nbits) * sizeof *b);
    }
}
END_TEST

/* .zero: recycled ones; one of the same number of words is the one that came back. */
START_TEST(reuse)
{
    for (size_t nbits = 1; nbits <= SIZECLASS_MAX_OBJECTS; nbits++) {
        size_t words = bits_words(nbits);
        uint64_t *b = gcbits_alloc(nbits);
        memset(b, 0xff, words * sizeof *b);
        gcbits_free(b, nbits);
        uint64_t *again = gcbits_alloc(words * WORD_BITS);
        if (again != b || !is_zero(again, words))
            ck_abort_msg("%zu bits: %p came back as %p", nbits, (void *)b, (void *)again);
        gcbits_free(again, nbits);
    }
}
END_TEST

START_TEST(memory_stays)
{
    uint64_t *b[1000];
    for (int i = 0; i < 1000; i++)
        b[i] = gcbits_alloc(170);
    uint64_t before = sysmem_bytes(SYS_GC);
    ck_assert_uint_ge(before, 1000 * 3 * sizeof(uint64_t));
    ck_assert_uint_le(before, 1000 * 3 * sizeof(uint64_t) + 4096);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 1000; i++)
            gcbits_free(b[i], 170);
        for (int i = 0; i < 1000; i++)
            b[i] = gcbits_alloc(170);
    }
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), before);
}
END_TEST

START_TEST(failure)
{
    os_fail(1, true);
    ck_assert_ptr_null(gcbits_alloc(64));
    ck_assert_ptr_null(gcbits_alloc(SIZECLASS_MAX_OBJECTS));
    os_fail(0, false);
    uint64_t *b = gcbits_alloc(64);
    ck_assert(b && is_zero(b, 1));
}
END_TEST

START_TEST(no_bits) { gcbits_alloc(0); }
END_TEST

START_TEST(too_many_bits) { gcbits_alloc(SIZECLASS_MAX_OBJECTS + 1); }
END_TEST

/* With checks=full, a write into a free bitmap is seen when it is handed out. */
START_TEST(written_while_free)
{
    uint64_t *b = gcbits_alloc(128);
    gcbits_free(b, 128);
    b[1] = 1;
    gcbits_alloc(128);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, fresh);
    tcase_add_test(tc, reuse);
    tcase_add_test(tc, memory_stays);
    tcase_add_test(tc, failure);
    if (GC_CHECKS >= 1) {
        tcase_add_test_raise_signal(tc, no_bits, SIGABRT);
        tcase_add_test_raise_signal(tc, too_many_bits, SIGABRT);
    }
    if (GC_CHECKS >= 2)
        tcase_add_test_raise_signal(tc, written_while_free, SIGABRT);
}
CHECK_MAIN("unit/gcbits", tests)
