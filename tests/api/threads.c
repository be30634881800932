/* threads.c - what threads hold: on the stack of a thread that never calls the library, in its registers, in the
 * argument of one that has not started; while it blocks in a system call, with every signal masked, after it attached
 * and detached, as it ends. Holds rootjobs.all, wrap_threads.argument, wrap_masks.signal, thread.listed, stop.all. */
#include "hidden.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>

static sem_t ready, leave;

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
    ck_assert_int_eq(pthread_create(t, NULL, fn, arg), 0);
}

static void setup(void)
{
    sem_init(&ready, 0, 0);
    sem_init(&leave, 0, 0);
}

/* ---- places ---- */

static void *hold_on_stack(void *unused)
{
    void *local[N];
    for (size_t i = 0; i < N; i++)
        local[i] = reveal(hidden[i]);
    launder(local);
    sem_post(&ready);
    wait_for(&leave);
    for (size_t i = 0; i < N; i++)
        check_live(((void *volatile *)local)[i], SIZE, i);
    return unused;
}

static void held_by_thread(void *(*fn)(void *))
{
    pthread_t t;
    setup();
    build_hidden();
    start(&t, fn, NULL);
    wait_for(&ready);
    collect_around();
    check_hidden();
    sem_post(&leave);
    pthread_join(t, NULL);
}

/* It never calls the library: all it does is wait. */
START_TEST(on_an_idle_stack) { held_by_thread(hold_on_stack); }
END_TEST

#if defined __x86_64__
static _Atomic int spin_state;

static void *hold_in_registers(void *unused)
{
    hold_in_16(hidden, &spin_state);
    return unused;
}

START_TEST(in_registers)
{
    pthread_t t;
    build_hidden();
    start(&t, hold_in_registers, NULL);
    while (spin_state != 1)
        ;
    collect_around();
    for (size_t i = 0; i < 16; i++)
        check_live(reveal(hidden[i]), SIZE, i);
    size_t others = 0;
    for (size_t i = 16; i < N; i++)
        others += gc_base(reveal(hidden[i])) == reveal(hidden[i]) && *(unsigned char *)reveal(hidden[i]) != 0xee;
    ck_assert_uint_le(others, N / 10);
    spin_state = 2;
    pthread_join(t, NULL);
}
END_TEST
#endif

/* ---- the argument ---- */

static void *check_argument(void *arg)
{
    void **p = arg;
    check_live(*p, SIZE, 7);
    return NULL;
}

static NOINLINE void start_with_argument(pthread_t *t)
{
    void **p = gc_malloc(sizeof *p);
    *p = make_filled(SIZE, 7);
    start(t, check_argument, p);
}

START_TEST(as_an_argument)
{
    enum { THREADS = 300 };
    if (sanitizer_is("address") || sanitizer_is("thread"))
        return; /* its pthread_create stands before ours and hides the argument */
    stay_on_one_cpu();
    for (int i = 0; i < THREADS; i += 4) {
        pthread_t t[4];
        for (int k = 0; k < 4; k++)
            start_with_argument(&t[k]);
        settle();
        churn(sizeof(void *), 200);
        churn(SIZE, 200);
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
    }
}
END_TEST

static void *return_object(void *unused)
{
    (void)unused;
    return make_filled(SIZE, 3);
}

/* What a thread returns is held once the program has it. */
START_TEST(as_a_result)
{
    for (int i = 0; i < 200; i++) {
        pthread_t t;
        void *p;
        start(&t, return_object, NULL);
        pthread_join(t, &p);
        settle();
        churn(SIZE, 200);
        check_live(p, SIZE, 3);
    }
}
END_TEST

/* ---- blocked in the kernel ---- */

static int fds[2];
static ssize_t read_result = -2;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool flag;
static int wait_result = -2;
static sem_t blocked;

#define HOLD()                                                                                                         \
    void *volatile local[N];                                                                                           \
    for (size_t i = 0; i < N; i++)                                                                                     \
        local[i] = reveal(hidden[i]);                                                                                  \
    sem_post(&ready)
#define CHECK_HELD()                                                                                                   \
    for (size_t i = 0; i < N; i++)                                                                                     \
    check_live(local[i], SIZE, i)

static void *in_read(void *unused)
{
    char c;
    HOLD();
    read_result = read(fds[0], &c, 1);
    CHECK_HELD();
    return unused;
}

static void *in_cond_wait(void *unused)
{
    HOLD();
    pthread_mutex_lock(&mutex);
    while (!flag)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
    CHECK_HELD();
    return unused;
}

static void *in_sem_wait(void *unused)
{
    HOLD();
    wait_result = sem_wait(&blocked);
    CHECK_HELD();
    return unused;
}

/* It may be woken early: only that it holds, and ends, is tested. */
static _Atomic bool awake;

static void *in_nanosleep(void *unused)
{
    HOLD();
    while (!awake)
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    CHECK_HELD();
    return unused;
}

START_TEST(blocked_in_calls)
{
    void *(*const fns[])(void *) = {in_read, in_cond_wait, in_sem_wait, in_nanosleep};
    pthread_t t[4];
    setup();
    sem_init(&blocked, 0, 0);
    ck_assert_int_eq(pipe(fds), 0);
    build_hidden();
    for (int i = 0; i < 4; i++)
        start(&t[i], fns[i], NULL);
    for (int i = 0; i < 4; i++)
        wait_for(&ready);
    for (int i = 0; i < 20; i++)
        collect_around();
    check_hidden();
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    pthread_mutex_lock(&mutex);
    flag = true;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    sem_post(&blocked);
    awake = true;
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    /* Not disturbed: no EINTR that would not have been. */
    ck_assert_int_eq(read_result, 1);
    ck_assert_int_eq(wait_result, 0);
}
END_TEST

/* ---- signals ---- */

static int warnings;
static void count_warning(const char *message)
{
    (void)message;
    warnings++;
}

static int our_signal(void)
{
    int sig = 0;
    const char *at = strstr(gc_features(), "stop=signal:");
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "stop=signal:%d", &sig), 1);
    return sig;
}

/* The mask that the kernel has. */
static bool really_blocked(int sig)
{
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    return mask >> (sig - 1) & 1;
}

static void reads_back_without(int sig, int (*fn)(int, const sigset_t *, sigset_t *))
{
    sigset_t everything, back;
    sigfillset(&everything);
    ck_assert_int_eq(fn(SIG_BLOCK, &everything, NULL), 0);
    ck_assert(!really_blocked(sig));
    ck_assert(really_blocked(SIGUSR1));
    ck_assert_int_eq(fn(SIG_BLOCK, NULL, &back), 0);
    ck_assert_int_eq(sigismember(&back, sig), 0);
    ck_assert_int_eq(sigismember(&back, SIGUSR1), 1);
    ck_assert_int_eq(fn(SIG_SETMASK, &everything, &back), 0);
    ck_assert_int_eq(sigismember(&back, sig), 0);
    ck_assert(!really_blocked(sig));
    ck_assert_int_eq(fn(SIG_UNBLOCK, &everything, NULL), 0);
    ck_assert(!really_blocked(SIGUSR1));
}

static int call_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) { return pthread_sigmask(how, set, old); }
static int call_sigprocmask(int how, const sigset_t *set, sigset_t *old) { return sigprocmask(how, set, old); }

START_TEST(masks_leave_ours_open)
{
    int sig = our_signal();
    sigset_t set;
    reads_back_without(sig, call_pthread_sigmask);
    reads_back_without(sig, call_sigprocmask);
    sigemptyset(&set);
    sigaddset(&set, sig);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    ck_assert(!really_blocked(sig));
    ck_assert_int_eq(sigismember(&set, sig), 1); /* the caller's set is the caller's */
    ck_assert_int_eq(pthread_sigmask(12345, &set, NULL), EINVAL);
}
END_TEST

static void *block_all_and_hold(void *arg)
{
    sigset_t everything;
    sigfillset(&everything);
    pthread_sigmask(SIG_SETMASK, &everything, NULL);
    return hold_on_stack(arg);
}

START_TEST(with_all_signals_blocked)
{
    gc_set_warn_handler(count_warning);
    held_by_thread(block_all_and_hold);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

static NOINLINE void drop(size_t n)
{
    for (size_t i = 0; i < n; i++)
        make_filled(SIZE, i);
}

/* A new thread inherits a mask that was set behind our back, and can be stopped all the same. */
static void *stop_in_turn(void *unused)
{
    ck_assert(!really_blocked(our_signal()));
    return hold_on_stack(unused);
}

START_TEST(with_an_inherited_mask)
{
    pthread_t t;
    uint64_t mask = UINT64_MAX, old;
    setup();
    gc_set_warn_handler(count_warning);
    build_hidden();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
    int e = pthread_create(&t, NULL, stop_in_turn, NULL);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof mask);
    ck_assert_int_eq(e, 0);
    wait_for(&ready);
    drop(1000);
    collect_around();
    check_hidden();
    sem_post(&leave);
    pthread_join(t, NULL);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- attach and detach ---- */

static int detach(void)
{
    errno = 0;
    return gc_thread_detach();
}

static void *attach_rules(void *unused)
{
    ck_assert_int_eq(detach(), -1);
    ck_assert_int_eq(errno, EINVAL);
    for (int n = 1; n < 4; n++) {
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(gc_thread_attach(), 0);
        ck_assert_ptr_nonnull(gc_malloc(10));
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(detach(), 0);
        ck_assert_int_eq(detach(), -1);
        ck_assert_int_eq(errno, EINVAL);
        ck_assert_ptr_nonnull(gc_malloc(10));
    }
    return unused;
}

START_TEST(attach_and_detach)
{
    pthread_t t;
    attach_rules(NULL);
    start(&t, attach_rules, NULL);
    pthread_join(t, NULL);
}
END_TEST

/* A thread that was known before it attached is known after it detached: here, the main one. */
static void *collect_in_thread(void *unused)
{
    collect_around();
    return unused;
}

START_TEST(known_after_detach)
{
    pthread_t t;
    void *local[N];
    build_hidden();
    for (size_t i = 0; i < N; i++)
        local[i] = reveal(hidden[i]);
    launder(local);
    start(&t, collect_in_thread, NULL);
    ck_assert_int_eq(gc_thread_attach(), 0);
    ck_assert_int_eq(detach(), 0);
    pthread_join(t, NULL);
    for (size_t i = 0; i < N; i++)
        check_live(local[i], SIZE, i);
}
END_TEST

/* ---- the end of threads ---- */

static pthread_key_t key;
static _Atomic int destroyed;

static void allocate_in_destructor(void *value)
{
    check_live(value, SIZE, 9);
    drop(500);
    gc_collect();
    check_live(make_filled(SIZE, 1), SIZE, 1);
    destroyed++;
    if (destroyed % 3)
        pthread_setspecific(key, value); /* and again in the next round */
}

static void *set_key(void *value)
{
    pthread_setspecific(key, value);
    drop(10);
    return NULL;
}

START_TEST(destructors_allocate)
{
    static void *value;
    value = make_filled(SIZE, 9);
    ck_assert_int_eq(pthread_key_create(&key, allocate_in_destructor), 0);
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        start(&t, set_key, value);
        pthread_join(t, NULL);
    }
    ck_assert_int_ge(destroyed, 20);
}
END_TEST

/* A value that waits for its destructor is held while others run, which do not call the library. */
static pthread_key_t waiting_key, value_key;

static void wait_in_destructor(void *unused)
{
    (void)unused;
    sem_post(&ready);
    wait_for(&leave);
}

static void check_value(void *value) { check_live(value, SIZE, 0); }

static void *set_two_keys(void *unused)
{
    build_hidden();
    pthread_setspecific(value_key, reveal(hidden[0]));
    pthread_setspecific(waiting_key, &waiting_key);
    return unused;
}

START_TEST(destructors_wait)
{
    pthread_t t;
    setup();
    ck_assert_int_eq(pthread_key_create(&waiting_key, wait_in_destructor), 0);
    ck_assert_int_eq(pthread_key_create(&value_key, check_value), 0);
    start(&t, set_two_keys, NULL);
    wait_for(&ready);
    collect_around();
    sem_post(&leave);
    pthread_join(t, NULL);
}
END_TEST

static _Atomic int ended;

static void *allocate_and_exit(void *way)
{
    drop(20);
    if (way)
        gc_collect();
    ended++;
    if (way)
        pthread_exit(NULL);
    return NULL;
}

/* Thousands, joined and detached, by return and by pthread_exit: their records and caches are used again. */
START_TEST(short_lives)
{
    enum { THREADS = 3000 };
    struct gc_memstats st;
    pthread_attr_t attr;
    uint64_t after_some = 0;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < THREADS; i++) {
        pthread_t t;
        bool detached = i % 4 == 0;
        ck_assert_int_eq(pthread_create(&t, detached ? &attr : NULL, allocate_and_exit, i % 64 == 1 ? &key : NULL), 0);
        if (!detached)
            pthread_join(t, NULL);
        else
            while (ended <= i)
                sched_yield();
        if (i == THREADS / 4)
            after_some = read_stats(&st)->sys;
    }
    while (ended < THREADS)
        sched_yield();
    gc_read_memstats(&st);
    ck_assert_uint_le(st.sys, after_some + (8 << 20));
    ck_assert_uint_ge(st.mallocs, UINT64_C(20) * THREADS);
    settle();
    ck_assert_uint_le(read_stats(&st)->heap_objects, 100);
    ck_assert_uint_le(st.sys, after_some + (8 << 20));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, on_an_idle_stack);
#if defined __x86_64__
    tcase_add_test(tc, in_registers);
#endif
    tcase_add_test(tc, as_an_argument);
    tcase_add_test(tc, as_a_result);
    tcase_add_test(tc, blocked_in_calls);
    tcase_add_test(tc, masks_leave_ours_open);
    tcase_add_test(tc, with_all_signals_blocked);
    tcase_add_test(tc, with_an_inherited_mask);
    tcase_add_test(tc, attach_and_detach);
    tcase_add_test(tc, known_after_detach);
    tcase_add_test(tc, destructors_allocate);
    tcase_add_test(tc, destructors_wait);
    tcase_add_test(tc, short_lives);
}
CHECK_MAIN("api/threads", tests)
