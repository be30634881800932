/* weak.c - a weak reference yields its object while that is alive and never after: cleared by a collection and by gc_free,
 * counted, read beside collections. Holds weak.attached, weak.one, weak.hidden, lifetimes.cleared. */
#include "beside.h"

#include <stdatomic.h>

enum { SIZE = 48 };

/* A reference to an object that nothing else holds. */
static NOINLINE struct gc_weak *weak_alone(size_t size, size_t offset)
{
    char *p = make_filled(size, 1);
    struct gc_weak *w = gc_weak_new(p + offset);
    if (!w || gc_weak_get(w) != p + offset)
        abort(); /* in a scene nothing can be asserted */
    return w;
}

START_TEST(refused)
{
    static int data;
    int local;
    char *tiny = gc_malloc_noscan(3), *gone = gc_malloc(SIZE);
    gc_free(gone);
    void *bad[] = {NULL, &data, &local, gc_malloc(0), tiny, gone, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_ptr_null(gc_weak_new(bad[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
    errno = 77;
    gc_weak_free(NULL);
    ck_assert_ptr_null(gc_weak_get(NULL));
    ck_assert_ptr_nonnull(gc_weak_new(gc_malloc(SIZE)));
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(same_address_same_reference)
{
    char *p = make_filled(SIZE, 1), *q = make_filled(SIZE, 2);
    struct gc_weak *w = gc_weak_new(p), *inner = gc_weak_new(p + 9);
    ck_assert_ptr_eq(gc_weak_new(p), w);
    ck_assert_ptr_eq(gc_weak_new(p + 9), inner);
    ck_assert_ptr_ne(w, inner);
    ck_assert_ptr_ne(gc_weak_new(q), w);
    ck_assert_ptr_eq(gc_weak_get(inner), p + 9);
    gc_weak_free(w);
    ck_assert_ptr_eq(gc_weak_get(w), p);
    gc_weak_free(w);
    gc_weak_free(inner);
    ck_assert_ptr_eq(gc_weak_get(inner), p + 9);
}
END_TEST

static const size_t sizes[] = {8, SIZE, 1024, 100000};

START_TEST(cleared_by_a_collection)
{
    size_t size = sizes[_i];
    struct gc_weak *w = weak_alone(size, 0), *inner = weak_alone(size, size - 1);
    ck_assert_ptr_nonnull(gc_weak_get(w));
    gc_collect_without_stacks();
    ck_assert_ptr_null(gc_weak_get(w));
    ck_assert_ptr_null(gc_weak_get(inner));
    gc_weak_free(w);
    gc_weak_free(inner);
}
END_TEST

/* What it yields is held by where it is stored, and by nothing else. */
START_TEST(yields_what_holds)
{
    static void *volatile keep;
    struct gc_weak *w = weak_alone(SIZE, 0);
    keep = gc_weak_get(w);
    for (int i = 0; i < 3; i++) {
        gc_collect_without_stacks();
        churn(SIZE, 1000);
        check_live(gc_weak_get(w), SIZE, 1);
        gc_keep_alive(keep);
    }
    keep = NULL;
    gc_collect_without_stacks();
    ck_assert_ptr_null(gc_weak_get(w));
}
END_TEST

START_TEST(cleared_by_free)
{
    void *p = make_filled(SIZE, 1);
    struct gc_weak *w = gc_weak_new(p), *again;
    gc_free(p);
    ck_assert_ptr_null(gc_weak_get(w));
    while (gc_malloc(SIZE) != p) /* its slot has another object */
        ;
    ck_assert_ptr_null(gc_weak_get(w));
    again = gc_weak_new(p);
    ck_assert_ptr_ne(again, w);
    gc_weak_free(w);
    ck_assert_ptr_eq(gc_weak_get(again), p);
}
END_TEST

START_TEST(uncollectable)
{
    void *p = gc_malloc_uncollectable(SIZE);
    struct gc_weak *w = gc_weak_new(p);
    uintptr_t hidden = hide(p);
    p = NULL;
    gc_collect_without_stacks();
    ck_assert_ptr_eq(gc_weak_get(w), reveal(hidden));
    gc_free(reveal(hidden));
    ck_assert_ptr_null(gc_weak_get(w));
}
END_TEST

/* A question marks as a collection does, and changes nothing. */
START_TEST(not_by_a_question)
{
    struct gc_weak *w = weak_alone(SIZE, 0);
    ck_assert_int_eq(gc_is_reachable_without_stacks(gc_weak_get(w)), 0);
    ck_assert_ptr_nonnull(gc_weak_get(w));
}
END_TEST

/* Records and indexes are used again. */
START_TEST(leaves_nothing)
{
    uint64_t sys = 0;
    for (int i = 0; i < 600; i++) {
        for (int k = 0; k < 1000; k++)
            gc_weak_free(weak_alone(SIZE, (size_t)k % SIZE));
        if (i == 300) /* the heap has been as large as it gets */
            sys = read_stats(&(struct gc_memstats){0})->other_sys;
    }
    ck_assert_uint_eq(read_stats(&(struct gc_memstats){0})->other_sys, sys);
}
END_TEST

START_TEST(given_back_twice)
{
    struct gc_weak *w = weak_alone(SIZE, 0);
    gc_weak_free(w);
    gc_weak_free(w);
}
END_TEST

static void in_child(void *w)
{
    gc_collect_without_stacks();
    if (gc_weak_get(w))
        _exit(3);
}

START_TEST(forked)
{
    struct outcome o;
    struct gc_weak *w = weak_alone(SIZE, 0);
    run_child(in_child, w, &o);
    must_exit_0(&o);
    check_live(gc_weak_get(w), SIZE, 1);
}
END_TEST

/* ---- beside collections: makers put new references into a table and drop the objects, all read all */

enum { TABLE = 64 };
static _Atomic(struct gc_weak *) table[TABLE];

/* In a noscan object, so that nothing in it holds another. The pattern is checked with the object held. */
static NOINLINE void read_one(struct gc_weak *w)
{
    unsigned char *p = gc_weak_get(w);
    if (!p) {
        atomic_fetch_add(&missing, 1);
        return;
    }
    size_t i = p[0];
    check_filled(p + 1, SIZE - 1, i);
    if (gc_base(p) != p)
        ck_abort_msg("%p is no object", (void *)p);
    atomic_fetch_add(&seen, 1);
}

static NOINLINE struct gc_weak *make_one(size_t i)
{
    unsigned char *p = gc_malloc_noscan(SIZE);
    p[0] = (unsigned char)i;
    fill(p + 1, SIZE - 1, i & 0xff);
    return gc_weak_new(p);
}

static void *read_and_make(void *number)
{
    uint32_t x = (uint32_t)(uintptr_t)number + 1;
    while (!atomic_load(&over)) {
        for (size_t i = 0; i < TABLE; i++)
            read_one(atomic_load(&table[i]));
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        /* The old one is not given back: another thread may be reading it. */
        atomic_store(&table[x % TABLE], make_one(x >> 8));
        for (int k = 0; k < 20; k++) {
            unsigned char *p = launder(gc_malloc_noscan(SIZE));
            memset(p, 0xee, SIZE);
        }
    }
    return NULL;
}

START_TEST(beside_collections)
{
    for (size_t i = 0; i < TABLE; i++)
        atomic_store(&table[i], make_one(i));
    run_beside_collections(read_and_make);
}
END_TEST

/* ---- check=1, in a process of its own */

static int scene(void)
{
    struct gc_weak *dead = weak_alone(SIZE, 0), *freed = weak_alone(SIZE, 0);
    gc_free(gc_weak_get(freed));
    if (gc_weak_get(freed))
        return 3;
    gc_collect_without_stacks();
    if (gc_weak_get(dead))
        return 4;
    gc_weak_free(dead);
    gc_weak_free(freed);
    for (int i = 0; i < 3; i++)
        gc_collect_without_stacks();
    return 0;
}

START_TEST(with_check) { run_scene_with_check(); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_test(tc, same_address_same_reference);
    tcase_add_loop_test(tc, cleared_by_a_collection, 0, 4);
    tcase_add_test(tc, yields_what_holds);
    tcase_add_test(tc, cleared_by_free);
    tcase_add_test(tc, uncollectable);
    tcase_add_test(tc, not_by_a_question);
    tcase_add_test(tc, leaves_nothing);
    tcase_add_test_raise_signal(tc, given_back_twice, SIGABRT);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, beside_collections);
    tcase_add_test(tc, with_check);
}

int main(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? scene() : check_main("api/weak", tests);
}
