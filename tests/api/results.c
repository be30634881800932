/* results.c - what is held for a thread that cannot hold it itself: its argument before it starts, its result after it
 * ended, however it ended and however it is joined; and that it is let go, and the record of it, however it is joined
 * or detached. Holds wrap_threads.argument, wrap_threads.result, wrap_threads.cancel, flight.found, flight.kept,
 * flight.newest. */
#include "../asleep.h"
#include "helpers.h"
#include "maker_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>

enum { N = 50, SIZE = 64, MANY = 400, SLACK = 20 };

/* A thread costs ten times as much under AddressSanitizer. */
static size_t fewer(size_t n) { return sanitizer_is("address") ? n / 5 : n; }

static sem_t ready, leave;
static pthread_t threads[N];
static uintptr_t hidden[N];
static _Atomic int tids[N];

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void setup(void)
{
    sem_init(&ready, 0, 0);
    sem_init(&leave, 0, 0);
    memset(tids, 0, sizeof tids);
}

static void must(int e, int expected)
{
    if (e != expected)
        ck_abort_msg("%d (%s), not %d", e, strerror(e), expected);
}

static void *note_self(void *index)
{
    tids[(size_t)index] = (int)syscall(SYS_gettid);
    return index;
}

static void end_all(void)
{
    for (size_t i = 0; i < N; i++)
        sem_post(&leave);
}

static void await_ends(void)
{
    for (size_t i = 0; i < N; i++)
        wait_until_gone(&tids[i]);
}

static NOINLINE void collect_around(void)
{
    for (int i = 0; i < 3; i++) {
        settle();
        churn(SIZE, 4 * N);
    }
}

static uint64_t settled_objects(void)
{
    settle();
    return heap_objects();
}

/* ---- ways to end, with an object as the result ---- */

static void *by_return(void *index)
{
    void *p = make_filled(SIZE, (size_t)index);
    hidden[(size_t)index] = hide(p);
    note_self(index);
    return p;
}

static int exit_deep(void *index, int depth);
static int (*volatile deeper)(void *index, int depth) = exit_deep;

static int exit_deep(void *index, int depth)
{
    if (depth == 0)
        pthread_exit(by_return(index));
    return 1 + deeper(index, depth - 1);
}

static void *by_exit(void *index)
{
    exit_deep(index, 40);
    return NULL;
}

/* While handlers run, the result is already where no stack is, perhaps. */
static void collect_in_handler(void *unused)
{
    (void)unused;
    settle();
    churn(SIZE, 50);
}

static void *by_exit_with_handlers(void *index)
{
    pthread_cleanup_push(collect_in_handler, NULL);
    exit_deep(index, 3);
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_key_t key;

static void *by_return_with_destructor(void *index)
{
    pthread_setspecific(key, index ? index : (void *)1);
    return by_return(index);
}

/* The thread can be cancelled at any instruction as it ends. */
static void *by_return_async(void *index)
{
    void *p = by_return(index);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    return p;
}

static void *(*const ends[])(void *) = {by_return, by_exit, by_exit_with_handlers, by_return_with_destructor,
                                        by_return_async};
enum { ENDS = sizeof ends / sizeof *ends };

/* ---- ways to take the result ---- */

static void *by_join(pthread_t t)
{
    void *p;
    must(pthread_join(t, &p), 0);
    return p;
}

static void *by_tryjoin(pthread_t t)
{
    void *p;
    must(pthread_tryjoin_np(t, &p), 0);
    return p;
}

static struct timespec later(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    now.tv_sec += 1000;
    return now;
}

static void *by_timedjoin(pthread_t t)
{
    void *p;
    struct timespec until = later(CLOCK_REALTIME);
    must(pthread_timedjoin_np(t, &p, &until), 0);
    return p;
}

static void *by_clockjoin(pthread_t t)
{
    void *p;
    struct timespec until = later(CLOCK_MONOTONIC);
    must(pthread_clockjoin_np(t, &p, CLOCK_MONOTONIC, &until), 0);
    return p;
}

static void *(*const takes[])(pthread_t) = {by_join, by_tryjoin, by_timedjoin, by_clockjoin};
enum { TAKES = sizeof takes / sizeof *takes };

static NOINLINE void start_all(void *(*fn)(void *))
{
    for (size_t i = 0; i < N; i++)
        must(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
}

static NOINLINE void check_results(void *(*take)(pthread_t))
{
    for (size_t i = 0; i < N; i++) {
        void *p = take(threads[i]);
        if (p != reveal(hidden[i]))
            ck_abort_msg("thread %zu gave %p, not %p", i, p, reveal(hidden[i]));
        check_live(p, SIZE, i);
    }
}

/* Twice: the second time, their ids are those of threads that were joined. */
START_TEST(held)
{
    setup();
    ck_assert_int_eq(pthread_key_create(&key, collect_in_handler), 0);
    for (int round = 0; round < 2; round++) {
        memset(tids, 0, sizeof tids);
        start_all(ends[_i / TAKES]);
        await_ends();
        collect_around();
        check_results(takes[_i % TAKES]);
    }
}
END_TEST

/* ---- ways to let go ---- */

static void *(*end_later)(void *);

static void *wait_and_end(void *index)
{
    sem_post(&ready);
    wait_for(&leave);
    return end_later(index);
}

static void *detach_self_and_end(void *index)
{
    must(pthread_detach(pthread_self()), 0);
    if (pthread_detach(pthread_self()) != EINVAL)
        ck_abort_msg("detached twice");
    return wait_and_end(index);
}

static int join_no_result(pthread_t t) { return pthread_join(t, NULL); }
static int c11_join(pthread_t t) { return thrd_join(t, NULL); }
static int c11_detach(pthread_t t) { return thrd_detach(t); }

static NOINLINE void drop_all(int (*drop)(pthread_t))
{
    for (size_t i = 0; i < N; i++)
        must(drop(threads[i]), 0);
}

static void drop_running(int (*drop)(pthread_t))
{
    drop_all(drop);
    end_all();
}

static void drop_ending(int (*drop)(pthread_t))
{
    end_all();
    drop_all(drop);
}

static void drop_ended(int (*drop)(pthread_t))
{
    end_all();
    await_ends();
    drop_all(drop);
}

static int no_call(pthread_t t)
{
    (void)t;
    return 0;
}

static const struct drop {
    int detached;
    void *(*fn)(void *);
    void (*when)(int (*)(pthread_t));
    int (*drop)(pthread_t);
} drops[] = {
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ending, join_no_result},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ended, join_no_result},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ended, c11_join},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_running, pthread_detach},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ending, pthread_detach},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ended, pthread_detach},
    {PTHREAD_CREATE_JOINABLE, wait_and_end, drop_ended, c11_detach},
    {PTHREAD_CREATE_JOINABLE, detach_self_and_end, drop_running, no_call},
    {PTHREAD_CREATE_DETACHED, wait_and_end, drop_running, no_call},
};
enum { DROPS = sizeof drops / sizeof *drops };

static NOINLINE void start_and_drop(const struct drop *d)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, d->detached);
    for (size_t i = 0; i < N; i++)
        must(pthread_create(&threads[i], &attr, d->fn, (void *)i), 0);
    for (size_t i = 0; i < N; i++)
        wait_for(&ready);
    d->when(d->drop);
    await_ends();
}

/* Neither the results nor the records of the threads, which are objects too, are left. All are there at once, so that no
 * id comes twice. */
START_TEST(let_go)
{
    if (fewer(1) == 0 && _i % 2)
        return;
    setup();
    ck_assert_int_eq(pthread_key_create(&key, collect_in_handler), 0);
    end_later = ends[_i / DROPS];
    uint64_t before = settled_objects();
    start_and_drop(&drops[_i % DROPS]);
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* Thousands need no more memory than hundreds. */
START_TEST(many_let_go)
{
    const struct drop *kinds[] = {&drops[0], &drops[4], &drops[8]};
    struct gc_memstats st;
    uint64_t after_some = 0;
    setup();
    end_later = by_return;
    for (size_t i = 0; i < fewer(90); i++) {
        memset(tids, 0, sizeof tids);
        start_and_drop(kinds[i % 3]);
        if (i == 9)
            after_some = read_stats(&st)->sys;
    }
    ck_assert_uint_le(settled_objects(), SLACK);
    ck_assert_uint_le(read_stats(&st)->sys, after_some + (2 << 20));
}
END_TEST

/* ---- joins that fail ---- */

static void *fail_and_end(void *index)
{
    must(pthread_join(pthread_self(), NULL), EDEADLK);
    sem_post(&ready);
    wait_for(&leave);
    return by_return(index);
}

/* They leave the result held, once it is there. */
START_TEST(failed_joins)
{
    const struct timespec past = {0, 0};
    void *p;
    setup();
    start_all(fail_and_end);
    for (size_t i = 0; i < N; i++) {
        wait_for(&ready);
        must(pthread_tryjoin_np(threads[i], &p), EBUSY);
        must(pthread_timedjoin_np(threads[i], &p, &past), ETIMEDOUT);
        must(pthread_clockjoin_np(threads[i], &p, CLOCK_MONOTONIC, &past), ETIMEDOUT);
    }
    end_all();
    await_ends();
    collect_around();
    check_results(by_join);
    ck_assert_uint_le(settled_objects(), SLACK);
}
END_TEST

/* ---- cancellation ---- */

struct joiner {
    pthread_t target;
    bool async;
};

static void *join_for_ever(void *arg)
{
    struct joiner *j = arg;
    if (j->async)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    sem_post(&ready);
    pthread_join(j->target, NULL);
    ck_abort_msg("joined");
    return NULL;
}

static NOINLINE void join_cancelled(size_t i, bool async)
{
    pthread_t t;
    struct joiner j = {threads[i], async};
    must(pthread_create(&t, NULL, join_for_ever, &j), 0);
    wait_for(&ready);
    must(pthread_cancel(t), 0);
    ck_assert_ptr_eq(by_join(t), PTHREAD_CANCELED);
}

/* A join that is cancelled has not happened: the result stays held, and is let go by the join that does. */
START_TEST(cancelled_joins)
{
    setup();
    end_later = by_return;
    uint64_t before = settled_objects();
    start_all(wait_and_end);
    for (size_t i = 0; i < N; i++)
        wait_for(&ready);
    for (size_t i = 0; i < N; i++)
        for (int k = 0; k < 4; k++)
            join_cancelled(i, k & 1);
    end_all();
    await_ends();
    collect_around();
    check_results(by_join);
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

static void *spin_async(void *unused)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    sem_post(&ready);
    for (;;)
        __asm__ volatile("");
    return unused;
}

static void *pause_for_ever(void *unused)
{
    sem_post(&ready);
    for (;;)
        pause();
    return unused;
}

/* Before it starts, at a cancellation point, anywhere, and as it ends. */
START_TEST(cancelled_threads)
{
    void *(*const fns[])(void *) = {spin_async, pause_for_ever, by_return_async};
    setup();
    uint64_t before = settled_objects();
    for (size_t i = 0; i < MANY; i++) {
        pthread_t t;
        void *(*fn)(void *) = fns[i % 3];
        must(pthread_create(&t, NULL, fn, NULL), 0);
        if (fn != by_return_async && i % 2)
            wait_for(&ready);
        pthread_cancel(t);
        void *p = by_join(t);
        if (fn != by_return_async)
            ck_assert_ptr_eq(p, PTHREAD_CANCELED);
    }
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* ---- ends, joins and detaches that meet ---- */

static _Atomic bool over;

static _Atomic unsigned steps;

/* One collection beside each step: who collects without a pause keeps new threads from the lock that they need. */
static void *collect_along(void *unused)
{
    while (!over) {
        unsigned seen = steps;
        gc_collect();
        churn(SIZE, 100);
        while (!over && steps == seen)
            sched_yield();
    }
    return unused;
}

static void *small_result(void *index) { return make_filled(SIZE, (size_t)index); }

/* Detached threads, which may end long after whoever made them has gone on; until then their objects are theirs. */
enum { MEETINGS = 500, LOOSE = 2 * MEETINGS };
static _Atomic int loose[LOOSE];

static void *loose_result(void *tid)
{
    *(_Atomic int *)tid = (int)syscall(SYS_gettid);
    return make_filled(SIZE, 0);
}

static void *detach_it(void *t)
{
    must(pthread_detach(*(pthread_t *)t), 0);
    return NULL;
}

START_TEST(meetings)
{
    const size_t rounds = fewer(MEETINGS);
    pthread_t collector;
    uint64_t before = settled_objects();
    must(pthread_create(&collector, NULL, collect_along, NULL), 0);
    for (size_t i = 0; i < rounds; i++) {
        pthread_t t[4], detacher;
        for (size_t k = 0; k < 2; k++, steps++)
            must(pthread_create(&t[k], NULL, loose_result, (void *)&loose[2 * i + k]), 0);
        for (size_t k = 2; k < 4; k++, steps++)
            must(pthread_create(&t[k], NULL, small_result, (void *)(i + k)), 0);
        must(pthread_detach(t[0]), 0);
        must(pthread_create(&detacher, NULL, detach_it, &t[1]), 0);
        for (size_t k = 2; k < 4; k++, steps++)
            check_live(by_join(t[k]), SIZE, i + k);
        by_join(detacher);
    }
    over = true;
    by_join(collector);
    for (size_t i = 0; i < 2 * rounds; i++)
        wait_until_gone(&loose[i]);
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* ---- behind the library's back ---- */

static NOINLINE void join_unseen(int (*join)(pthread_t, void **))
{
    void *p;
    tids[0] = 0;
    must(pthread_create(&threads[0], NULL, by_return, NULL), 0);
    wait_until_gone(&tids[0]);
    must(join(threads[0], &p), 0);
}

/* The record of a thread that the C library joined by itself is let go when its id comes again, and does not stand in
 * the way of the new thread's. */
START_TEST(joined_unseen)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    int (*join)(pthread_t, void **) = NULL;
    if (libc)
        *(void **)&join = dlsym(libc, "pthread_join");
    if (!join || sanitizer_is("address") || sanitizer_is("thread"))
        return;
    uint64_t before = settled_objects();
    for (int i = 0; i < MANY; i++)
        join_unseen(join);
    ck_assert_uint_le(settled_objects(), before + SLACK);
    memset(tids, 0, sizeof tids);
    start_all(by_return);
    await_ends();
    collect_around();
    check_results(by_join);
}
END_TEST

/* A thread that leaves by a bare system call runs no handler. */
static void *leave_barely(void *unused)
{
    syscall(SYS_exit, 0);
    return unused;
}

START_TEST(ended_barely)
{
    uint64_t before = settled_objects();
    start_all(leave_barely);
    for (size_t i = 0; i < N; i++)
        by_join(threads[i]);
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* ---- creation that fails ---- */

START_TEST(not_created)
{
    pthread_attr_t attr;
    pthread_t t;
    uint64_t before = settled_objects();
    pthread_attr_init(&attr);
    must(pthread_attr_setstacksize(&attr, (size_t)1 << 50), 0);
    for (int i = 0; i < MANY; i++)
        if (pthread_create(&t, &attr, by_return, gc_malloc(SIZE)) == 0)
            ck_abort_msg("created with a stack of 2^50 bytes");
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* ---- fork ---- */

static void use_threads(void *unused)
{
    (void)unused;
    struct timespec nap = {0, 0};
    settle();
    memset(tids, 0, sizeof tids);
    for (size_t i = 0; i < N; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, small_result, (void *)i) != 0)
            _exit(2);
        check_live(by_join(t), SIZE, i);
    }
    nanosleep(&nap, NULL);
    settle();
    if (heap_objects() > SLACK)
        _exit(3);
}

/* In the child nothing is held for the parent's threads; in the parent all of it stays held. */
START_TEST(forked)
{
    struct outcome o;
    if (sanitizer_is("address") || sanitizer_is("thread"))
        return; /* a forked child starts no thread */
    setup();
    settled_objects();
    start_all(by_return);
    await_ends();
    run_child(use_threads, NULL, &o);
    must_exit_0(&o);
    collect_around();
    check_results(by_join);
}
END_TEST

/* The forking thread is the child's own: its result goes the way of any other. */
static void *fork_and_return(void *status)
{
    pid_t pid = fork();
    if (pid == 0) {
        settle();
        pthread_exit(make_filled(SIZE, 1));
    }
    while (waitpid(pid, status, 0) < 0)
        ;
    return make_filled(SIZE, 2);
}

START_TEST(forked_in_a_thread)
{
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        int status = -1;
        must(pthread_create(&t, NULL, fork_and_return, &status), 0);
        check_live(by_join(t), SIZE, 2);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

/* ---- a destructor of a key ends the thread once more: its result is the last ---- */

static pthread_key_t ending;

static NOINLINE void end_again(void *number) { pthread_exit(make_filled(SIZE, (size_t)number)); }

static void *end_with_destructor(void *index)
{
    pthread_setspecific(ending, (char *)index + 1);
    note_self(index);
    return NULL;
}

START_TEST(given_by_a_destructor)
{
    setup();
    must(pthread_key_create(&ending, end_again), 0);
    for (size_t i = 0; i < N; i++)
        must(pthread_create(&threads[i], NULL, end_with_destructor, (void *)i), 0);
    await_ends();
    collect_around();
    for (size_t i = 0; i < N; i++) {
        void *p;
        must(pthread_join(threads[i], &p), 0);
        check_live(p, SIZE, i + 1);
    }
}
END_TEST

/* ---- the id's memory is the thread's to free once it runs ---- */

static void *unmap_id(void *page)
{
    pthread_detach(pthread_self());
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
    return NULL;
}

START_TEST(id_that_the_thread_unmaps)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 1000; i++) {
        pthread_t *id = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (id == MAP_FAILED || pthread_create(id, NULL, unmap_id, launder(id)) != 0)
            ck_abort_msg("thread %d cannot be made", i);
    }
}
END_TEST

/* ---- thrd_create ---- */

static int check_argument(void *arg)
{
    check_live(*(void **)arg, SIZE, 7);
    return 42;
}

static int exit_c11(void *arg)
{
    check_argument(arg);
    thrd_exit(42);
}

static NOINLINE void start_with_argument(thrd_t *t, thrd_start_t fn)
{
    void **p = gc_malloc(sizeof *p);
    *p = make_filled(SIZE, 7);
    must(thrd_create(t, fn, p), thrd_success);
}

START_TEST(c11_argument)
{
    stay_on_one_cpu();
    uint64_t before = settled_objects();
    for (int i = 0; i < MANY; i += 4) {
        thrd_t t[4];
        int result;
        for (int k = 0; k < 4; k++)
            start_with_argument(&t[k], k & 1 ? check_argument : exit_c11);
        settle();
        churn(sizeof(void *), 200);
        churn(SIZE, 200);
        for (int k = 0; k < 4; k++) {
            must(thrd_join(t[k], &result), thrd_success);
            ck_assert_int_eq(result, 42);
        }
    }
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

static _Atomic int ended;

static int count_end(void *unused)
{
    (void)unused;
    ended++;
    return 0;
}

START_TEST(c11_detached)
{
    uint64_t before = settled_objects();
    for (int i = 0; i < MANY; i++) {
        thrd_t t;
        must(thrd_create(&t, count_end, NULL), thrd_success);
        must(thrd_detach(t), thrd_success);
    }
    while (ended < MANY)
        sched_yield();
    ck_assert_uint_le(settled_objects(), before + SLACK);
}
END_TEST

/* ---- threads that never call the library: how they are made is enough to know them ---- */

static NOINLINE void hide_all(void)
{
    for (size_t i = 0; i < N; i++)
        hidden[i] = hide(make_filled(SIZE, i));
}

static int hold_hidden(void *unused)
{
    (void)unused;
    void *volatile local[N];
    for (size_t i = 0; i < N; i++)
        local[i] = reveal(hidden[i]);
    sem_post(&ready);
    wait_for(&leave);
    for (size_t i = 0; i < N; i++)
        check_filled(local[i], SIZE, i);
    return 0;
}

static void *hold_hidden_too(void *index)
{
    hold_hidden(NULL);
    return by_return(index);
}

static void check_hidden(void)
{
    wait_for(&ready);
    gc_enable();
    collect_around();
    for (size_t i = 0; i < N; i++)
        check_live(reveal(hidden[i]), SIZE, i);
    sem_post(&leave);
}

START_TEST(c11_idle_stack)
{
    thrd_t t;
    setup();
    gc_disable();
    hide_all();
    must(thrd_create(&t, hold_hidden, NULL), thrd_success);
    check_hidden();
    must(thrd_join(t, NULL), thrd_success);
}
END_TEST

/* Made by a library that was not built with this one in mind. */
START_TEST(made_by_a_library)
{
    pthread_t t;
    void *p;
    setup();
    gc_disable();
    hide_all();
    must(maker_start(&t, hold_hidden_too, NULL), 0);
    check_hidden();
    wait_until_gone(&tids[0]);
    collect_around();
    must(maker_join(t, &p), 0);
    ck_assert_ptr_eq(p, reveal(hidden[0]));
    check_live(p, SIZE, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, id_that_the_thread_unmaps);
    tcase_add_test(tc, given_by_a_destructor);
    tcase_add_loop_test(tc, held, 0, ENDS * TAKES);
    tcase_add_loop_test(tc, let_go, 0, ENDS * DROPS);
    tcase_add_test(tc, many_let_go);
    tcase_add_test(tc, failed_joins);
    tcase_add_test(tc, cancelled_joins);
    tcase_add_test(tc, cancelled_threads);
    tcase_add_test(tc, meetings);
    tcase_add_test(tc, joined_unseen);
    tcase_add_test(tc, ended_barely);
    tcase_add_test(tc, not_created);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, forked_in_a_thread);
    tcase_add_test(tc, c11_argument);
    tcase_add_test(tc, c11_detached);
    tcase_add_test(tc, c11_idle_stack);
    tcase_add_test(tc, made_by_a_library);
}
CHECK_MAIN("api/results", tests)
