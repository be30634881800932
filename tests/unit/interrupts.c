/* interrupts.c - entering a wait again after a stop: only after a stop, and never past a handler of the program, not even
 * one that runs just before the kernel is entered again. Holds interrupts.never, .seen and stop.still. */
#include "../check_main.h"

#include "os/os_calls.h"
#include "world/interrupts.h"
#include "world/region.h"
#include "world/stop.h"

#include <errno.h>
#include <setjmp.h>
#include <spangc.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static _Atomic int handled;
static sigjmp_buf out;

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}

static void leave(int sig)
{
    (void)sig;
    siglongjmp(out, 1);
}

/* A stop that is over when the thread gets to it. */
static void be_stopped(void) { ck_assert_int_eq(os_signal_thread(os_tid(), stop_signal(), thread_self()), OS_SENT); }

static void begin(void (*fn)(int))
{
    ck_assert_int_eq(gc_init(), 0);
    ck_assert_ptr_eq(signal(SIGUSR1, fn), SIG_DFL);
}

/* What the wrapper of a call does that failed with EINTR. */
static bool enter_again(struct wait *w)
{
    errno = EINTR;
    bool again = wait_again(w);
    ck_assert_int_eq(errno, EINTR);
    return again;
}

START_TEST(stopped)
{
    begin(on_signal);
    struct wait w = wait_begin();
    for (int i = 0; i < 3; i++) {
        be_stopped();
        ck_assert(enter_again(&w));
        ck_assert(!enter_again(&w)); /* not twice for one stop */
    }
    errno = EBADF;
    ck_assert(!wait_again(&w));
    wait_end(&w);
}
END_TEST

/* The record that the signal names is no longer this thread's, but the call was interrupted all the same. */
START_TEST(stopped_late)
{
    begin(on_signal);
    struct wait w = wait_begin();
    ck_assert_int_eq(os_signal_thread(os_tid(), stop_signal(), NULL), OS_SENT);
    ck_assert(enter_again(&w));
    wait_end(&w);
}
END_TEST

START_TEST(handled_before)
{
    begin(on_signal);
    struct wait w = wait_begin();
    raise(SIGUSR1);
    ck_assert(!enter_again(&w));
    be_stopped();
    ck_assert(!enter_again(&w));
    ck_assert(!wait_only_stopped(&w));
    wait_end(&w);
    ck_assert_int_eq(handled, 1);
}
END_TEST

static void sleep_undisturbed(long ms)
{
    struct timespec t = {0, ms * 1000000}, left = {0, 0};
    uint32_t before = interrupts.stops;
    if (os_real_nanosleep(&t, &left) != 0)
        ck_abort_msg("interrupted with %ld ns left, after %u signals", left.tv_nsec, interrupts.stops - before);
}

/* The handler runs after the test and before the system call. */
START_TEST(handled_between)
{
    struct timespec t = {100, 0};
    begin(on_signal);
    struct wait w = wait_begin();
    be_stopped();
    ck_assert(enter_again(&w));
    raise(SIGUSR1);
    ck_assert_int_eq(os_real_nanosleep(&t, NULL), -1);
    ck_assert(!enter_again(&w));
    ck_assert_int_gt(interrupts.shots, 0);
    wait_end(&w);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(interrupts.shots, 0);
    sleep_undisturbed(30);
}
END_TEST

/* Woken after stops, it leaves no trace in errno. */
START_TEST(errno_is_kept)
{
    begin(on_signal);
    errno = ENOTTY;
    struct wait w = wait_begin();
    be_stopped();
    ck_assert(enter_again(&w));
    wait_end(&w);
    ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

/* Nobody ends that wait: the timer ends itself, and the next wait is as any other. */
START_TEST(left_by_a_jump)
{
    begin(leave);
    struct wait *volatile w = &(struct wait){0};
    if (sigsetjmp(out, 1) == 0) {
        *w = wait_begin();
        be_stopped();
        ck_assert(enter_again(w));
        raise(SIGUSR1);
    }
    ck_assert_int_gt(interrupts.shots, 0);
    while (interrupts.shots > 0)
        ;
    sleep_undisturbed(30);
    struct wait next = wait_begin();
    wait_end(&next);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    ck_assert_int_eq(interrupts.shots, 0); /* no timer for a wait that is no more */
}
END_TEST

/* In a child the timer is not there, and another of the program may have its number. */
START_TEST(forked)
{
    begin(on_signal);
    struct wait w = wait_begin();
    be_stopped();
    ck_assert(enter_again(&w));
    raise(SIGUSR1);
    pid_t pid = fork();
    if (pid == 0) {
        timer_t id;
        struct sigevent e = {.sigev_notify = SIGEV_NONE};
        struct itimerspec t;
        if (timer_create(CLOCK_MONOTONIC, &e, &id) != 0)
            _exit(2);
        wait_end(&w);
        _exit(timer_gettime(id, &t) == 0 ? 0 : 1);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(status, 0);
    wait_end(&w);
}
END_TEST

/* ---- a thread that parks as it leaves a region takes no signal before it runs again ---- */

static _Atomic int tid;
static _Atomic bool is_stopped, ran_while_stopped;

static void on_parked(int sig)
{
    (void)sig;
    handled++;
    if (is_stopped)
        ran_while_stopped = true;
}

static void on_event(const struct gc_event *e, void *arg)
{
    (void)arg;
    if (e->kind == GC_SPAN_EVENT_STOPPED) {
        is_stopped = true;
        syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
        uint64_t end = os_now_ns() + 10000000; /* it would be seen at once if it were to happen at all */
        while (!ran_while_stopped && os_now_ns() < end)
            ;
        is_stopped = false;
    }
}

static void *leave_region(void *unused)
{
    (void)unused;
    struct mcache *c = mcache_self;
    region_enter(c);
    tid = os_tid();
    while (!c->stop_pending)
        ;
    region_leave(c);
    return NULL;
}

START_TEST(parked)
{
    pthread_t id;
    begin(on_parked);
    gc_set_event_handler(on_event, NULL);
    ck_assert_int_eq(pthread_create(&id, NULL, leave_region, NULL), 0);
    while (tid == 0)
        ;
    gc_collect();
    pthread_join(id, NULL);
    ck_assert_int_eq(handled, 1);
    ck_assert(!ran_while_stopped);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, stopped_late);
    tcase_add_test(tc, handled_before);
    tcase_add_test(tc, handled_between);
    tcase_add_test(tc, errno_is_kept);
    tcase_add_test(tc, left_by_a_jump);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, parked);
}

CHECK_MAIN("unit/interrupts", tests)
