/* corners.c - places where the library once went wrong, each found by trying to break it: an alternate signal stack
 * within the thread's own stack, questions about objects that another thread frees, signals that cannot be queued, more
 * stack to clear than there is, the end of a stack, a stack without a limit, a collector that is cancelled. Holds
 * rootjobs.all, find.truth, stop.all, os_thread.cancel. */
#include "../api/helpers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

enum { SIZE = 1000, ALT_BYTES = 64 * 1024, QUESTIONS = 60000 };

static _Atomic bool in_handler, collected;

/* ---- an alternate stack that is a local array: what was interrupted lies below it */

static void collect_here(int sig)
{
    (void)sig;
    gc_collect();
    churn(SIZE, 100);
}

static void wait_for_collection(int sig)
{
    (void)sig;
    atomic_store(&in_handler, true);
    while (!atomic_load(&collected))
        ;
}

/* Only this frame, below the alternate stack, holds the object. */
static __attribute__((noinline)) void hold_and_raise(void)
{
    void *volatile held[4] = {NULL};
    held[2] = make_filled(SIZE, 7);
    raise(SIGUSR1);
    if (gc_base(held[2]) != held[2])
        abort();
    check_filled(held[2], SIZE, 7);
}

static __attribute__((noinline)) void with_local_altstack(void (*handler)(int))
{
    char alt[ALT_BYTES];
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt}, off = {.ss_flags = SS_DISABLE};
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    hold_and_raise();
    ck_assert_int_eq(sigaltstack(&off, NULL), 0);
}

START_TEST(local_altstack_collects) { with_local_altstack(collect_here); }
END_TEST

static void *raise_in_thread(void *unused)
{
    with_local_altstack(wait_for_collection);
    return unused;
}

START_TEST(local_altstack_of_another)
{
    pthread_t id;
    ck_assert_int_eq(pthread_create(&id, NULL, raise_in_thread, NULL), 0);
    while (!atomic_load(&in_handler))
        ;
    gc_collect();
    churn(SIZE, 100);
    atomic_store(&collected, true);
    pthread_join(id, NULL);
}
END_TEST

/* ---- an object is asked about that another thread frees: an answer, any, and no crash */

static void *_Atomic hint;
static _Atomic bool enough;

static void *ask(void *unused)
{
    while (!atomic_load(&enough)) {
        void *p = atomic_load(&hint);
        void *base = gc_base(p);
        if ((uintptr_t)base > (uintptr_t)p)
            ck_abort_msg("gc_base(%p) is %p", p, base);
        gc_usable_size(p);
        gc_is_noscan(p);
    }
    return unused;
}

START_TEST(dangling_questions)
{
    static const size_t sizes[] = {24, 2048, 9000, 32768, 40000};
    pthread_t id;
    ck_assert_int_eq(pthread_create(&id, NULL, ask, NULL), 0);
    for (int i = 0; i < QUESTIONS; i++) {
        void *p = gc_malloc(sizes[_i]);
        atomic_store(&hint, p);
        gc_free(p);
        if (i % 3000 == 0)
            gc_collect();
    }
    atomic_store(&enough, true);
    pthread_join(id, NULL);
}
END_TEST

/* ---- no signal can be queued: the collection is given up, and a later one is not */

static void *spin(void *unused)
{
    void *volatile p = make_filled(100, 1);
    atomic_store(&in_handler, true);
    while (!atomic_load(&enough))
        ;
    check_filled(p, 100, 1);
    return unused;
}

static void collect_without_signals(void)
{
    struct rlimit none = {0, 0}, old;
    pthread_t id;
    alarm(100);
    if (pthread_create(&id, NULL, spin, NULL) != 0)
        abort();
    while (!atomic_load(&in_handler))
        ;
    getrlimit(RLIMIT_SIGPENDING, &old);
    none.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_SIGPENDING, &none);
    gc_collect();
    setrlimit(RLIMIT_SIGPENDING, &old);
    struct gc_memstats st;
    int left = 1000; /* until one succeeds each waits 3 milliseconds, which a busy machine may need for itself */
    while (read_stats(&st)->num_gc == 0 && --left > 0)
        gc_collect();
    atomic_store(&enough, true);
    pthread_join(id, NULL);
    fprintf(stderr, "collections: %llu\n", (unsigned long long)st.num_gc);
}

/* With a tracer it is not given up. */
START_TEST(no_signals_but_a_tracer)
{
    static const char *const env[] = {"SPANGC_DEBUG=stopwait=60000", NULL};
    struct outcome o;
    if (!strstr(gc_features(), "x86-64"))
        return;
    run_scene("signals", env, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "collections: 1\n");
}
END_TEST

START_TEST(no_signals_left)
{
    static const char *const env[] = {"SPANGC_DEBUG=stopwait=300,ptrace=0", NULL};
    struct outcome o;
    run_scene("signals", env, &o);
    must_exit_0(&o);
    if (count_of(o.text, "did not stop") != 1 || !strstr(o.text, "collections: 1\n"))
        ck_abort_msg("it said: %s", o.text);
}
END_TEST

/* ---- SP in the last bytes of a stack: below it is the guard, and the red zone may not be looked for there */

#if defined __x86_64__
static _Atomic int near_the_end;

static void *spin_near_the_end(void *unused)
{
    static char alternate[ALT_BYTES];
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate}, before;
    pthread_attr_t attr;
    void *lo;
    size_t n;
    if (sigaltstack(&ss, &before) != 0 || pthread_getattr_np(pthread_self(), &attr) != 0 ||
        pthread_attr_getstack(&attr, &lo, &n) != 0)
        abort();
    pthread_attr_destroy(&attr);
    __asm__ volatile("    movq %%rsp, %%rbx\n"
                     "    leaq 64(%0), %%rsp\n"
                     "    movl $1, %1\n"
                     "1:  pause\n"
                     "    cmpl $2, %1\n"
                     "    jne 1b\n"
                     "    movq %%rbx, %%rsp\n"
                     :
                     : "r"(lo), "m"(near_the_end)
                     : "rbx", "memory", "cc");
    sigaltstack(&before, NULL);
    return unused;
}

START_TEST(at_the_end_of_a_stack)
{
    pthread_t id;
    if (sanitizer_is("thread"))
        return; /* it hands signals on at library calls only */
    ck_assert_int_eq(pthread_create(&id, NULL, spin_near_the_end, NULL), 0);
    while (atomic_load(&near_the_end) != 1)
        ;
    gc_collect();
    gc_collect();
    atomic_store(&near_the_end, 2);
    pthread_join(id, NULL);
}
END_TEST
#endif

/* ---- a thread that is to be cancelled collects, on a machine with swap: looking for pages that were swapped out must
 * not be where it ends, with the world stopped */

static _Atomic bool swap;

__attribute__((visibility("default"))) int sysinfo(struct sysinfo *si)
{
    memset(si, 0, sizeof *si);
    si->mem_unit = 1;
    si->totalswap = swap;
    return 0;
}

static void *collect_cancelled(void *unused)
{
    ck_assert_ptr_nonnull(gc_stack_alloc(ALT_BYTES)); /* where it was left is not known: all its pages are looked at */
    pthread_cancel(pthread_self());
    gc_collect();
    atomic_store(&collected, true);
    return unused;
}

START_TEST(cancelled_in_a_collection)
{
    pthread_t id;
    atomic_store(&swap, true);
    ck_assert_int_eq(pthread_create(&id, NULL, collect_cancelled, NULL), 0);
    ck_assert_int_eq(pthread_join(id, NULL), 0);
    ck_assert(atomic_load(&collected));
    gc_collect();
}
END_TEST

/* ---- no limit for the main thread's stack: its bounds then take in what is mapped below it, other stacks and malloc's
 * memory with the values of keys */

static void setspecific_far(uintptr_t *hidden)
{
    enum { KEYS = 64 }; /* some are kept out of the thread's record */
    static pthread_key_t keys[KEYS];
    for (int i = 0; i < KEYS; i++)
        if (pthread_key_create(&keys[i], NULL) != 0)
            abort();
    for (int i = 0; i < KEYS; i++) {
        void *p = make_filled(SIZE, (size_t)i);
        hidden[i] = hide(p);
        if (pthread_setspecific(keys[i], p) != 0)
            abort();
    }
}

static void *hold_below(void *unused)
{
    hold_and_raise();
    return unused;
}

/* The collector, on the main thread, has its frames in the same bounds. */
static void collect_in_main(void)
{
    pthread_t id;
    struct sigaction sa = {.sa_handler = wait_for_collection, .sa_flags = SA_ONSTACK};
    if (sigaction(SIGUSR1, &sa, NULL) != 0 || pthread_create(&id, NULL, hold_below, NULL) != 0)
        abort();
    while (!atomic_load(&in_handler))
        ;
    gc_collect();
    churn(SIZE, 1000);
    atomic_store(&collected, true);
    pthread_join(id, NULL);
}

static void without_stack_limit(void)
{
    uintptr_t *hidden = malloc(64 * sizeof *hidden);
    alarm(100);
    for (int i = 0; i < 300; i++) /* the heap of malloc ends below the stack's bounds, or else in them */
        memset(malloc(20000), 1, 20000);
    setspecific_far(hidden);
    settle();
    churn(SIZE, 1000);
    for (size_t i = 0; i < 64; i++)
        check_live(reveal(hidden[i]), SIZE, i);
    collect_in_main();
}

static void exec_without_limit(void *unused)
{
    struct rlimit r;
    (void)unused;
    getrlimit(RLIMIT_STACK, &r);
    r.rlim_cur = r.rlim_max;
    if (r.rlim_max == RLIM_INFINITY && setrlimit(RLIMIT_STACK, &r) == 0)
        exec_scene(&(struct scene){"unlimited", NULL});
}

START_TEST(no_stack_limit)
{
    struct outcome o;
    if (sanitizer_is("address") || sanitizer_is("thread"))
        return; /* their shadow is where the kernel then puts mappings */
    run_child(exec_without_limit, NULL, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

/* ---- gc_clear_stack stays on the stack */

static void *clear_everything(void *unused)
{
    gc_clear_stack((size_t)1 << 40);
    gc_clear_stack(SIZE_MAX);
    gc_clear_stack(0);
    return unused;
}

START_TEST(more_stack_than_there_is)
{
    pthread_t id;
    clear_everything(NULL);
    ck_assert_int_eq(pthread_create(&id, NULL, clear_everything, NULL), 0);
    pthread_join(id, NULL);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, local_altstack_collects);
    tcase_add_test(tc, local_altstack_of_another);
    tcase_add_loop_test(tc, dangling_questions, 0, 5);
    tcase_add_test(tc, no_signals_left);
    tcase_add_test(tc, no_signals_but_a_tracer);
    tcase_add_test(tc, more_stack_than_there_is);
    tcase_add_test(tc, cancelled_in_a_collection);
    tcase_add_test(tc, no_stack_limit);
#if defined __x86_64__
    tcase_add_test(tc, at_the_end_of_a_stack);
#endif
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return check_main("fault/corners", tests);
    if (strcmp(argv[1], "signals") == 0)
        collect_without_signals();
    else
        without_stack_limit();
    return EXIT_SUCCESS;
}
