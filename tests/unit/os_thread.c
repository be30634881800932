/* os_thread.c - ids, stacks, futexes, signals. */
#include "../check_main.h"

#include "os/os.h"
#include "os/os_real.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t begin(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, fn, arg), 0);
    return id;
}

static void *store_tid(void *to)
{
    *(int *)to = os_tid();
    return NULL;
}

START_TEST(ids)
{
    int other;
    os_real_pthread_join(begin(store_tid, &other), NULL);
    ck_assert_int_eq(os_pid(), (int)getpid());
    ck_assert_int_eq(os_tid(), os_pid());
    ck_assert_int_ne(other, os_tid());
    ck_assert_int_gt(other, 0);
}
END_TEST

/* Not cached across fork. */
START_TEST(ids_in_a_child)
{
    int before = os_pid(), status;
    pid_t child = fork();
    if (child == 0)
        _exit(os_pid() != before && os_tid() == os_pid() ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

static _Thread_local int local;

static void *check_bounds(void *main_stack)
{
    uintptr_t lo, hi;
    char here;
    ck_assert(os_stack_bounds(&lo, &hi));
    ck_assert((uintptr_t)&here >= lo && (uintptr_t)&here < hi);
    if (main_stack) { /* static thread-local storage lies in it too, and the main thread's stack does not */
        ck_assert((uintptr_t)&local >= lo && (uintptr_t)&local < hi);
        ck_assert((uintptr_t)main_stack < lo || (uintptr_t)main_stack >= hi);
    }
    return NULL;
}

START_TEST(stack_bounds)
{
    char here;
    check_bounds(NULL);
    os_real_pthread_join(begin(check_bounds, &here), NULL);
}
END_TEST

/* os_stack.same: after the first thread the bounds are read from the C library's record, and are what it says. */
static void *compare_bounds(void *any_specific)
{
    pthread_attr_t attr;
    void *addr;
    size_t size;
    uintptr_t lo, hi;
    ck_assert(os_stack_bounds(&lo, &hi));
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &addr, &size);
    pthread_attr_destroy(&attr);
    ck_assert_uint_eq(lo, (uintptr_t)addr);
    ck_assert_uint_eq(hi, (uintptr_t)addr + size);
    ck_assert_int_eq(os_tls_tid((uintptr_t)pthread_self()), os_tid());
    const char *sanitizer = getenv("SANITIZER");
    if (!sanitizer || !*sanitizer || strcmp(sanitizer, "no") == 0) /* they set values of their own */
        ck_assert_int_eq(os_any_specific((uintptr_t)pthread_self()), any_specific != NULL);
    return NULL;
}

static void *with_value(void *key)
{
    pthread_setspecific(*(pthread_key_t *)key, key);
    compare_bounds(key);
    pthread_setspecific(*(pthread_key_t *)key, NULL);
    return compare_bounds(NULL);
}

START_TEST(bounds_as_noted)
{
    static char own[256 * 1024] __attribute__((aligned(4096)));
    pthread_attr_t attr;
    pthread_t id;
    pthread_key_t keys[100];
    os_tls_init();
    compare_bounds(NULL);
    for (size_t kib = 64; kib <= 1024; kib += 60)
        for (size_t guard = 0; guard <= 3 * 4096; guard += 4096) {
            pthread_attr_init(&attr);
            pthread_attr_setstacksize(&attr, kib * 1024);
            pthread_attr_setguardsize(&attr, guard);
            ck_assert_int_eq(os_real_pthread_create(&id, &attr, compare_bounds, NULL), 0);
            os_real_pthread_join(id, NULL);
        }
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, own, sizeof own);
    ck_assert_int_eq(os_real_pthread_create(&id, &attr, compare_bounds, NULL), 0);
    os_real_pthread_join(id, NULL);
    for (size_t i = 0; i < 100; i++)
        ck_assert_int_eq(pthread_key_create(&keys[i], NULL), 0);
    os_real_pthread_join(begin(with_value, &keys[0]), NULL);
    os_real_pthread_join(begin(with_value, &keys[99]), NULL);
}
END_TEST

static _Atomic uint32_t word;
static _Atomic int waiting;

static void *wait_for_word(void *unused)
{
    (void)unused;
    waiting++;
    while (atomic_load(&word) == 0)
        os_futex_wait(&word, 0, UINT64_MAX);
    return NULL;
}

START_TEST(futex)
{
    os_futex_wait(&word, 1, UINT64_MAX); /* another value: no sleep */
    os_futex_wait(&word, 0, 1000);       /* nobody wakes: the time runs out */
    pthread_t a = begin(wait_for_word, NULL), b = begin(wait_for_word, NULL);
    while (waiting < 2)
        sched_yield();
    atomic_store(&word, 1);
    os_futex_wake_all(&word);
    os_real_pthread_join(a, NULL);
    os_real_pthread_join(b, NULL);
}
END_TEST

static volatile sig_atomic_t handled, handled_tid;
static void *volatile handled_value;
static _Atomic int target;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    handled_value = info->si_value.sival_ptr;
    handled_tid = os_tid();
    handled++;
}

static void handle(int sig)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_signal;
    sa.sa_flags = SA_SIGINFO;
    ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
}

/* One that the program, asking in the usual ways, does not get. */
START_TEST(own_signal)
{
    int sig = os_take_signal();
    ck_assert_int_ge(sig, 32);
    ck_assert_int_le(sig, 64);
    handle(sig);
    ck_assert_int_eq(os_signal_thread(os_tid(), sig, &target), OS_SENT);
    ck_assert_int_eq(handled, 1);
    ck_assert_ptr_eq(handled_value, (void *)&target);
}
END_TEST

static void *be_signalled(void *unused)
{
    (void)unused;
    target = os_tid();
    while (!handled)
        sched_yield();
    return NULL;
}

START_TEST(signal_to_one_thread)
{
    int sig = os_take_signal();
    handle(sig);
    pthread_t id = begin(be_signalled, NULL);
    while (!target)
        sched_yield();
    ck_assert_int_eq(os_signal_thread(target, sig, &target), OS_SENT);
    os_real_pthread_join(id, NULL);
    ck_assert_int_eq(handled_tid, target);
    ck_assert_int_ne(handled_tid, os_tid());
    ck_assert_int_eq(handled, 1);
    ck_assert_ptr_eq(handled_value, (void *)&target);
}
END_TEST

/* A tid above every one that the kernel gives. */
START_TEST(signal_to_nobody) { ck_assert_int_eq(os_signal_thread(1 << 23, SIGUSR1, NULL), OS_GONE); }
END_TEST

START_TEST(block_all)
{
    sigset_t old, now;
    int sig = os_take_signal();
    handle(sig);
    handle(SIGUSR1);
    os_block_signals(&old);
    /* The kernel's view: sigfillset would leave out those of the C library. */
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    ck_assert_uint_eq(~mask, UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1));
    os_signal_thread(os_tid(), sig, NULL);
    raise(SIGUSR1);
    ck_assert_int_eq(handled, 0);
    os_unblock_signal(sig);
    ck_assert_int_eq(handled, 1);
    os_restore_signals(&old);
    ck_assert_int_eq(handled, 2);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    ck_assert(!sigismember(&now, SIGUSR1) && !sigismember(&now, sig));
}
END_TEST

START_TEST(block_all_but_one)
{
    sigset_t old;
    int sig = os_take_signal();
    handle(sig);
    handle(SIGUSR1);
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    os_block_signals_but(sig, &old);
    ck_assert(sigismember(&old, SIGUSR2) && !sigismember(&old, SIGUSR1));
    os_signal_thread(os_tid(), sig, NULL);
    ck_assert_int_eq(handled, 1);
    raise(SIGUSR1);
    ck_assert_int_eq(handled, 1);
    os_restore_signals(&old);
    ck_assert_int_eq(handled, 2);
}
END_TEST

START_TEST(altstack)
{
    static char stack[1 << 16];
    stack_t none = {.ss_flags = SS_DISABLE}, ss = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&none, NULL); /* a sanitizer may have set one */
    struct os_range r = os_own_altstack();
    ck_assert_uint_eq(r.lo, r.hi);
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    r = os_own_altstack();
    ck_assert_uint_eq(r.lo, (uintptr_t)stack);
    ck_assert_uint_eq(r.hi, (uintptr_t)stack + sizeof stack);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, ids);
    tcase_add_test(tc, ids_in_a_child);
    tcase_add_test(tc, stack_bounds);
    tcase_add_test(tc, bounds_as_noted);
    tcase_add_test(tc, futex);
    tcase_add_test(tc, own_signal);
    tcase_add_test(tc, signal_to_one_thread);
    tcase_add_test(tc, signal_to_nobody);
    tcase_add_test(tc, block_all);
    tcase_add_test(tc, block_all_but_one);
    tcase_add_test(tc, altstack);
}
CHECK_MAIN("unit/os_thread", tests)
