/* endcalls.c - records of finalizers and cleanups: the queue's order, what the ranges hold, and what happens without memory.
 * Holds endcalls.zero, endcalls.once. */
#include "heap.h"

#include "base/check.h"
#include "heap/endcalls.h"

static const spanclass SMALL = 4 << 1;

static void setup(void) { heap_start(); }

static void nothing(void *arg) { (void)arg; }
static void nothing2(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
}

/* How often a word stands in the ranges that are roots. */
struct search {
    uintptr_t word;
    size_t n;
};

static void search(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct search *s = arg;
    for (; lo < hi; lo += sizeof lo)
        s->n += *(uintptr_t *)lo == s->word;
}

static size_t rooted(const void *p)
{
    struct search s = {(uintptr_t)p, 0};
    endcalls_each_range(search, &s);
    return s.n;
}

static void add_range(uintptr_t lo, uintptr_t hi, void *bytes) { *(size_t *)bytes += hi - lo; }

/* Bytes of records that were ever in use. */
static size_t used_bytes(void)
{
    size_t n = 0;
    endcalls_each_range(add_range, &n);
    return n;
}

static struct endcall *take_out(struct mspan *s, size_t i, enum special_kind kind)
{
    specials_lock();
    struct special *sp = specials_find(s, i, kind);
    specials_remove(s, i, sp);
    specials_unlock();
    return (struct endcall *)(void *)sp;
}

START_TEST(in_order)
{
    struct mspan *s = pages(1, SMALL);
    char args[3];
    for (size_t i = 0; i < 3; i++)
        ck_assert(endcalls_add_cleanup(s, i, nothing, &args[i]));
    ck_assert_ptr_null(endcalls_take());
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(endcalls_queue(take_out(s, i, SPECIAL_CLEANUP), NULL), i == 0);
    ck_assert_uint_eq(endcalls_pending(), 3);
    for (size_t i = 0; i < 3; i++) {
        struct endcall *e = endcalls_take();
        ck_assert_ptr_eq(e->arg, &args[i]);
        ck_assert_uint_eq(rooted(&args[i]), 1);
        endcalls_drop(e);
        ck_assert_uint_eq(rooted(&args[i]), 0);
    }
    ck_assert_ptr_null(endcalls_take());
    ck_assert_uint_eq(endcalls_pending(), 0);
}
END_TEST

START_TEST(finalizer_is_replaced)
{
    struct mspan *s = pages(1, SMALL);
    struct endcall_old old;
    char a, b;
    ck_assert(endcalls_set_finalizer(s, 1, nothing2, &a, &old));
    ck_assert(!old.fn && !old.arg);
    ck_assert(endcalls_set_finalizer(s, 1, nothing2, &b, &old));
    ck_assert(old.fn == nothing2 && old.arg == &a);
    ck_assert(rooted(&a) == 0 && rooted(&b) == 1);
    ck_assert_uint_eq(specials_lifetimes(), 1);
    ck_assert(endcalls_set_finalizer(s, 1, NULL, NULL, &old));
    ck_assert(old.fn == nothing2 && old.arg == &b && rooted(&b) == 0);
    ck_assert(endcalls_set_finalizer(s, 1, NULL, NULL, &old));
    ck_assert(!old.fn && !old.arg);
    ck_assert_uint_eq(specials_lifetimes(), 0);
}
END_TEST

/* The object of one that is queued is a root, and not before. */
START_TEST(object_is_held)
{
    struct mspan *s = pages(1, SMALL);
    struct endcall_old old;
    void *obj = (void *)mspan_slot(s, 1);
    ck_assert(endcalls_set_finalizer(s, 1, nothing2, NULL, &old));
    ck_assert_uint_eq(rooted(obj), 0);
    endcalls_queue(take_out(s, 1, SPECIAL_FINALIZER), obj);
    ck_assert_uint_eq(rooted(obj), 1);
    struct endcall *e = endcalls_take();
    ck_assert_uint_eq(rooted(obj), 1);
    endcalls_drop(e);
    ck_assert_uint_eq(rooted(obj), 0);
}
END_TEST

/* Each call fails in turn, in a new span so that an index is needed as well: nothing has changed. */
START_TEST(no_memory)
{
    size_t refused = 0;
    char arg;
    struct endcall_old old;
    while (refused < 3 && sysmem_total() < 64 * MIB) {
        struct mspan *s = pages(1, SMALL);
        size_t before = specials_lifetimes(), roots = rooted(&arg);
        os_fail(1, true);
        bool added =
            _i ? endcalls_set_finalizer(s, 5, nothing2, &arg, &old) : endcalls_add_cleanup(s, 5, nothing, &arg);
        os_fail(0, false);
        if (added)
            continue;
        refused++;
        ck_assert_uint_eq(specials_lifetimes(), before);
        ck_assert_uint_eq(rooted(&arg), roots);
        ck_assert_ptr_null(specials_list(s, 5));
        size_t used = used_bytes();
        os_fail(1, true);
        for (int k = 0; k < 10; k++)
            ck_assert(!endcalls_add_cleanup(s, 5, nothing, &arg));
        os_fail(0, false);
        ck_assert_uint_le(used_bytes(), used);
        ck_assert(endcalls_add_cleanup(s, 5, nothing, &arg));
        /* What is replaced needs no memory. */
        ck_assert(endcalls_set_finalizer(s, 6, nothing2, &arg, &old));
        os_fail(1, true);
        ck_assert(endcalls_set_finalizer(s, 6, nothing2, NULL, &old));
        os_fail(0, false);
    }
    ck_assert_uint_eq(refused, 3);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, in_order);
    tcase_add_test(tc, finalizer_is_replaced);
    tcase_add_test(tc, object_is_held);
    tcase_add_loop_test(tc, no_memory, 0, 2);
}
CHECK_MAIN("unit/endcalls", tests)
