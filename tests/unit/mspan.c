/* mspan.c - a span of every class: its slots, its bitmaps, and objects noted free. */
#include "heap.h"

#include "heap/gcbits.h"

#include <string.h>

static void setup(void) { heap_start(); }

static struct mspan *span_of(spanclass spc)
{
    struct mspan *s = pages(sizeclass_pages[spanclass_sizeclass(spc)], spc);
    ck_assert_ptr_nonnull(s);
    return s;
}

/* As an mcentral would leave a span in which the first n slots are allocated. */
static void fill(struct mspan *s, size_t n)
{
    bits_set_range(s->alloc_bits, 0, n);
    s->alloc_count = (int32_t)n;
}

static void check_new(const struct mspan *s, spanclass spc)
{
    ck_assert_int_eq(mspan_state_of(s), MSPAN_INUSE);
    ck_assert_uint_eq(s->spanclass_, spc);
    ck_assert_int_eq(s->scan, spanclass_noscan(spc) ? SCAN_NONE : SCAN_ALL);
    ck_assert(!s->pinned && s->alloc_count == 0 && s->groups_done == 0 && s->list == 0);
    ck_assert(!atomic_load(&s->owner) && !atomic_load(&s->free_bits) && atomic_load(&s->freed) == 0);
    ck_assert_ptr_ne(s->alloc_bits, s->gcmark_bits);
    ck_assert_uint_eq(bits_count(s->alloc_bits, mspan_words(s)), 0);
    ck_assert_uint_eq(bits_count(s->gcmark_bits, mspan_words(s)), 0);
    mspan_check(s);
}

static void check_slots(const struct mspan *s)
{
    for (size_t i = 0; i < s->nelems; i++) {
        uintptr_t p = mspan_slot(s, i);
        if (mspan_index(s, p) != i || mspan_index(s, p + s->elemsize - 1) != i || p + s->elemsize > mspan_limit(s))
            ck_abort_msg("slot %zu of %zu bytes", i, s->elemsize);
    }
    uintptr_t tail = s->base + s->nelems * s->elemsize;
    if (tail < mspan_limit(s))
        ck_assert(mspan_index(s, tail) >= s->nelems && mspan_index(s, mspan_limit(s) - 1) >= s->nelems);
}

START_TEST(every_class)
{
    for (unsigned spc = SPANCLASS_LARGE_NOSCAN + 1; spc < SPANCLASS_COUNT; spc++) {
        struct mspan *s = span_of((spanclass)spc);
        check_new(s, (spanclass)spc);
        ck_assert_uint_eq(s->elemsize, spanclass_size((spanclass)spc));
        ck_assert_uint_eq(s->nelems, mspan_bytes(s) / s->elemsize);
        ck_assert(!mspan_is_large(s));
        check_slots(s);
    }
}
END_TEST

START_TEST(large)
{
    for (spanclass spc = SPANCLASS_LARGE; spc <= SPANCLASS_LARGE_NOSCAN; spc++) {
        struct mspan *s = pages(1000, spc);
        check_new(s, spc);
        ck_assert(mspan_is_large(s));
        ck_assert_uint_eq(s->elemsize, 1000 * HEAP_PAGE);
        ck_assert_uint_eq(s->nelems, 1);
        check_slots(s);
    }
}
END_TEST

/* Records do not share cache lines. */
START_TEST(layout)
{
    ck_assert_uint_eq(sizeof(struct mspan) % 64, 0);
    ck_assert_uint_eq((uintptr_t)span_of(spanclass_make(2, false)) % 64, 0);
}
END_TEST

/* What a span gives up is what the next one of as many slots takes, zeroed. */
START_TEST(bitmaps_come_back)
{
    struct mspan *s = span_of(spanclass_make(2, false));
    fill(s, 100);
    ck_assert_int_eq(mspan_note_free(s, 0), FREED_OK);
    uint64_t before = sysmem_bytes(SYS_GC);
    for (int i = 0; i < 200; i++) {
        pageheap_free(s);
        s = span_of(spanclass_make(2, false));
        check_new(s, spanclass_make(2, false));
        fill(s, 100);
        ck_assert_int_eq(mspan_note_free(s, 0), FREED_OK);
    }
    ck_assert_uint_eq(sysmem_bytes(SYS_GC), before);
}
END_TEST

/* .freed */
START_TEST(note_and_fold)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    fill(s, 150);
    ck_assert_uint_eq(mspan_fold_free(s), 0);
    ck_assert(!mspan_any_freed(s));
    static const size_t freed[] = {0, 3, 63, 64, 127, 149};
    for (size_t i = 0; i < 6; i++) {
        ck_assert_int_eq(mspan_note_free(s, freed[i]), FREED_OK);
        ck_assert(mspan_slot_freed(s, freed[i]));
        ck_assert(!mspan_slot_freed(s, freed[i] + 1));
        ck_assert(bits_test(s->alloc_bits, freed[i]));
        ck_assert_int_eq(atomic_load(&s->freed), (int)i + 1);
        mspan_check(s);
    }
    ck_assert(mspan_any_freed(s));
    ck_assert_uint_eq(mspan_fold_free(s), 6);
    s->alloc_count -= 6;
    for (size_t i = 0; i < 6; i++)
        ck_assert(!bits_test(s->alloc_bits, freed[i]) && !mspan_slot_freed(s, freed[i]));
    ck_assert_int_eq(atomic_load(&s->freed), 0);
    ck_assert(!mspan_any_freed(s));
    mspan_check(s);
    ck_assert_uint_eq(mspan_fold_free(s), 0);
}
END_TEST

/* Noted and not folded, folded, and never allocated: each is refused and counts nothing. */
START_TEST(free_twice)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    fill(s, 10);
    ck_assert_int_eq(mspan_note_free(s, 10), FREED_TWICE);
    ck_assert_int_eq(mspan_note_free(s, 5), FREED_OK);
    ck_assert_int_eq(mspan_note_free(s, 5), FREED_TWICE);
    ck_assert_int_eq(atomic_load(&s->freed), 1);
    ck_assert_uint_eq(mspan_fold_free(s), 1);
    ck_assert_int_eq(mspan_note_free(s, 5), FREED_TWICE);
    ck_assert_int_eq(atomic_load(&s->freed), 0);
    bits_set(s->alloc_bits, 5); /* taken again, it can be freed again */
    ck_assert_int_eq(mspan_note_free(s, 5), FREED_OK);
}
END_TEST

START_TEST(no_memory_for_a_note)
{
    struct mspan *s = span_of(spanclass_make(1, false));
    fill(s, 1024);
    os_fail(1, true);
    while (gcbits_alloc(1024))
        ;
    ck_assert_int_eq(mspan_note_free(s, 7), FREED_NO_MEMORY);
    ck_assert_ptr_null(atomic_load(&s->free_bits));
    ck_assert_int_eq(atomic_load(&s->freed), 0);
    mspan_check(s);
    os_fail(0, false);
    ck_assert_int_eq(mspan_note_free(s, 7), FREED_OK);
    mspan_check(s);
}
END_TEST

/* One bitmap where a span needs two: no span, and the bitmap is there for who needs one. */
START_TEST(one_bitmap_for_a_span)
{
    span_of(spanclass_make(1, false));
    os_fail(1, true);
    uint64_t *last = NULL;
    for (uint64_t *b; (b = gcbits_alloc(1024));)
        last = b;
    gcbits_free(last, 1024);
    ck_assert_ptr_null(pages(1, spanclass_make(1, false)));
    check_heap_at_rest();
    ck_assert_ptr_eq(gcbits_alloc(1024), last);
}
END_TEST

START_TEST(random_frees)
{
    struct mspan *s = span_of(spanclass_make(2, true));
    bool allocated[512], noted[512];
    uint32_t x = 1;
    memset(allocated, true, sizeof allocated);
    memset(noted, false, sizeof noted);
    fill(s, 512);
    for (int step = 0; step < 20000; step++) {
        size_t i = next_random(&x) % 512;
        bool ok = allocated[i] && !noted[i];
        if ((mspan_note_free(s, i) == FREED_OK) != ok)
            ck_abort_msg("step %d, slot %zu", step, i);
        noted[i] |= ok;
        if (step % 500)
            continue;
        size_t want = 0;
        for (i = 0; i < 512; i++) {
            want += noted[i];
            allocated[i] ^= noted[i];
            noted[i] = false;
        }
        ck_assert_uint_eq(mspan_fold_free(s), want);
        s->alloc_count -= (int32_t)want;
        mspan_check(s);
        for (i = next_random(&x) % 4; i < 512; i += 4) {
            s->alloc_count += !allocated[i];
            allocated[i] = true;
            bits_set(s->alloc_bits, i);
        }
    }
}
END_TEST

/* .count */
START_TEST(broken_count)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    fill(s, 10);
    s->alloc_count = 9;
    mspan_check(s);
}
END_TEST

/* .bits */
START_TEST(broken_bits)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    bits_set(s->gcmark_bits, s->nelems);
    mspan_check(s);
}
END_TEST

/* .freed */
START_TEST(broken_freed)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    fill(s, 10);
    mspan_note_free(s, 9);
    bits_clear(s->alloc_bits, 9);
    s->alloc_count--;
    mspan_check(s);
}
END_TEST

START_TEST(check_of_a_free_run)
{
    struct mspan *s = span_of(spanclass_make(4, false));
    pageheap_free(s);
    mspan_check(s);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, every_class);
    tcase_add_test(tc, large);
    tcase_add_test(tc, layout);
    tcase_add_test(tc, bitmaps_come_back);
    tcase_add_test(tc, note_and_fold);
    tcase_add_test(tc, free_twice);
    tcase_add_test(tc, no_memory_for_a_note);
    tcase_add_test(tc, one_bitmap_for_a_span);
    tcase_add_test(tc, random_frees);
    tcase_add_test_raise_signal(tc, broken_count, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_bits, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_freed, SIGABRT);
    tcase_add_test_raise_signal(tc, check_of_a_free_run, SIGABRT);
}
CHECK_MAIN("unit/mspan", tests)
