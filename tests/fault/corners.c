/* corners.c - places where the library once went wrong, each found by trying to break it: an alternate signal stack
 * within the thread's own stack, questions about objects that another thread frees, signals that cannot be queued, more
 * stack to clear than there is. Holds rootjobs.all, find.truth, stop.all. */
#include "../api/helpers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

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
    check_filled(held[2], SIZE, 7);
    ck_assert_ptr_eq(gc_base(held[2]), held[2]);
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
    do
        gc_collect();
    while (read_stats(&st)->num_gc == 0 && --left > 0);
    atomic_store(&enough, true);
    pthread_join(id, NULL);
    fprintf(stderr, "collections: %llu\n", (unsigned long long)st.num_gc);
}

START_TEST(no_signals_left)
{
    static const char *const env[] = {"SPANGC_DEBUG=stopwait=300", NULL};
    struct outcome o;
    run_scene("signals", env, &o);
    must_exit_0(&o);
    if (count_of(o.text, "did not stop") != 1 || !strstr(o.text, "collections: 1\n"))
        ck_abort_msg("it said: %s", o.text);
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
    tcase_add_test(tc, more_stack_than_there_is);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1)
        return check_main("fault/corners", tests);
    collect_without_signals();
    return EXIT_SUCCESS;
}
