/* cleanups.c - each cleanup is called once, never before its object is gone, in the mode that was set; gc_free makes them
 * due too. Holds endcalls.held, endcalls.once, finalizers.open, finalizers.known. */
#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIZE = 48, N = 1000, THREADS = 4 };

static _Atomic size_t calls[N];
static _Atomic size_t total;

static void count(void *arg)
{
    atomic_fetch_add(&calls[(uintptr_t)arg], 1);
    atomic_fetch_add(&total, 1);
}

static void wait_for(size_t n)
{
    while (atomic_load(&total) < n)
        sched_yield();
}

static NOINLINE void *make(size_t size, uintptr_t i)
{
    void *p = make_filled(size, i);
    ck_assert_int_eq(gc_add_cleanup(p, count, (void *)i), 0);
    return p;
}

static NOINLINE void make_and_drop(size_t size, size_t n)
{
    for (uintptr_t i = 0; i < n; i++)
        make(size, i);
}

static void on_demand(void)
{
    ck_assert_int_eq(gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND), GC_SPAN_FINALIZE_THREAD);
}

START_TEST(refused)
{
    static int data;
    char *p = gc_malloc(SIZE), *gone = gc_malloc(SIZE), *tiny = gc_malloc_noscan(3);
    gc_free(gone);
    void *bad[] = {NULL, &data, gc_malloc(0), tiny, gone};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_int_eq(gc_add_cleanup(bad[i], count, NULL), -1);
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert(gc_add_cleanup(p, NULL, NULL) == -1 && errno == EINVAL);
    ck_assert(gc_add_cleanup(p, count, p) == -1 && errno == EINVAL);
    ck_assert(gc_add_cleanup(p, count, p + SIZE - 1) == -1 && errno == EINVAL);
    errno = 77;
    ck_assert_int_eq(gc_add_cleanup(p + 5, count, p + SIZE), 0);
    ck_assert_int_eq(gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND), GC_SPAN_FINALIZE_THREAD);
    ck_assert_int_eq(errno, 77);
    ck_assert(gc_finalizer_mode(3) == -1 && errno == EINVAL);
    ck_assert_int_eq(gc_finalizer_mode(GC_SPAN_FINALIZE_THREAD), GC_SPAN_FINALIZE_ON_DEMAND);
}
END_TEST

static const size_t sizes[] = {8, SIZE, 100000};

START_TEST(each_once)
{
    size_t n = sizes[_i] > 1000 ? 20 : N;
    on_demand();
    make_and_drop(sizes[_i], n);
    ck_assert_uint_eq(gc_finalizers_pending(), 0);
    gc_collect_without_stacks();
    ck_assert_uint_eq(gc_finalizers_pending(), n);
    ck_assert_uint_eq(atomic_load(&total), 0);
    ck_assert_int_eq(gc_run_finalizers(), (long)n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(atomic_load(&calls[i]), 1);
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 0);
}
END_TEST

/* By itself, on the thread for it. */
START_TEST(on_the_thread)
{
    make_and_drop(SIZE, N);
    gc_collect_without_stacks();
    wait_for(N);
    make_and_drop(SIZE, N);
    gc_collect_without_stacks();
    wait_for(2 * N);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_eq(atomic_load(&calls[i]), 2);
}
END_TEST

START_TEST(never_early)
{
    static void *volatile held[100];
    on_demand();
    for (uintptr_t i = 0; i < 100; i++)
        held[i] = make(SIZE, i);
    for (int i = 0; i < 3; i++)
        gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 0);
    for (size_t i = 0; i < 100; i++)
        check_live(held[i], SIZE, i);
    memset((void *)held, 0, sizeof held);
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 100);
}
END_TEST

START_TEST(several_of_one_object)
{
    on_demand();
    void *p = make(SIZE, 1);
    ck_assert_int_eq(gc_add_cleanup(p, count, (void *)1), 0);
    ck_assert_int_eq(gc_add_cleanup((char *)p + 3, count, (void *)2), 0);
    p = NULL;
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 3);
    ck_assert(calls[1] == 2 && calls[2] == 1);
}
END_TEST

static NOINLINE void make_ring(void)
{
    void **a = gc_malloc(SIZE), **b = gc_malloc(SIZE);
    *a = b;
    *b = a;
    ck_assert_int_eq(gc_add_cleanup(a, count, (void *)1), 0);
    ck_assert_int_eq(gc_add_cleanup(b, count, (void *)2), 0);
}

START_TEST(of_a_cycle)
{
    on_demand();
    make_ring();
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 2);
}
END_TEST

/* The argument is held from the registration until the call has returned. */
static struct gc_weak *weak_arg, *weak_obj;

static void look_at_arg(void *arg)
{
    ck_assert_ptr_null(gc_weak_get(weak_obj));
    gc_collect_without_stacks();
    churn(SIZE, N);
    check_live(gc_weak_get(weak_arg), SIZE, 7);
    ck_assert_ptr_eq(gc_weak_get(weak_arg), arg);
    atomic_fetch_add(&total, 1);
}

static NOINLINE void make_with_arg(void)
{
    void *p = make_filled(SIZE, 1), *arg = make_filled(SIZE, 7);
    weak_obj = gc_weak_new(p);
    weak_arg = gc_weak_new(arg);
    ck_assert_int_eq(gc_add_cleanup(p, look_at_arg, arg), 0);
}

START_TEST(argument_is_held)
{
    on_demand();
    make_with_arg();
    for (int i = 0; i < 3; i++)
        gc_collect_without_stacks();
    ck_assert_ptr_nonnull(gc_weak_get(weak_arg));
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_uint_eq(atomic_load(&total), 1);
    gc_collect_without_stacks();
    ck_assert_ptr_null(gc_weak_get(weak_arg));
}
END_TEST

START_TEST(freed)
{
    on_demand();
    gc_free(make(SIZE, 1));
    gc_free(make(100000, 2));
    gc_free(make(8, 3));
    ck_assert_int_eq(gc_run_finalizers(), 3);
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 0);
}
END_TEST

START_TEST(at_allocation)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_AT_ALLOC);
    make_and_drop(SIZE, N);
    gc_collect_without_stacks();
    ck_assert_uint_eq(atomic_load(&total), 0);
    churn(SIZE, 1000);
    ck_assert_uint_eq(atomic_load(&total), N);
}
END_TEST

static _Atomic size_t told;
static void tell(void *arg)
{
    ck_assert_ptr_eq(arg, &told);
    gc_free(launder(gc_malloc(SIZE)));
    atomic_fetch_add(&told, 1);
}

START_TEST(notified_once)
{
    on_demand();
    ck_assert(!gc_set_finalizer_notify(tell, &told));
    for (size_t i = 1; i <= 3; i++) {
        make_and_drop(SIZE, 10);
        gc_collect_without_stacks();
        ck_assert_uint_eq(atomic_load(&told), i);
        gc_free(make(SIZE, 1));
        ck_assert_uint_eq(atomic_load(&told), i);
        ck_assert_int_eq(gc_run_finalizers(), 11);
    }
    gc_free(make(SIZE, 1));
    ck_assert_uint_eq(atomic_load(&told), 4);
    ck_assert(gc_set_finalizer_notify(NULL, NULL) == tell);
}
END_TEST

/* What stands in the queue when the mode changes is seen to. */
START_TEST(mode_changes)
{
    on_demand();
    make_and_drop(SIZE, N);
    gc_collect_without_stacks();
    ck_assert_uint_eq(atomic_load(&total), 0);
    gc_finalizer_mode(GC_SPAN_FINALIZE_THREAD);
    wait_for(N);
}
END_TEST

START_TEST(all_at_the_end)
{
    static void *volatile held __attribute__((used));
    on_demand();
    held = make(SIZE, 1);
    make_and_drop(SIZE, 10);
    ck_assert_int_eq(gc_finalize_all(), 11);
    ck_assert_int_eq(gc_finalize_all(), 0);
    check_live(held, SIZE, 1);
}
END_TEST

static void in_child(void *unused)
{
    (void)unused;
    gc_collect_without_stacks();
    wait_for(N);
    gc_free(make(SIZE, 1));
    wait_for(N + 1);
}

START_TEST(forked)
{
    struct outcome o;
    make_and_drop(SIZE, N);
    run_child(in_child, NULL, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(atomic_load(&total), 0);
    gc_collect_without_stacks();
    wait_for(N);
}
END_TEST

/* ---- threads make and drop, cleanups allocate, collect and register, collections run */

static _Atomic size_t made, made_inside;

static void busy(void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    atomic_fetch_add(&total, 1);
    void *p = launder(gc_malloc(SIZE));
    if (depth > 0) {
        atomic_fetch_add(&made_inside, 1); /* before: another thread may make the call at once */
        if (gc_add_cleanup(p, busy, (void *)(depth - 1)) != 0)
            ck_abort();
    }
    if (atomic_load(&total) % 1000 == 0)
        gc_collect();
}

static void *make_busy(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        if (gc_add_cleanup(launder(gc_malloc(SIZE)), busy, (void *)(uintptr_t)(i % 10 == 0)) != 0)
            ck_abort();
        atomic_fetch_add(&made, 1);
        if (i % 5000 == 0)
            gc_collect();
    }
    return NULL;
}

START_TEST(beside_collections)
{
    pthread_t t[THREADS];
    gc_finalizer_mode(_i);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, make_busy, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) {
        gc_collect_without_stacks();
        gc_run_finalizers();
    }
    if (_i == GC_SPAN_FINALIZE_THREAD)
        for (int i = 0; i < 2; i++) {
            while (gc_finalizers_pending() > 0)
                sched_yield();
            gc_collect();
        }
    size_t all = atomic_load(&made) + atomic_load(&made_inside);
    ck_assert_uint_le(atomic_load(&total), all);
    ck_assert_uint_ge(atomic_load(&total), all - 100); /* some old word may hold a few */
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, each_once, 0, 3);
    tcase_add_test(tc, on_the_thread);
    tcase_add_test(tc, never_early);
    tcase_add_test(tc, several_of_one_object);
    tcase_add_test(tc, of_a_cycle);
    tcase_add_test(tc, argument_is_held);
    tcase_add_test(tc, freed);
    tcase_add_test(tc, at_allocation);
    tcase_add_test(tc, notified_once);
    tcase_add_test(tc, mode_changes);
    tcase_add_test(tc, all_at_the_end);
    tcase_add_test(tc, forked);
    tcase_add_loop_test(tc, beside_collections, 0, 3);
}
CHECK_MAIN("api/cleanups", tests)
