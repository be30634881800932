/* ephemeron.c - ephemerons and the lists of their keys' slots: set, freed from either side, dead by the hundred, and what
 * happens without memory. Holds ephemeron.attached, ephemeron.dead. */
#include "heap.h"

#include "base/check.h"
#include "heap/ephemeron.h"

static const spanclass SMALL = 4 << 1;

static struct mspan *ephemerons, *keys;

static void setup(void)
{
    heap_start();
    specials_hooks[SPECIAL_EPHEMERON] = ephemeron_end;
    ephemerons = pages(1, SPANCLASS_EPHEMERON);
    keys = pages(1, SMALL);
}

static struct gc_ephemeron *nth(size_t i)
{
    return memset((void *)mspan_slot(ephemerons, i), 0, sizeof(struct gc_ephemeron));
}

/* The ith ephemeron, for an address in slot k. */
static struct gc_ephemeron *set(size_t i, size_t k)
{
    struct gc_ephemeron *e = nth(i);
    uintptr_t key = mspan_slot(keys, k) + i % 8;
    ck_assert(ephemeron_set(e, keys, k, key, 7000 + i));
    ck_assert_ptr_eq(ephemeron_load(e, (void *)key), (void *)(7000 + i));
    return e;
}

static bool has_key(const struct gc_ephemeron *e)
{
    return e->special.kind == SPECIAL_EPHEMERON && ephemeron_key(e) && atomic_load(&e->value);
}

static bool is_zero(const struct gc_ephemeron *e) { return !ephemeron_key(e) && !atomic_load(&e->value); }

START_TEST(class_of_its_own)
{
    ck_assert_uint_eq(ephemerons->elemsize, 32);
    ck_assert_int_eq(ephemerons->scan, SCAN_NONE);
    ck_assert(ephemeron_is(ephemerons) && !ephemeron_is(keys));
}
END_TEST

START_TEST(ends_with_its_key)
{
    struct gc_ephemeron *a = set(0, 3), *b = set(1, 3), *c = set(2, 4);
    ck_assert_uint_eq(ephemerons_count(), 3);
    ck_assert_uint_eq(specials_lifetimes(), 3);
    specials_end(keys, 3, SPECIAL_FREED);
    ck_assert(is_zero(a) && is_zero(b) && has_key(c));
    ephemeron_clear(keys, 4);
    ck_assert(is_zero(c));
    ck_assert_uint_eq(ephemerons_count(), 0);
    ck_assert_uint_eq(specials_lifetimes(), 0);
}
END_TEST

START_TEST(lets_go_of_its_key)
{
    struct gc_ephemeron *a = set(0, 3), *b = set(1, 3);
    ephemeron_drop(a);
    ephemeron_drop(a);
    ck_assert(is_zero(a) && has_key(b));
    ck_assert_ptr_eq(specials_list(keys, 3), &b->special);
    ck_assert_ptr_null(b->special.next);
    ck_assert_uint_eq(ephemerons_count(), 1);
    ck_assert(ephemeron_set(a, keys, 5, mspan_slot(keys, 5), 1));
    ck_assert(has_key(a));
}
END_TEST

/* Those of one key go together, in one walk; another key's stay until their turn. */
START_TEST(dead_ones)
{
    enum { N = 200 };
    struct gc_ephemeron *e[N];
    for (size_t i = 0; i < N; i++)
        e[i] = set(i, i % 2);
    for (size_t i = 0; i < N; i++)
        if (i % 3)
            bits_set(ephemerons->gcmark_bits, i);
    ephemeron_drop_dead(e[0]);
    for (size_t i = 0; i < N; i++)
        ck_assert(i % 6 ? has_key(e[i]) : is_zero(e[i]));
    ephemeron_drop_dead(e[0]);
    ephemeron_drop_dead(e[3]);
    size_t left = 0;
    for (size_t i = 0; i < N; i++) {
        ck_assert(i % 3 ? has_key(e[i]) : is_zero(e[i]));
        left += i % 3 != 0;
    }
    ck_assert_uint_eq(ephemerons_count(), left);
    mspan_forget_marks(ephemerons);
}
END_TEST

/* What else is in the slot's list is left alone. */
START_TEST(beside_others)
{
    static struct special sample = {.kind = SPECIAL_SAMPLE}, weak = {.kind = SPECIAL_WEAK};
    ck_assert(specials_add(keys, 3, &weak));
    struct gc_ephemeron *e = set(0, 3);
    ck_assert(specials_add(keys, 3, &sample));
    ephemeron_clear(keys, 3);
    ck_assert(is_zero(e));
    ck_assert_ptr_eq(specials_list(keys, 3), &sample);
    ck_assert_ptr_eq(sample.next, &weak);
    ck_assert_ptr_null(weak.next);
    ck_assert_uint_eq(specials_lifetimes(), 1);
}
END_TEST

/* No index can be had for the key's span: nothing has changed, and later it goes. */
START_TEST(no_memory)
{
    int refused = 0;
    for (size_t n = 0; n < 100000 && !refused; n++) {
        keys = pages(1, SMALL);
        struct gc_ephemeron *e = nth(0);
        size_t before = ephemerons_count();
        os_fail(1, true);
        bool done = ephemeron_set(e, keys, 5, mspan_slot(keys, 5), 1);
        os_fail(0, false);
        if (done) {
            ephemeron_drop(e);
            continue;
        }
        refused++;
        ck_assert_uint_eq(ephemerons_count(), before);
        ck_assert(is_zero(e));
        ck_assert(!mspan_is_special(keys));
        ck_assert(has_key(set(0, 5)));
    }
    ck_assert_int_eq(refused, 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, class_of_its_own);
    tcase_add_test(tc, ends_with_its_key);
    tcase_add_test(tc, lets_go_of_its_key);
    tcase_add_test(tc, dead_ones);
    tcase_add_test(tc, beside_others);
    tcase_add_test(tc, no_memory);
}
CHECK_MAIN("unit/ephemeron", tests)
