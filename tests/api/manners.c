/* manners.c - the program's signals are its own: handlers, masks, waits for signals, errno, cancellation; none of its
 * handlers runs on a thread that is stopped or that collects. Holds wrap_signals.handler, .flags and stop.still. */
#include "storm.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt, sigset: still there, still used */

enum { STOPS = 20, LOOK_NS = 10 * 1000 * 1000 };

static _Atomic int handled, tid;
static _Atomic bool ends;

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}
static void on_other(int sig) { (void)sig; }
static void on_info(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    if (sig == SIGRTMIN + 1 && info->si_value.sival_int == 77 && uc->uc_stack.ss_size < 1 << 30)
        handled++;
}

static int stop_signal_number(void)
{
    const char *text = strstr(gc_features(), "stop=signal:");
    ck_assert_ptr_nonnull(text);
    return atoi(strchr(text, ':') + 1);
}

static struct sigaction query(int sig)
{
    struct sigaction sa;
    ck_assert_int_eq(sigaction(sig, NULL, &sa), 0);
    return sa;
}

static struct sigaction set(int sig, void (*fn)(int), int flags)
{
    struct sigaction old, sa = {.sa_handler = fn, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGUSR2);
    ck_assert_int_eq(sigaction(sig, &sa, &old), 0);
    return old;
}

/* ---- what was asked for is what is told ---- */

START_TEST(dispositions)
{
    int sig = SIGUSR1;
    ck_assert_ptr_eq(set(sig, on_signal, SA_RESTART).sa_handler, SIG_DFL);
    struct sigaction sa = query(sig);
    ck_assert_ptr_eq(sa.sa_handler, on_signal);
    ck_assert_int_eq(sa.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER), SA_RESTART);
    ck_assert_int_eq(sigismember(&sa.sa_mask, SIGUSR2), 1);
    ck_assert_int_eq(sigismember(&sa.sa_mask, SIGTERM), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_ptr_eq(set(sig, on_other, SA_NODEFER).sa_handler, on_signal);
        ck_assert_ptr_eq(set(sig, on_signal, 0).sa_handler, on_other);
    }
    ck_assert_ptr_eq(set(sig, SIG_IGN, 0).sa_handler, on_signal);
    ck_assert_ptr_eq(query(sig).sa_handler, SIG_IGN);
    ck_assert_ptr_eq(signal(sig, on_signal), SIG_IGN);
    ck_assert_int_eq(query(sig).sa_flags & SA_RESTART, SA_RESTART);
    ck_assert_int_eq(siginterrupt(sig, 1), 0);
    ck_assert_ptr_eq(query(sig).sa_handler, on_signal);
    ck_assert_int_eq(query(sig).sa_flags & SA_RESTART, 0);
    ck_assert_ptr_eq(ssignal(sig, on_other), on_signal);
    ck_assert_ptr_eq(sysv_signal(sig, on_signal), on_other);
    raise(sig);
    ck_assert_int_eq(handled, 1);
    ck_assert_ptr_eq(query(sig).sa_handler, SIG_DFL);
    ck_assert_ptr_eq(sigset(sig, on_signal), SIG_DFL);
    ck_assert_ptr_eq(sigset(sig, SIG_HOLD), on_signal);
    ck_assert_ptr_eq(sigset(sig, on_other), SIG_HOLD);
    ck_assert_ptr_eq(signal(sig, SIG_DFL), on_other);
}
END_TEST

START_TEST(refusals)
{
    struct sigaction sa = {.sa_handler = on_signal};
    const int bad[] = {0, -1, SIGKILL, SIGSTOP, 65, 1000, stop_signal_number()};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_int_eq(sigaction(bad[i], &sa, NULL), -1);
        ck_assert_int_eq(errno, EINVAL);
        errno = 0;
        ck_assert_ptr_eq(signal(bad[i], on_signal), SIG_ERR);
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

/* A handler that was there is the one that runs, with all its arguments. */
START_TEST(arguments)
{
    struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_RESETHAND};
    int sig = SIGRTMIN + 1;
    ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
    ck_assert_ptr_eq((void *)query(sig).sa_sigaction, (void *)on_info);
    ck_assert_int_eq(query(sig).sa_flags & SA_SIGINFO, SA_SIGINFO);
    sigqueue(getpid(), sig, (union sigval){.sival_int = 77});
    ck_assert_int_eq(handled, 1);
    ck_assert_ptr_eq(query(sig).sa_handler, SIG_DFL);
}
END_TEST

static void install_again(int sig)
{
    (void)sig;
    handled++;
    set(SIGUSR2, handled % 2 ? on_signal : on_other, 0);
}

/* From handlers, and in the children of all kinds of fork. */
START_TEST(from_handlers)
{
    int status;
    set(SIGUSR1, install_again, SA_NODEFER);
    for (int i = 0; i < 5; i++) {
        raise(SIGUSR1);
        ck_assert_ptr_eq(query(SIGUSR2).sa_handler, handled % 2 ? on_signal : on_other);
    }
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGUSR1);
        _exit(query(SIGUSR2).sa_handler == on_other ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    pid = vfork();
    if (pid == 0) {
        signal(SIGUSR2, SIG_DFL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_ptr_eq(query(SIGUSR2).sa_handler, on_signal);
}
END_TEST

/* ---- a thread that does as it is told ---- */

static void *spin(void *unused)
{
    (void)unused;
    tid = own_tid();
    while (!ends)
        ;
    return NULL;
}

static pthread_t start(void *(*fn)(void *))
{
    pthread_t id;
    tid = 0;
    ends = false;
    ck_assert_int_eq(pthread_create(&id, NULL, fn, NULL), 0);
    while (tid == 0)
        sched_yield();
    return id;
}

static void stop(pthread_t id)
{
    ends = true;
    pthread_join(id, NULL);
}

static void send_to(int to, int sig) { syscall(SYS_tgkill, getpid(), to, sig); }

static uint32_t collections(void)
{
    struct gc_memstats st;
    gc_read_memstats(&st);
    return (uint32_t)st.num_gc;
}

/* Daemons reset all signals. */
START_TEST(all_reset)
{
    for (int sig = 1; sig <= 64; sig++)
        if (sig != SIGCHLD)
            signal(sig, SIG_DFL);
    pthread_t id = start(spin);
    for (int i = 0; i < STOPS; i++)
        gc_collect();
    stop(id);
}
END_TEST

/* ---- masks that name every signal leave the thread open to be stopped ---- */

static _Atomic bool in_handler;

static void stay(int sig)
{
    (void)sig;
    in_handler = true;
    while (!ends)
        ;
}

START_TEST(full_mask_of_a_handler)
{
    struct sigaction sa = {.sa_handler = stay};
    sigfillset(&sa.sa_mask);
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    pthread_t id = start(spin);
    send_to(tid, SIGUSR1);
    while (!in_handler)
        ;
    uint32_t n = collections();
    gc_collect();
    ck_assert_uint_eq(collections(), n + 1);
    stop(id);
}
END_TEST

static void *suspend(void *unused)
{
    sigset_t mask;
    (void)unused;
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR1);
    tid = own_tid();
    ck_assert_int_eq(sigsuspend(&mask), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(handled, 1);
    return NULL;
}

START_TEST(full_mask_of_sigsuspend)
{
    sigset_t mask;
    set(SIGUSR1, on_signal, 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_t id = start(suspend);
    wait_until_asleep(&tid);
    uint32_t n = collections();
    for (int i = 0; i < STOPS; i++)
        gc_collect();
    ck_assert_uint_eq(collections(), n + STOPS);
    ck_assert_int_eq(handled, 0);
    send_to(tid, SIGUSR1);
    pthread_join(id, NULL);
}
END_TEST

START_TEST(masks_are_the_programs)
{
    sigset_t mask, old;
    sigfillset(&mask);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &mask, NULL), 0);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &old), 0);
    for (int sig = 1; sig <= 64; sig++) {
        bool open = sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33 || sig == stop_signal_number();
        if (sigismember(&old, sig) == open)
            ck_abort_msg("signal %d", sig);
    }
    set(SIGUSR1, on_signal, 0);
    pthread_t storm = storm_begin();
    storm_pass(1);
    raise(SIGUSR1);
    storm_pass(STOPS);
    ck_assert_int_eq(handled, 0);
    sigpending(&old);
    ck_assert_int_eq(sigismember(&old, SIGUSR1), 1);
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    ck_assert_int_eq(handled, 1);
    storm_end(storm);
}
END_TEST

/* ---- signals to the process arrive, each of them, while collections run ---- */

START_TEST(none_is_lost)
{
    enum { SENT = 2000, AT_ONCE = 100 };
    struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    ck_assert_int_eq(sigaction(SIGRTMIN + 1, &sa, NULL), 0);
    pthread_t storm = storm_begin();
    for (int i = 0; i < SENT; i++) {
        ck_assert_int_eq(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 77}), 0);
        while (handled + AT_ONCE < i)
            launder(gc_malloc(100));
    }
    while (handled < SENT)
        sched_yield();
    storm_end(storm);
    ck_assert_int_eq(handled, SENT);
}
END_TEST

START_TEST(timers_go_on)
{
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    set(SIGALRM, on_signal, SA_RESTART);
    pthread_t storm = storm_begin();
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (handled < 100)
        launder(gc_malloc(100));
    setitimer(ITIMER_REAL, &never, NULL);
    storm_end(storm);
}
END_TEST

static void *keep_errno(void *unused)
{
    (void)unused;
    tid = own_tid();
    for (int i = 1; !ends; i = i % 100 + 1) {
        errno = i;
        for (volatile int k = 0; k < 100; k++)
            ;
        if (errno != i)
            ck_abort_msg("errno became %d", errno);
        launder(gc_malloc(16));
        if (errno != i)
            ck_abort_msg("errno became %d", errno);
    }
    return NULL;
}

START_TEST(errno_stays)
{
    pthread_t id = start(keep_errno);
    pthread_t storm = storm_begin();
    storm_pass(20 * STOPS);
    storm_end(storm);
    stop(id);
}
END_TEST

/* ---- while the world is stopped nothing of the program runs ---- */

static _Atomic bool is_stopped, ran_while_stopped, look;
static _Atomic int collector;
static pthread_t victim;
static void (*while_stopped)(void);

static void on_event(const struct gc_event *e, void *arg)
{
    (void)arg;
    if (!look || (e->kind != GC_SPAN_EVENT_STOPPED && e->kind != GC_SPAN_EVENT_MARK_DONE))
        return;
    if (e->kind == GC_SPAN_EVENT_MARK_DONE) {
        uint64_t until = now_ns() + LOOK_NS; /* it would be seen at once if it were to happen at all */
        while (!ran_while_stopped && now_ns() < until)
            ;
        is_stopped = false;
        return;
    }
    is_stopped = true;
    while_stopped();
}

static void on_stopped(int sig)
{
    (void)sig;
    handled++;
    if (is_stopped)
        ran_while_stopped = true;
}

static void *allocate(void *unused)
{
    (void)unused;
    tid = own_tid();
    while (!ends)
        launder(gc_malloc(16));
    return NULL;
}

static void signal_both(void)
{
    send_to(tid, SIGUSR1);
    send_to(collector, SIGUSR1);
}

static void handlers_wait(void *(*fn)(void *))
{
    set(SIGUSR1, on_stopped, SA_RESTART);
    gc_set_event_handler(on_event, NULL);
    while_stopped = signal_both;
    collector = own_tid();
    pthread_t id = start(fn);
    look = true;
    for (int i = 0; i < STOPS; i++)
        gc_collect();
    while (handled < 2)
        sched_yield();
    stop(id);
    ck_assert(!ran_while_stopped);
}

START_TEST(stopped_by_a_signal) { handlers_wait(spin); }
END_TEST

START_TEST(stopped_by_the_flag) { handlers_wait(allocate); }
END_TEST

/* A signal to the process goes to the main thread if that takes it, as it does when nothing is stopped. */
static _Atomic int main_handled;
static void on_main(int sig)
{
    (void)sig;
    handled++;
    main_handled += own_tid() == getpid();
}

static void signal_process(void)
{
    look = false;
    kill(getpid(), SIGUSR1);
}

enum { ROUNDS = 30 };
static _Atomic int sleeping, rounds;

static void *stop_the_sleeper(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        while (rounds != i)
            sched_yield();
        wait_until_asleep(&sleeping);
        look = true;
        gc_collect();
        while (rounds == i)
            sched_yield();
    }
    return NULL;
}

START_TEST(to_the_process)
{
    struct timespec t = {100, 0};
    pthread_t collecting;
    set(SIGUSR1, on_main, SA_RESTART);
    gc_set_event_handler(on_event, NULL);
    while_stopped = signal_process;
    pthread_t others[2] = {start(spin), start(spin)};
    rounds = -1;
    ck_assert_int_eq(pthread_create(&collecting, NULL, stop_the_sleeper, NULL), 0);
    sleeping = own_tid();
    for (int i = 0; i < ROUNDS; i++) {
        rounds = i;
        ck_assert_int_eq(nanosleep(&t, NULL), -1);
        ck_assert_int_eq(errno, EINTR);
    }
    rounds = ROUNDS;
    pthread_join(collecting, NULL);
    ck_assert_int_eq(handled, ROUNDS);
    ck_assert_int_eq(main_handled, ROUNDS);
    stop(others[0]);
    stop(others[1]);
}
END_TEST

static _Atomic int cleaned;

static void clean(void *unused)
{
    (void)unused;
    cleaned++;
    if (is_stopped)
        ran_while_stopped = true;
}

static void *wait_to_be_cancelled(void *call)
{
    struct timespec t = {100, 0};
    char c;
    int fds[2];
    void *volatile kept = make_filled(64, 3);
    pthread_cleanup_push(clean, NULL);
    ck_assert_int_eq(pipe(fds), 0);
    tid = own_tid();
    if (call)
        nanosleep(&t, NULL);
    else if (read(fds[0], &c, 1) != 1)
        pause();
    pthread_cleanup_pop(0);
    return kept;
}

/* The first cancellation of a process loads a library; that is not for a stopped world. */
static void cancel_one(void *call, bool stopped)
{
    void *result;
    tid = 0;
    ck_assert_int_eq(pthread_create(&victim, NULL, wait_to_be_cancelled, call), 0);
    wait_until_asleep(&tid);
    if (stopped) {
        look = true;
        gc_collect();
    } else {
        pthread_cancel(victim);
    }
    pthread_join(victim, &result);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
}

static void cancel_and_look(void)
{
    pthread_cancel(victim);
    uint64_t until = now_ns() + LOOK_NS;
    while (cleaned == 1 && now_ns() < until)
        ;
    is_stopped = false;
    look = false;
}

START_TEST(cancelled_when_stopped)
{
    cancel_one(_i ? &cleaned : NULL, false);
    gc_set_event_handler(on_event, NULL);
    while_stopped = cancel_and_look;
    cancel_one(_i ? &cleaned : NULL, true);
    ck_assert_int_eq(cleaned, 2);
    ck_assert(!ran_while_stopped);
}
END_TEST

/* Many, in calls that were entered again after stops: all end, and what their neighbours hold stays. */
START_TEST(cancelled_in_a_storm)
{
    void *volatile kept = make_filled(64, 9);
    pthread_t storm = storm_begin();
    for (int i = 0; i < share_of(50); i++) {
        tid = 0;
        ck_assert_int_eq(pthread_create(&victim, NULL, wait_to_be_cancelled, &cleaned), 0);
        while (tid == 0)
            sched_yield();
        storm_pass((uint32_t)i % 4);
        pthread_cancel(victim);
        pthread_join(victim, NULL);
    }
    storm_end(storm);
    ck_assert_int_eq(cleaned, share_of(50));
    check_live(kept, 64, 9);
}
END_TEST

/* ---- the library in handlers ---- */

static void *volatile slots[64];

static void allocating(int sig)
{
    (void)sig;
    int i = handled++ % 64;
    if (slots[i])
        check_live(slots[i], 48, 5);
    slots[i] = make_filled(48, 5);
    if (i == 0)
        gc_collect();
}

/* It interrupts code of the program and the C library's waits, never the library. */
START_TEST(handler_allocates)
{
    set(SIGUSR1, allocating, SA_RESTART);
    pthread_t id = start(spin);
    pthread_t storm = storm_begin();
    for (int i = 0; i < share_of(300); i++) {
        send_to(tid, SIGUSR1);
        while (handled == i)
            sched_yield();
    }
    storm_end(storm);
    stop(id);
}
END_TEST

static _Atomic bool again;

/* The next one comes so long after this has ended: where a collection takes longer than that (AddressSanitizer, a busy
 * machine), a timer that goes on by itself would leave the program no time between two of them. */
static void set_alarm(void)
{
    struct itimerval soon = {{0, 0}, {0, 200}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void collecting(int sig)
{
    (void)sig;
    handled++;
    launder(gc_malloc(48));
    gc_collect();
    if (again)
        set_alarm();
}

/* One never interrupts a fork where the library holds its locks, in the parent or in the child. */
START_TEST(handler_in_a_fork)
{
    void *volatile kept = make_filled(64, 3);
    pthread_t id = start(spin);
    set(SIGALRM, collecting, SA_RESTART);
    again = true;
    set_alarm();
    for (int i = 0; i < share_of(100) || handled <= 10; i++) { /* a share of the forks is over before ten alarms */
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            check_live(kept, 64, 3);
            raise(SIGALRM);
            _exit(handled > 0 ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    again = false;
    stop(id);
}
END_TEST

static sigjmp_buf out;

static void leave(int sig)
{
    (void)sig;
    handled++;
    siglongjmp(out, 1);
}

static void *leave_waits(void *unused)
{
    struct timespec t = {100, 0};
    (void)unused;
    void *volatile kept = make_filled(64, 3);
    for (volatile int i = 0; i < share_of(50); i++)
        if (sigsetjmp(out, 1) == 0) {
            tid = own_tid();
            rounds = i + 1;
            nanosleep(&t, NULL);
            ck_abort_msg("the sleep was left by no jump");
        } else {
            check_live(kept, 64, 3);
            churn(64, 10);
        }
    t = (struct timespec){0, 20000000};
    uint64_t start_ns = now_ns();
    ck_assert_int_eq(nanosleep(&t, NULL), 0); /* nothing that was left behind ends it */
    ck_assert_uint_ge(now_ns() - start_ns, 20000000);
    ends = true;
    return NULL;
}

START_TEST(left_by_a_jump)
{
    set(SIGUSR1, leave, 0);
    pthread_t storm = storm_begin();
    pthread_t id = start(leave_waits);
    for (int i = 0; i < share_of(50); i++) {
        while (rounds != i + 1 || state_of(tid) != 'S') /* in the sleep, or stopped in it */
            sched_yield();
        send_to(tid, SIGUSR1);
        while (handled == i)
            sched_yield();
    }
    pthread_join(id, NULL);
    storm_end(storm);
}
END_TEST

/* A handler that interrupts the library and calls it: sooner or later one does, and that is the end. */
static void allocate_until_it_ends(void *unused)
{
    (void)unused;
    interrupt_often(allocating);
    for (;;)
        launder(gc_malloc(16));
}

START_TEST(handler_interrupts_the_library) { must_be_refused(allocate_until_it_ends); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, dispositions);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, arguments);
    tcase_add_test(tc, from_handlers);
    tcase_add_test(tc, all_reset);
    tcase_add_test(tc, full_mask_of_a_handler);
    tcase_add_test(tc, full_mask_of_sigsuspend);
    tcase_add_test(tc, masks_are_the_programs);
    tcase_add_test(tc, none_is_lost);
    tcase_add_test(tc, timers_go_on);
    tcase_add_test(tc, errno_stays);
    tcase_add_test(tc, stopped_by_a_signal);
    tcase_add_test(tc, stopped_by_the_flag);
    tcase_add_test(tc, to_the_process);
    tcase_add_loop_test(tc, cancelled_when_stopped, 0, 2);
    tcase_add_test(tc, cancelled_in_a_storm);
    tcase_add_test(tc, handler_allocates);
    tcase_add_test(tc, handler_in_a_fork);
    tcase_add_test(tc, left_by_a_jump);
    tcase_add_test(tc, handler_interrupts_the_library);
}

CHECK_MAIN("api/manners", tests)
