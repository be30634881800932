/* specials.c - an index a span: what is put in is found, ends once, and leaves nothing behind. */
#include "heap.h"

#include "base/check.h"
#include "heap/specials.h"

struct record {
    struct special special;
    int swept, freed;
};

#define SAMPLE                                                                                                         \
    {                                                                                                                  \
        .special.kind = SPECIAL_SAMPLE                                                                                 \
    }

static void note(struct special *sp, enum special_end why)
{
    struct record *r = (struct record *)(void *)sp;
    r->swept += why == SPECIAL_SWEPT;
    r->freed += why == SPECIAL_FREED;
}

static void setup(void)
{
    heap_start();
    specials_hooks[SPECIAL_SAMPLE] = note;
}

static const spanclass SMALL = 4 << 1, BYTES8 = 1 << 1;

START_TEST(found_by_slot)
{
    struct mspan *s = pages(1, SMALL), *other = pages(1, SMALL);
    struct record a = SAMPLE, b = SAMPLE;
    ck_assert(!mspan_is_special(s));
    ck_assert_ptr_null(specials_find(s, 3, SPECIAL_SAMPLE));
    ck_assert(specials_add(s, 3, &a.special));
    ck_assert(specials_add(s, 169, &b.special));
    ck_assert(mspan_is_special(s));
    ck_assert_ptr_eq(specials_find(s, 3, SPECIAL_SAMPLE), &a.special);
    ck_assert_ptr_eq(specials_find(s, 169, SPECIAL_SAMPLE), &b.special);
    ck_assert_ptr_null(specials_find(s, 4, SPECIAL_SAMPLE));
    ck_assert_ptr_null(specials_find(s, 3, SPECIAL_KINDS));
    ck_assert_ptr_null(specials_find(other, 3, SPECIAL_SAMPLE));
}
END_TEST

START_TEST(several_of_one_object)
{
    struct mspan *s = pages(1, SMALL);
    struct record r[3] = {SAMPLE, SAMPLE, SAMPLE};
    for (int i = 0; i < 3; i++)
        ck_assert(specials_add(s, 0, &r[i].special));
    specials_end(s, 0, SPECIAL_FREED);
    specials_end(s, 0, SPECIAL_FREED);
    for (int i = 0; i < 3; i++)
        ck_assert(r[i].freed == 1 && r[i].swept == 0);
    ck_assert_ptr_null(specials_find(s, 0, SPECIAL_SAMPLE));
}
END_TEST

/* Alive, dead, and freed before by gc_free: the sweep ends the second alone. */
START_TEST(ended_by_the_sweep)
{
    struct mspan *s = pages(1, SMALL);
    struct record r[3] = {SAMPLE, SAMPLE, SAMPLE};
    for (size_t i = 0; i < 3; i++) {
        bits_set(s->alloc_bits, i);
        ck_assert(specials_add(s, i, &r[i].special));
    }
    s->alloc_count = 3;
    specials_end(s, 2, SPECIAL_FREED);
    ck_assert_int_eq(mspan_note_free(s, 2), FREED_OK);
    mspan_begin_mark(s);
    bits_set(s->gcmark_bits, 0);
    atomic_fetch_add(&heap_sweepgen, 2);
    ck_assert(sweep_claim(s));
    ck_assert_uint_eq(sweep_span(s), 1);
    ck_assert(r[0].swept == 0 && r[0].freed == 0);
    ck_assert(r[1].swept == 1 && r[1].freed == 0);
    ck_assert(r[2].swept == 0 && r[2].freed == 1);
    ck_assert_ptr_eq(specials_find(s, 0, SPECIAL_SAMPLE), &r[0].special);
}
END_TEST

/* The next span of the class gets the index of the one before, empty. */
START_TEST(index_is_used_again)
{
    struct record r = SAMPLE;
    uint64_t sys = 0;
    for (int i = 0; i < 2000; i++) {
        struct mspan *s = pages(1, BYTES8);
        ck_assert(!mspan_is_special(s));
        ck_assert(specials_add(s, 1023, &r.special));
        ck_assert_ptr_null(specials_find(s, 0, SPECIAL_SAMPLE));
        specials_end(s, 1023, SPECIAL_SWEPT);
        pageheap_free(s);
        sys = i == 0 ? sysmem_total() : sys;
    }
    ck_assert_int_eq(r.swept, 2000);
    ck_assert_uint_eq(sysmem_total(), sys);
}
END_TEST

/* Several that are free at once. */
START_TEST(indexes_are_empty)
{
    struct record r[3] = {SAMPLE, SAMPLE, SAMPLE};
    for (int round = 0; round < 2; round++) {
        struct mspan *s[3];
        for (int i = 0; i < 3; i++) {
            s[i] = pages(1, SMALL);
            ck_assert(specials_add(s[i], 9, &r[i].special));
            ck_assert_ptr_null(specials_find(s[i], 0, SPECIAL_SAMPLE));
        }
        for (int i = 0; i < 3; i++) {
            specials_end(s[i], 9, SPECIAL_SWEPT);
            specials_end(s[i], 0, SPECIAL_SWEPT);
            pageheap_free(s[i]);
        }
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(r[i].swept, 2);
}
END_TEST

START_TEST(large_object)
{
    struct record r = SAMPLE;
    struct mspan *s = mcentral_alloc_large(10, 1, false, false);
    ck_assert(specials_add(s, 0, &r.special));
    ck_assert_ptr_eq(specials_find(s, 0, SPECIAL_SAMPLE), &r.special);
    specials_end(s, 0, SPECIAL_FREED);
    ck_assert(mcentral_free_large(s));
    ck_assert_int_eq(r.freed, 1);
}
END_TEST

START_TEST(no_memory)
{
    struct record r = SAMPLE;
    struct mspan *s = NULL;
    do {
        s = pages(1, BYTES8);
        ck_assert_ptr_nonnull(s);
        os_fail(1, true);
        bool added = specials_add(s, 5, &r.special);
        os_fail(0, false);
        if (!added)
            break;
        specials_end(s, 5, SPECIAL_FREED);
    } while (sysmem_total() < 64 * MIB);
    ck_assert(!mspan_is_special(s));
    ck_assert_ptr_null(specials_find(s, 5, SPECIAL_SAMPLE));
    ck_assert(specials_add(s, 5, &r.special));
    ck_assert_ptr_eq(specials_find(s, 5, SPECIAL_SAMPLE), &r.special);
}
END_TEST

START_TEST(given_up_with_one)
{
    struct record r = SAMPLE;
    struct mspan *s = pages(1, SMALL);
    ck_assert(specials_add(s, 7, &r.special));
    pageheap_free(s);
}
END_TEST

/* A sample stays the first; the others are counted, found, taken out one by one, and end without it. */
START_TEST(beside_a_sample)
{
    struct mspan *s = pages(1, SMALL);
    struct record sample = SAMPLE, weak = {.special.kind = SPECIAL_WEAK}, cleanup = {.special.kind = SPECIAL_CLEANUP};
    specials_hooks[SPECIAL_WEAK] = specials_hooks[SPECIAL_CLEANUP] = note;
    ck_assert(specials_add(s, 5, &sample.special));
    ck_assert_uint_eq(specials_lifetimes(), 0);
    ck_assert(specials_add(s, 5, &weak.special));
    ck_assert(specials_add(s, 5, &cleanup.special));
    ck_assert_uint_eq(specials_lifetimes(), 2);
    ck_assert_ptr_eq(specials_list(s, 5), &sample.special);
    ck_assert_ptr_eq(specials_find(s, 5, SPECIAL_SAMPLE), &sample.special);
    ck_assert_ptr_eq(specials_find(s, 5, SPECIAL_WEAK), &weak.special);
    ck_assert_ptr_eq(specials_find(s, 5, SPECIAL_CLEANUP), &cleanup.special);
    specials_lock();
    specials_remove(s, 5, &weak.special);
    specials_unlock();
    ck_assert_uint_eq(specials_lifetimes(), 1);
    ck_assert_ptr_null(specials_find(s, 5, SPECIAL_WEAK));
    specials_end_lifetimes(s, 5, SPECIAL_FREED);
    ck_assert_uint_eq(specials_lifetimes(), 0);
    ck_assert(cleanup.freed == 1 && weak.freed == 0 && sample.freed == 0);
    ck_assert_ptr_eq(specials_find(s, 5, SPECIAL_SAMPLE), &sample.special);
}
END_TEST

static void see(struct mspan *s, size_t i, void *seen)
{
    (void)s;
    *(uint64_t *)seen |= UINT64_C(1) << i;
}

START_TEST(each_that_is_dead)
{
    struct mspan *s = pages(1, SMALL);
    struct record r[4] = {SAMPLE, SAMPLE, SAMPLE, SAMPLE};
    uint64_t seen = 0;
    for (size_t i = 0; i < 4; i++) {
        bits_set(s->alloc_bits, i);
        ck_assert(specials_add(s, i, &r[i].special));
    }
    mspan_begin_mark(s);
    bits_set(s->gcmark_bits, 2);
    specials_each(s, true, see, &seen);
    ck_assert_uint_eq(seen, 0); /* samples alone */
    struct record weak = {.special.kind = SPECIAL_WEAK};
    ck_assert(specials_add(s, 3, &weak.special));
    specials_each(s, true, see, &seen);
    ck_assert_uint_eq(seen, 1 | 2 | 8);
    specials_each(s, false, see, &seen);
    ck_assert_uint_eq(seen, 15);
}
END_TEST

/* With check=1 the memory of what is dead stays, and its sample; the rest ends. */
static uint64_t keep_all(struct mspan *s, size_t w, uint64_t held, uint64_t dead)
{
    (void)s;
    (void)w;
    (void)held;
    return dead;
}

START_TEST(kept_memory)
{
    struct mspan *s = pages(1, SMALL);
    struct record sample = SAMPLE, cleanup = {.special.kind = SPECIAL_CLEANUP};
    specials_hooks[SPECIAL_CLEANUP] = note;
    specials_inspect = keep_all;
    ck_assert(specials_add(s, 0, &sample.special));
    ck_assert(specials_add(s, 0, &cleanup.special));
    ck_assert_uint_eq(specials_sweep(s, 0, 1, 1), 1);
    ck_assert(cleanup.swept == 1 && sample.swept == 0);
    specials_inspect = NULL;
    ck_assert_uint_eq(specials_sweep(s, 0, 1, 1), 0);
    ck_assert(cleanup.swept == 1 && sample.swept == 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, found_by_slot);
    tcase_add_test(tc, several_of_one_object);
    tcase_add_test(tc, ended_by_the_sweep);
    tcase_add_test(tc, index_is_used_again);
    tcase_add_test(tc, indexes_are_empty);
    tcase_add_test(tc, large_object);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, beside_a_sample);
    tcase_add_test(tc, each_that_is_dead);
    tcase_add_test(tc, kept_memory);
    if (GC_CHECKS)
        tcase_add_test_raise_signal(tc, given_up_with_one, SIGABRT);
}
CHECK_MAIN("unit/specials", tests)
