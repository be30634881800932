/* weak.c - the records of weak references: counted, in their slot or cleared, and what happens without memory. */
#include "heap.h"

#include "base/check.h"
#include "heap/weak.h"

static const spanclass SMALL = 4 << 1;

static void setup(void)
{
    heap_start();
    specials_hooks[SPECIAL_WEAK] = weak_end;
}

START_TEST(counted)
{
    struct mspan *s = pages(1, SMALL);
    struct gc_weak *w = weak_new(s, 3, mspan_slot(s, 3));
    ck_assert_ptr_eq(weak_new(s, 3, mspan_slot(s, 3)), w);
    ck_assert_ptr_ne(weak_new(s, 3, mspan_slot(s, 3) + 1), w);
    ck_assert_uint_eq(specials_lifetimes(), 2);
    ck_assert(weak_free(w));
    ck_assert_uint_eq(specials_lifetimes(), 2);
    ck_assert(weak_free(w));
    ck_assert_uint_eq(specials_lifetimes(), 1);
    ck_assert(!weak_free(w));
}
END_TEST

START_TEST(ends_with_its_object)
{
    struct mspan *s = pages(1, SMALL);
    struct gc_weak *w = weak_new(s, 3, mspan_slot(s, 3)), *other = weak_new(s, 4, mspan_slot(s, 4));
    specials_end(s, 3, SPECIAL_FREED);
    ck_assert_ptr_null(weak_load(w));
    ck_assert_ptr_eq(weak_load(other), (void *)mspan_slot(s, 4));
    weak_clear(s, 4);
    ck_assert_ptr_null(weak_load(other));
    ck_assert_uint_eq(specials_lifetimes(), 0);
    ck_assert(weak_free(w) && weak_free(other));
    pageheap_free(s);
}
END_TEST

/* Each call fails in turn, and nothing has changed: neither is a record lost nor is the slot's list. */
START_TEST(no_memory)
{
    int refused = 0;
    for (uint64_t n = 1; refused < 2 && n < 3; n++) {
        struct mspan *s;
        do {
            s = pages(1, SMALL);
            size_t before = specials_lifetimes();
            os_fail(n, true);
            struct gc_weak *w = weak_new(s, 5, mspan_slot(s, 5));
            os_fail(0, false);
            if (w)
                continue;
            refused++;
            ck_assert_uint_eq(specials_lifetimes(), before);
            ck_assert(!mspan_is_special(s));
            ck_assert_ptr_nonnull(weak_new(s, 5, mspan_slot(s, 5)));
            break;
        } while (sysmem_total() < 64 * MIB);
    }
    ck_assert_int_ge(refused, 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, counted);
    tcase_add_test(tc, ends_with_its_object);
    tcase_add_test(tc, no_memory);
}
CHECK_MAIN("unit/weak", tests)
