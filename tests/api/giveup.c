/* giveup.c - a thread that blocks the stop signal behind the library's back: the collection is given up and said once,
 * nothing is freed, the program goes on; once the thread is open again, collections work again. Holds stop.all and
 * the header's words at gc_collect. Each scene is a process of its own, with a short stopwait, and
 * without ptrace, which would hold such a thread. */
#include "helpers.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>

enum { N = 1000, SIZE = 64 };

static sem_t ready, go;
static _Atomic int warnings;
static char last_warning[512];

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void note_warning(const char *message)
{
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

static void set_mask(uint64_t mask) { syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask); }

/* Blocks all, waits, opens all, waits; its stack holds an object throughout. */
static void *deaf(void *arg)
{
    void **slot = arg;
    void *volatile mine = *slot;
    *slot = NULL;
    set_mask(UINT64_MAX);
    sem_post(&ready);
    wait_for(&go);
    check_filled(mine, SIZE, 5);
    set_mask(0);
    sem_post(&ready);
    wait_for(&go);
    check_filled(mine, SIZE, 5);
    return NULL;
}

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    dprintf(STDERR_FILENO, "failed: %s\n", what);
    _exit(9);
}
#define DEMAND(condition) demand(condition, #condition)

static NOINLINE void drop(void)
{
    for (size_t i = 0; i < N; i++)
        make_filled(SIZE, i);
}

static void *slot;

static NOINLINE pthread_t start_deaf(void)
{
    pthread_t t;
    sem_init(&ready, 0, 0);
    sem_init(&go, 0, 0);
    slot = make_filled(SIZE, 5);
    if (pthread_create(&t, NULL, deaf, &slot) != 0)
        _exit(8);
    wait_for(&ready);
    return t;
}

/* Nothing can be collected: not when asked, not when due. The figures can be read, the heap can be used. */
static void while_deaf(void)
{
    static struct gc_memstats before, after;
    drop();
    gc_read_memstats(&before);
    settle();
    settle();
    DEMAND(warnings == 1);
    DEMAND(strstr(last_warning, "stop"));
    gc_read_memstats(&after);
    DEMAND(after.frees == before.frees);
    DEMAND(after.num_gc == 0);
    DEMAND(after.num_forced_gc == 0);
    gc_release_memory();
    for (int i = 0; i < 200000; i++)
        launder(gc_malloc(SIZE));
    void *p = make_filled(SIZE, 1);
    gc_free(p);
    gc_read_memstats(&after);
    DEMAND(after.mallocs - after.frees == after.heap_objects);
    DEMAND(warnings == 1);
    DEMAND(after.num_gc == 0);
}

/* On a busy machine a thread that hears the signal may need longer than stopwait, too, or than the hundredth of it that is
 * left once a collection was given up: until one succeeds. The alarm of run_child ends what never does. */
static void settle_at_last(struct gc_memstats *st)
{
    uint32_t before = read_stats(st)->num_gc;
    do
        settle();
    while (read_stats(st)->num_gc == before);
}

static void once_open(void)
{
    static struct gc_memstats st;
    settle_at_last(&st);
    DEMAND(st.num_gc == 1);
    DEMAND(st.heap_objects < N / 20);
    churn(SIZE, 3 * N);
    settle_at_last(&st);
}

static int given_up(void)
{
    static struct gc_memstats st;
    gc_set_warn_handler(note_warning);
    pthread_t t = start_deaf();
    while_deaf();
    sem_post(&go);
    wait_for(&ready);
    once_open();
    DEMAND(warnings == 1);
    sem_post(&go);
    pthread_join(t, NULL);
    settle_at_last(&st);
    DEMAND(st.heap_objects < N / 20);
    return 0;
}

/* Forking with a deaf thread about: both sides get on. In the child that thread is no more, and it collects. */
static void in_child(void)
{
    alarm(120);
    settle();
    drop();
    settle();
    DEMAND(warnings == 0);
    DEMAND(heap_objects() < N / 20);
    _exit(0);
}

static int forks(void)
{
    int status;
    gc_set_warn_handler(note_warning);
    pthread_t t = start_deaf();
    drop();
    pid_t pid = fork();
    if (pid == 0)
        in_child();
    DEMAND(waitpid(pid, &status, 0) == pid && status == 0);
    DEMAND(warnings == 0);
    sem_post(&go);
    wait_for(&ready);
    once_open();
    sem_post(&go);
    pthread_join(t, NULL);
    return 0;
}

/* Told on standard error, in one line, when there is no handler. */
static int on_stderr(void)
{
    pthread_t t = start_deaf();
    gc_collect();
    gc_collect();
    sem_post(&go);
    wait_for(&ready);
    sem_post(&go);
    pthread_join(t, NULL);
    return 0;
}

/* Asked to stop, it ends instead: known to the library, all signals blocked, past every destructor. */
static void *ends(void *unused)
{
    struct timespec while_asked = {0, 300000000};
    (void)unused;
    set_mask(UINT64_MAX);
    sem_post(&ready);
    nanosleep(&while_asked, NULL);
    syscall(SYS_exit, 0);
    return NULL;
}

/* The collection waits for the thread's end and not for stopwait, which is longer than the alarm. */
static int ended(void)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    sem_init(&ready, 0, 0);
    DEMAND(pthread_create(&t, NULL, ends, NULL) == 0);
    wait_for(&ready);
    drop();
    alarm(60);
    settle();
    DEMAND(warnings == 0);
    DEMAND(heap_objects() < N / 20);
    return 0;
}

static int play(const char *scene)
{
    if (strcmp(scene, "ended") == 0)
        return ended();
    return strcmp(scene, "given-up") == 0 ? given_up() : strcmp(scene, "forks") == 0 ? forks() : on_stderr();
}

static const char *const env[] = {"SPANGC_DEBUG=stopwait=200,ptrace=0", NULL};

START_TEST(is_given_up)
{
    struct outcome o;
    run_scene("given-up", env, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

START_TEST(can_fork)
{
    struct outcome o;
    run_scene("forks", env, &o);
    must_exit_0(&o);
}
END_TEST

START_TEST(ends_instead)
{
    static const char *const patient[] = {"SPANGC_DEBUG=stopwait=3600000,ptrace=0", NULL};
    struct outcome o;
    run_scene("ended", patient, &o);
    must_exit_0(&o); /* LeakSanitizer has a word to say about such a thread, so its text is not looked at */
}
END_TEST

START_TEST(is_said)
{
    struct outcome o;
    run_scene("on-stderr", env, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_lines(o.text), 1);
    ck_assert_int_eq(strncmp(o.text, "spangc: ", 8), 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, is_given_up);
    tcase_add_test(tc, can_fork);
    tcase_add_test(tc, ends_instead);
    tcase_add_test(tc, is_said);
}

int main(int argc, char **argv) { return argc > 1 ? play(argv[1]) : check_main("api/giveup", tests); }
