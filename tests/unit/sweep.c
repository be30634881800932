/* sweep.c - one span's sweep: the marked survive, the unmarked are free, and what is counted. */
#include "heap.h"

#include "base/check.h"

static struct mspan *s;

/* A span of 170 objects of 48 bytes with the slots of [0, n) allocated. */
static void start(size_t n)
{
    heap_start();
    s = pages(1, spanclass_make(4, false));
    bits_set_range(s->alloc_bits, 0, n);
    s->alloc_count = (int32_t)n;
}

static void end_of_mark(void)
{
    preset_marks(s, NULL);
    atomic_fetch_add(&heap_sweepgen, 2);
}

static size_t sweep(void)
{
    end_of_mark();
    ck_assert(!mspan_is_swept(s));
    ck_assert(sweep_claim(s));
    ck_assert(!mspan_is_swept(s));
    size_t dead = sweep_span(s);
    ck_assert(mspan_is_swept(s));
    ck_assert_uint_eq(bits_count(s->gcmark_bits, mspan_words(s)), 0);
    ck_assert_uint_eq(s->groups_done, 0);
    mspan_check(s);
    return dead;
}

START_TEST(new_span_is_swept)
{
    start(0);
    ck_assert(mspan_is_swept(s));
    ck_assert(!sweep_claim(s));
}
END_TEST

START_TEST(marked_survive)
{
    start(170);
    for (size_t i = 0; i < 170; i += 3)
        bits_set(s->gcmark_bits, i);
    ck_assert_uint_eq(sweep(), 170 - 57);
    ck_assert_int_eq(s->alloc_count, 57);
    for (size_t i = 0; i < 170; i++)
        if (bits_test(s->alloc_bits, i) != (i % 3 == 0))
            ck_abort_msg("slot %zu", i);
}
END_TEST

START_TEST(nothing_marked)
{
    start(170);
    ck_assert_uint_eq(sweep(), 170);
    ck_assert_int_eq(s->alloc_count, 0);
    ck_assert_uint_eq(bits_count(s->alloc_bits, 3), 0);
}
END_TEST

START_TEST(all_marked)
{
    start(170);
    bits_set_range(s->gcmark_bits, 0, 170);
    ck_assert_uint_eq(sweep(), 0);
    ck_assert_int_eq(s->alloc_count, 170);
}
END_TEST

START_TEST(part_allocated)
{
    start(100);
    bits_set(s->gcmark_bits, 99);
    ck_assert_uint_eq(sweep(), 99);
    ck_assert_int_eq(s->alloc_count, 1);
}
END_TEST

/* What gc_free let go is counted there, not here; the note is gone with the sweep. */
START_TEST(freed_objects)
{
    start(100);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(mspan_note_free(s, i), FREED_OK);
    for (size_t i = 50; i < 100; i++)
        bits_set(s->gcmark_bits, i);
    ck_assert_uint_eq(sweep(), 40);
    ck_assert_int_eq(s->alloc_count, 50);
    ck_assert(!mspan_any_freed(s));
    ck_assert_int_eq(atomic_load(&s->freed), 0);
    ck_assert(!mspan_slot_freed(s, 3));
    ck_assert_int_eq(mspan_note_free(s, 3), FREED_TWICE);
    ck_assert_int_eq(mspan_note_free(s, 50), FREED_OK);
}
END_TEST

/* .claim: once a cycle. */
START_TEST(claimed_once)
{
    start(1);
    for (int cycle = 0; cycle < 5; cycle++) {
        bits_set(s->gcmark_bits, 0);
        end_of_mark();
        ck_assert(sweep_claim(s));
        ck_assert(!sweep_claim(s));
        ck_assert_uint_eq(sweep_span(s), 0);
        ck_assert(!sweep_claim(s));
    }
}
END_TEST

START_TEST(generations_wrap)
{
    start(1);
    atomic_store(&heap_sweepgen, UINT32_MAX - 1);
    atomic_store(&s->sweepgen, UINT32_MAX - 1);
    for (int cycle = 0; cycle < 4; cycle++) {
        bits_set(s->gcmark_bits, 0);
        ck_assert_uint_eq(sweep(), 0);
    }
    ck_assert_uint_eq(sweepgen_now(), 6);
}
END_TEST

START_TEST(large)
{
    heap_start();
    s = pages(100, SPANCLASS_LARGE);
    bits_set(s->alloc_bits, 0);
    s->alloc_count = 1;
    bits_set(s->gcmark_bits, 0);
    ck_assert_uint_eq(sweep(), 0);
    ck_assert_int_eq(s->alloc_count, 1);
    ck_assert_uint_eq(sweep(), 1);
    ck_assert_int_eq(s->alloc_count, 0);
}
END_TEST

START_TEST(not_claimed)
{
    start(1);
    end_of_mark();
    sweep_span(s);
}
END_TEST

/* mspan.preset */
START_TEST(not_preset)
{
    start(10);
    atomic_fetch_add(&heap_sweepgen, 2);
    sweep_claim(s);
    sweep_span(s);
}
END_TEST

START_TEST(freed_and_not_preset)
{
    start(170);
    preset_marks(s, NULL);
    mspan_note_free(s, 5);
    atomic_fetch_add(&heap_sweepgen, 2);
    sweep_claim(s);
    sweep_span(s);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, new_span_is_swept);
    tcase_add_test(tc, marked_survive);
    tcase_add_test(tc, nothing_marked);
    tcase_add_test(tc, all_marked);
    tcase_add_test(tc, part_allocated);
    tcase_add_test(tc, freed_objects);
    tcase_add_test(tc, claimed_once);
    tcase_add_test(tc, generations_wrap);
    tcase_add_test(tc, large);
    if (!GC_CHECKS)
        return;
    tcase_add_test_raise_signal(tc, not_claimed, SIGABRT);
    tcase_add_test_raise_signal(tc, not_preset, SIGABRT);
    tcase_add_test_raise_signal(tc, freed_and_not_preset, SIGABRT);
}
CHECK_MAIN("unit/sweep", tests)
