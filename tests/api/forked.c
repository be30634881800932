/* forked.c - after fork both processes have a whole heap: the child of a program with threads allocates and collects,
 * whatever the other threads were doing, and so does the parent. Holds fork.whole, forkgate.out. */
#include "helpers.h"

#include <pthread.h>

enum { FORKS = 50, N = 500, SIZE = 64 };

static _Atomic bool enough;

/* What a child does: everything that was there is there, new objects can be had, garbage goes. */
static void use_heap(void *const *held)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++)
            check_filled(held[i], SIZE, i);
        churn(SIZE, 2000);
        launder(gc_malloc(100000));
        gc_free(launder(gc_malloc(SIZE)));
        gc_collect();
    }
}

static void *use_in_thread(void *held)
{
    use_heap(held);
    return NULL;
}

static void child(void *held)
{
    pthread_t t;
    struct gc_memstats st;
    use_heap(held);
    /* AddressSanitizer takes the new stack, which a thread had that this process has not got, for poisoned. */
    if (!sanitizer_is("address")) {
        if (pthread_create(&t, NULL, use_in_thread, held) != 0)
            _exit(3);
        use_heap(held);
        pthread_join(t, NULL);
    }
    gc_clear_stack(64 * 1024);
    gc_collect();
    gc_read_memstats(&st);
    if (st.mallocs - st.frees != st.heap_objects || st.heap_inuse + st.heap_idle != st.heap_sys)
        _exit(4);
}

static void fork_and_use(void **held, int times)
{
    for (int i = 0; i < times; i++) {
        struct outcome o;
        run_child(child, held, &o);
        must_exit_0(&o);
        churn(SIZE, 1000);
        for (size_t k = 0; k < N; k++)
            check_filled(held[k], SIZE, k);
    }
}

static NOINLINE void build(void **held)
{
    for (size_t i = 0; i < N; i++)
        held[i] = make_filled(SIZE, i);
}

START_TEST(one_thread)
{
    void *held[N];
    build(held);
    fork_and_use(held, 5);
    gc_collect();
    fork_and_use(held, 5);
}
END_TEST

static void *allocate_and_collect(void *unused)
{
    for (int i = 0; !enough; i++) {
        void *p = make_filled(16 + (size_t)i % 5000, (size_t)i);
        churn(48, 50);
        if (i % 8 == 0)
            gc_collect();
        if (i % 16 == 0)
            gc_free(launder(gc_malloc(60000)));
        check_filled(p, 16 + (size_t)i % 5000, (size_t)i);
    }
    return unused;
}

static void *allocate_only(void *unused)
{
    while (!enough)
        churn(24, 1000);
    return unused;
}

START_TEST(while_others_work)
{
    void *held[N];
    pthread_t a, b;
    build(held);
    ck_assert_int_eq(pthread_create(&a, NULL, allocate_and_collect, NULL), 0);
    ck_assert_int_eq(pthread_create(&b, NULL, allocate_only, NULL), 0);
    fork_and_use(held, FORKS);
    enough = true;
    pthread_join(a, NULL);
    pthread_join(b, NULL);
}
END_TEST

/* Two threads fork at once, and a third collects. */
static void *fork_in_thread(void *held)
{
    fork_and_use(held, FORKS / 5);
    return NULL;
}

START_TEST(forks_at_once)
{
    static void *held[N]; /* the child has the stack of the thread that forks, not this one */
    pthread_t a, b, c;
    build(held);
    ck_assert_int_eq(pthread_create(&a, NULL, allocate_and_collect, NULL), 0);
    ck_assert_int_eq(pthread_create(&b, NULL, fork_in_thread, held), 0);
    ck_assert_int_eq(pthread_create(&c, NULL, fork_in_thread, held), 0);
    pthread_join(b, NULL);
    pthread_join(c, NULL);
    enough = true;
    pthread_join(a, NULL);
    for (size_t i = 0; i < N; i++)
        check_filled(held[i], SIZE, i);
}
END_TEST

/* A child that has not got the other threads does not keep what they held. */
static void *hold_much(void *held)
{
    pthread_t *self = held;
    void *local[4000];
    for (size_t i = 0; i < 4000; i++)
        local[i] = make_filled(SIZE, i);
    *self = 0;
    while (!enough)
        sched_yield();
    gc_keep_alive(launder(local));
    return NULL;
}

static void count_in_child(void *unused)
{
    (void)unused;
    settle();
    uint64_t n = heap_objects();
    if (n > 200)
        dprintf(STDERR_FILENO, "%llu objects\n", (unsigned long long)n);
}

START_TEST(stacks_of_others)
{
    pthread_t t;
    volatile pthread_t running = 1;
    struct outcome o;
    ck_assert_int_eq(pthread_create(&t, NULL, hold_much, (void *)&running), 0);
    while (running)
        sched_yield();
    gc_collect();
    ck_assert_uint_ge(heap_objects(), 4000);
    run_child(count_in_child, NULL, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
    enough = true;
    pthread_join(t, NULL);
}
END_TEST

/* A grandchild too. */
static void fork_again(void *held)
{
    struct outcome o;
    child(held);
    run_child(child, held, &o);
    if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != 0)
        _exit(7);
}

START_TEST(grandchild)
{
    void *held[N];
    struct outcome o;
    build(held);
    run_child(fork_again, held, &o);
    must_exit_0(&o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, one_thread);
    tcase_add_test(tc, while_others_work);
    tcase_add_test(tc, forks_at_once);
    tcase_add_test(tc, stacks_of_others);
    tcase_add_test(tc, grandchild);
}
CHECK_MAIN("api/forked", tests)
