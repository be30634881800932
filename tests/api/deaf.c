/* deaf.c - threads that block the stop signal behind the library's back: for good, in a handler, in a call that waits with
 * a mask of its own, in threads that the C library starts for itself. They are held by a tracer: what their stacks and
 * registers hold survives; the program sees no child, no signal and no interrupted call; a signal that comes meanwhile is
 * not lost. Holds deaf.region, deaf.one, locate.stack, os_ptrace.unseen. */
#include "../asleep.h"
#include "cloned.h"
#include "coroutine.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <time.h>

CO_ASSEMBLY

static _Atomic int result;

static long set_mask(uint64_t mask) { return raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, 8); }

static int our_signal(void)
{
    int sig = 0;
    const char *at = strstr(gc_features(), "stop=signal:");
    if (!at || sscanf(at, "stop=signal:%d", &sig) != 1)
        ck_abort_msg("no stop signal in %s", gc_features());
    return sig;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
    ck_assert_int_eq(pthread_create(t, NULL, fn, arg), 0);
}

/* ---- where a thread waits, deaf ---- */

static int fds[2];

static void wait_in_futex(void)
{
    while (atomic_load(&state) != 2)
        sleep_on(&state, 1);
}

static void spin(void)
{
    while (atomic_load(&state) != 2)
        ;
}

static const sigset_t *all_signals(void)
{
    static sigset_t set;
    sigfillset(&set);
    return &set;
}

/* Until the other end of the pipe is closed; what the call returned first is kept. */
static void wait_in_ppoll(void)
{
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    atomic_store(&result, ppoll(&p, 1, NULL, all_signals()));
}

static void wait_in_pselect(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    atomic_store(&result, pselect(fds[0] + 1, &set, NULL, NULL, NULL, all_signals()));
}

/* The kernel does not restart this one, whoever interrupts it: see spangc(7). */
static void wait_in_epoll_pwait(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0), n;
    epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &e);
    while ((n = epoll_pwait(fd, &e, 1, -1, all_signals())) < 0 && errno == EINTR)
        ;
    atomic_store(&result, n);
    close(fd);
}

static void wait_in_read(void)
{
    char c;
    atomic_store(&result, (int)read(fds[0], &c, 1) + 1);
}

static void do_nothing(int sig) { (void)sig; }

/* SIGUSR2 ends it; nothing else may. It waits in the queue if it comes before the call: see catch_usr2. */
static void wait_in_sigsuspend(void)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGUSR2);
    sigsuspend(&set);
    atomic_store(&result, atomic_load(&state) == 2);
}

/* Before a thread is made that is to wait for it: that thread may get it before it has done anything. */
static void catch_usr2(void)
{
    sigset_t set;
    struct sigaction sa = {.sa_handler = do_nothing};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    ck_assert_int_eq(sigaction(SIGUSR2, &sa, NULL), 0);
}

static void wait_in_nanosleep(void)
{
    struct timespec t = {.tv_nsec = 300 * 1000 * 1000};
    atomic_store(&result, nanosleep(&t, NULL) == 0);
    wait_in_futex();
}

struct manner {
    void (*wait)(void);
    bool blocks; /* all signals, before it waits */
};

static const struct manner manners[] = {
    {wait_in_futex, true},        {spin, true},
    {wait_in_read, true},         {wait_in_nanosleep, true},
    {wait_in_ppoll, false},       {wait_in_pselect, false},
    {wait_in_epoll_pwait, false}, {wait_in_sigsuspend, false},
};
enum { MANNERS = sizeof manners / sizeof *manners };

static void *hold(void *arg)
{
    const struct manner *m = arg;
    void *volatile local[N];
    reveal_all(local);
    atomic_store(&result, 1);
    if (m->blocks)
        set_mask(UINT64_MAX);
    tell(&state, 1);
    m->wait();
    launder((void *)local);
    return NULL;
}

static void end_of(pthread_t t, const struct manner *m)
{
    tell(&state, 2);
    close(fds[1]);
    if (m->wait == wait_in_sigsuspend)
        pthread_kill(t, SIGUSR2);
    pthread_join(t, NULL);
}

/* A thread says that it holds before it waits: a mask that comes with the wait may come late, so more rounds. */
START_TEST(in_all_manners)
{
    pthread_t t;
    const struct manner *m = &manners[_i];
    gc_set_warn_handler(note_warning);
    ck_assert_int_eq(pipe(fds), 0);
    catch_usr2();
    build_hidden();
    start(&t, hold, (void *)m);
    wait_until(&state, 1);
    for (int i = 0; i < 10; i++) {
        collect_around();
        check_hidden();
    }
    end_of(t, m);
    check_freed();
    ck_assert_int_eq(atomic_load(&result), 1);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- in a handler: what it interrupted lies below, on the same stack or on another ---- */

static void in_handler(int sig)
{
    void *volatile local[N / 2];
    (void)sig;
    for (size_t i = 0; i < N / 2; i++)
        local[i] = reveal(hidden[i]);
    tell(&state, 1);
    wait_in_futex();
    launder((void *)local);
}

static NOINLINE void hold_and_raise(void)
{
    void *volatile local[N / 2];
    for (size_t i = N / 2; i < N; i++)
        local[i - N / 2] = reveal(hidden[i]);
    raise(SIGUSR1);
    launder((void *)local);
}

enum stacks { SAME, OTHER, WITHIN };

/* WITHIN: the alternate stack is an array of a function of the thread, and lies above what was interrupted. */
static void *handle(void *how)
{
    char within[CLONED_STACK];
    stack_t ss = {.ss_sp = (intptr_t)how == OTHER ? map_pages(CLONED_STACK) : within, .ss_size = CLONED_STACK};
    struct sigaction sa = {.sa_handler = in_handler};
    sigfillset(&sa.sa_mask);
    if ((intptr_t)how != SAME) {
        sa.sa_flags = SA_ONSTACK;
        sigaltstack(&ss, NULL);
    }
    sigaction(SIGUSR1, &sa, NULL);
    hold_and_raise();
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
    return NULL;
}

START_TEST(in_a_handler)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    build_hidden();
    start(&t, handle, (void *)(intptr_t)_i);
    check_while_held();
    pthread_join(t, NULL);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- on a coroutine's stack, deaf at once or in a handler on an alternate stack: its saved SP is an old one ---- */

static NOINLINE void far_down_in(void (*fn)(void))
{
    volatile char gap[4096];
    gap[0] = 0;
    fn();
    gap[1] = gap[0];
}

static void hold_deaf(void)
{
    void *volatile local[N];
    reveal_all(local);
    set_mask(UINT64_MAX);
    tell(&state, 1);
    wait_in_futex();
    set_mask(0);
    launder((void *)local);
}

static void co_deaf(struct co *co) { far_down_in(co->number ? hold_and_raise : hold_deaf); }

enum { CO_DEAF, CO_HANDLER, CO_WAYS };

/* With a handle for its own stack, or without. */
static void *run_coroutine(void *way)
{
    struct sigaction sa = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    stack_t ss = {.ss_sp = map_pages(CLONED_STACK), .ss_size = CLONED_STACK};
    intptr_t how = (intptr_t)way / CO_WAYS;
    sigfillset(&sa.sa_mask);
    sigaltstack(&ss, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    struct co *co = co_new(have_assembly && how / 2 ? ASSEMBLY : UCONTEXT, co_deaf, (intptr_t)way % CO_WAYS);
    co_resume(co, how % 2 ? gc_stack_self() : NULL);
    co_free(co);
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
    return NULL;
}

START_TEST(on_a_coroutine)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    build_hidden();
    start(&t, run_coroutine, (void *)(intptr_t)_i);
    check_while_held();
    pthread_join(t, NULL);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- registers ---- */

#if defined __x86_64__
/* An object in the upper half of a vector register, and in no other place. */
void hold_in_upper_half(const uintptr_t *h, _Atomic int *state);
__asm__(".text\n"
        ".type hold_in_upper_half, @function\n"
        "hold_in_upper_half:\n"
        "    movq (%rdi), %rdx;  notq %rdx\n"
        "    vmovq %rdx, %xmm7\n"
        "    vinsertf128 $1, %xmm7, %ymm7, %ymm7\n"
        "    vperm2f128 $0x81, %ymm7, %ymm7, %ymm7\n"
        "    vperm2f128 $0x08, %ymm7, %ymm7, %ymm7\n"
        "    xorl %edx, %edx\n"
        "    movl $1, (%rsi)\n"
        "1:  pause\n"
        "    cmpl $2, (%rsi)\n"
        "    jne 1b\n"
        "    vzeroall\n"
        "    ret\n"
        ".size hold_in_upper_half, .-hold_in_upper_half\n");

static void *hold_in_registers(void *upper)
{
    set_mask(UINT64_MAX);
    if (upper)
        hold_in_upper_half(hidden, &state);
    else
        hold_in_16(hidden, &state);
    return NULL;
}

START_TEST(in_registers)
{
    pthread_t t;
    size_t held = _i ? 1 : 16, others = 0;
    if (_i && !__builtin_cpu_supports("avx"))
        return;
    build_hidden();
    start(&t, hold_in_registers, _i ? &t : NULL);
    while (atomic_load(&state) != 1)
        ;
    collect_around();
    for (size_t i = 0; i < held; i++)
        check_live(reveal(hidden[i]), SIZE, i);
    for (size_t i = held; i < N; i++)
        others += gc_base(reveal(hidden[i])) == reveal(hidden[i]) && *(unsigned char *)reveal(hidden[i]) != 0xee;
    ck_assert_uint_le(others, N / 10);
    tell(&state, 2);
    pthread_join(t, NULL);
}
END_TEST
#endif

/* ---- threads that nobody told of, deaf as well ---- */

static int hold_cloned(void *unused)
{
    void *volatile local[N];
    reveal_all(local);
    set_mask(UINT64_MAX);
    tell(&state, 1);
    wait_in_futex();
    return unused != NULL || local[0] == NULL;
}

START_TEST(made_by_clone)
{
    struct cloned c = {0};
    gc_set_warn_handler(note_warning);
    build_hidden();
    start_cloned(&c, hold_cloned, NULL, 0, NULL);
    check_while_held();
    join_cloned(&c);
    munmap(c.stack, CLONED_STACK);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The thread that waits for timers blocks all signals for good, the one that calls back while it runs. */
static NOINLINE void hold_far_down(void)
{
    volatile char gap[CLONED_STACK];
    void *volatile local[N];
    launder((void *)gap);
    reveal_all(local);
    tell(&state, 1);
    wait_in_futex();
    launder((void *)local);
}

static _Atomic int timer_tid;

static void on_timer(union sigval unused)
{
    (void)unused;
    timer_tid = (int)raw(SYS_gettid, 0, 0, 0, 0);
    hold_far_down();
    tell(&state, 3);
}

START_TEST(of_a_timer)
{
    timer_t id;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    gc_set_warn_handler(note_warning);
    build_hidden();
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
    ck_assert_int_eq(timer_settime(id, 0, &soon, NULL), 0);
    check_while_held();
    wait_until(&state, 3);
    wait_until_gone(
        &timer_tid); /* of one that is deaf as it ends all of its stack is scanned, with what is dead there */
    ck_assert_int_eq(timer_delete(id), 0);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- it is never held inside a region ---- */

static void *allocate_deaf(void *unused)
{
    void *mine[16] = {0};
    set_mask(UINT64_MAX);
    tell(&state, 1);
    for (size_t i = 0; atomic_load(&state) != 2; i++) {
        void **at = &mine[i % 16];
        if (*at)
            check_filled(*at, SIZE, i - 16);
        *at = make_filled(SIZE, i);
        if (i % 3 == 0)
            launder(gc_malloc(40000));
    }
    return unused;
}

START_TEST(while_it_allocates)
{
    pthread_t t[2];
    gc_set_warn_handler(note_warning);
    start(&t[0], allocate_deaf, NULL);
    wait_until(&state, 1);
    start(&t[1], allocate_deaf, NULL);
    for (int i = 0; i < 300; i++)
        gc_collect();
    tell(&state, 2);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- nothing is seen of the tracer, and nothing lost by it ---- */

static _Atomic int children, counted;

static void count_child(int sig)
{
    (void)sig;
    children++;
}

static void count_signal(int sig)
{
    (void)sig;
    counted++;
}

static void *deaf_to_ours(void *unused)
{
    set_mask(UINT64_C(1) << (our_signal() - 1));
    tell(&state, 1);
    wait_in_futex();
    return unused;
}

/* Who waits for any child at all finds none, while the world is stopped and after. */
static void *wait_for_any(void *unused)
{
    while (atomic_load(&state) != 2) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
        if (pid > 0 || errno != ECHILD)
            atomic_store(&result, 1);
    }
    return unused;
}

START_TEST(no_child_of_the_program)
{
    pthread_t t, waiting;
    start(&t, deaf_to_ours, NULL);
    wait_until(&state, 1);
    start(&waiting, wait_for_any, NULL);
    for (int i = 0; i < 200; i++)
        gc_collect();
    tell(&state, 2);
    pthread_join(waiting, NULL);
    pthread_join(t, NULL);
    ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(unseen)
{
    pthread_t t;
    struct sigaction sa = {.sa_handler = count_child}, rt = {.sa_handler = count_signal};
    enum { ROUNDS = 100, EACH = 10 };
    int sent = 0;
    ck_assert_int_eq(sigaction(SIGCHLD, &sa, NULL), 0);
    ck_assert_int_eq(sigaction(SIGRTMIN, &rt, NULL), 0);
    gc_set_warn_handler(note_warning);
    stay_on_one_cpu();
    start(&t, deaf_to_ours, NULL);
    wait_until(&state, 1);
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < EACH; k++)
            sent += pthread_sigqueue(t, SIGRTMIN, (union sigval){0}) == 0;
        gc_collect();
        ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        ck_assert(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    }
    tell(&state, 2);
    pthread_join(t, NULL);
    ck_assert_int_gt(sent, 0);
    ck_assert_int_eq(counted, sent);
    ck_assert_int_eq(children, 0);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* However often it is stopped, one signal waits; taken away, it is sent again; heard again, it is used again. */
static size_t take_ours(void)
{
    uint64_t ours = UINT64_C(1) << (our_signal() - 1);
    struct timespec none = {0};
    size_t n = 0;
    while (raw(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&none, 8) == our_signal())
        n++;
    return n;
}

static size_t taken;

static void *hear_again(void *unused)
{
    set_mask(UINT64_MAX);
    tell(&state, 1);
    wait_until(&state, 2);
    taken = take_ours();
    tell(&state, 3);
    wait_until(&state, 4);
    set_mask(0);
    tell(&state, 5);
    wait_until(&state, 6);
    return unused;
}

START_TEST(one_signal_waits)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    start(&t, hear_again, NULL);
    wait_until(&state, 1);
    for (int i = 0; i < 20; i++)
        gc_collect();
    tell(&state, 2);
    wait_until(&state, 3);
    ck_assert_uint_eq(taken, 1);
    gc_collect();
    tell(&state, 4);
    wait_until(&state, 5);
    for (int i = 0; i < 20; i++)
        gc_collect();
    tell(&state, 6);
    pthread_join(t, NULL);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- fork ---- */

static void *deaf_for_good(void *unused)
{
    set_mask(UINT64_MAX);
    tell(&state, 1);
    wait_in_futex();
    return unused;
}

START_TEST(while_another_forks)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    start(&t, deaf_for_good, NULL);
    wait_until(&state, 1);
    for (int i = 0; i < 20; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(100);
            void *p = make_filled(SIZE, 3);
            gc_collect();
            check_live(p, SIZE, 3);
            _exit(warnings);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        gc_collect();
    }
    tell(&state, 2);
    pthread_join(t, NULL);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- a debugger has it: the collection is given up, and said ---- */

/* Until one succeeds each waits a hundredth of stopwait only, which a busy machine may need for itself. The alarm of
 * run_child ends what never does. */
static void collect_at_last(void)
{
    struct gc_memstats st;
    do
        gc_collect();
    while (read_stats(&st)->num_gc == 0);
}

static int with_debugger(void)
{
    pthread_t t;
    struct timespec patience = {.tv_sec = 20};
    int debugger_done[2];
    gc_set_warn_handler(note_warning);
    if (pipe(debugger_done) != 0 || pthread_create(&t, NULL, deaf_for_good, NULL) != 0)
        return 2;
    wait_until(&state, 1);
    pid_t pid = fork();
    if (pid == 0) {
        /* Without Yama, or as root, a child may trace. */
        alarm(100);
        syscall(SYS_close, debugger_done[0]);
        char name[64];
        int tid = 0;
        for (int i = (int)getppid() + 1; i < (int)getppid() + 1000 && !tid; i++) {
            snprintf(name, sizeof name, "/proc/%d/task/%d", (int)getppid(), i);
            if (access(name, F_OK) == 0)
                tid = i;
        }
        long e = ptrace(PTRACE_SEIZE, tid, 0, 0);
        if (write(debugger_done[1], e == 0 ? "y" : "n", 1) == 1 && e == 0)
            nanosleep(&patience, NULL);
        _exit(0);
    }
    char c = 0;
    if (read(debugger_done[0], &c, 1) != 1 || c != 'y')
        return 77;
    gc_collect();
    if (warnings != 1 || !strstr(last_warning, "stop"))
        return 3;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    collect_at_last();
    return warnings == 1 ? 0 : 4;
}

/* The hundredth must be enough for the tracer, a process that is made and scheduled. */
START_TEST(that_a_debugger_has)
{
    static const char *const env[] = {"SPANGC_DEBUG=stopwait=3000", NULL};
    struct outcome o;
    run_scene("debugger", env, &o);
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77)
        return;
    must_exit_0(&o);
}
END_TEST

/* ---- a sandbox kills who calls ptrace: the tracer, and nobody else ---- */

static int in_sandbox(void)
{
    pthread_t t;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    gc_set_warn_handler(note_warning);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return 77;
    if (pthread_create(&t, NULL, deaf_for_good, NULL) != 0)
        return 2;
    wait_until(&state, 1);
    gc_collect();
    if (warnings != 1 || !strstr(last_warning, "stop"))
        return 3;
    if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
        return 4;
    tell(&state, 2);
    pthread_join(t, NULL);
    collect_at_last();
    return warnings == 1 ? 0 : 5;
}

START_TEST(where_a_sandbox_kills)
{
    static const char *const env[] = {"SPANGC_DEBUG=stopwait=300", NULL};
    struct outcome o;
    run_scene("sandbox", env, &o);
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77)
        return;
    must_exit_0(&o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, in_all_manners, 0, MANNERS);
    tcase_add_loop_test(tc, in_a_handler, SAME, WITHIN + 1);
    tcase_add_loop_test(tc, on_a_coroutine, 0, 4 * CO_WAYS);
#if defined __x86_64__
    tcase_add_loop_test(tc, in_registers, 0, 2);
#endif
    tcase_add_test(tc, made_by_clone);
    tcase_add_test(tc, of_a_timer);
    tcase_add_test(tc, while_it_allocates);
    tcase_add_test(tc, no_child_of_the_program);
    tcase_add_test(tc, unseen);
    tcase_add_test(tc, one_signal_waits);
    tcase_add_test(tc, while_another_forks);
    tcase_add_test(tc, that_a_debugger_has);
    tcase_add_test(tc, where_a_sandbox_kills);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "sandbox") == 0 ? in_sandbox() : with_debugger();
    return check_main("api/deaf", tests);
}
