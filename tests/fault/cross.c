/* cross.c - every pair of the things that may meet a stop of the world, at once, while a third thread stops it: filling
 * caches, large objects, gc_free of another thread's objects, threads that start, threads that end, fork, dlopen. A
 * deadlock ends in the alarm. Counts are bounded; nothing depends on time. Holds stop.all, stop.region, fork.whole,
 * forkgate.out. */
#include "../api/helpers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

enum { LIMIT_SECONDS = 100, CHAIN = 400, PASSED = 256 };

static _Atomic int running;

struct node {
    struct node *next;
    uintptr_t check;
};

static struct node *make_node(struct node *next, size_t size)
{
    struct node *n = gc_malloc(size);
    if (!n)
        ck_abort_msg("gc_malloc(%zu) failed", size);
    *n = (struct node){next, ~(uintptr_t)next ^ size};
    return n;
}

static void check_chain(const struct node *n, size_t size)
{
    for (; n; n = n->next)
        if (n->check != (~(uintptr_t)n->next ^ size))
            ck_abort_msg("node %p of %zu bytes was overwritten", (const void *)n, size);
}

static void refill(int round)
{
    size_t size = 16u + 16u * (unsigned)(round % 24);
    struct node *head = NULL;
    for (int i = 0; i < CHAIN; i++)
        head = make_node(head, size);
    check_chain(head, size);
}

static void large(int round)
{
    size_t size = 40000u + 9000u * (unsigned)(round % 50);
    struct node *head = NULL;
    for (int i = 0; i < 4; i++)
        head = make_node(head, size);
    check_chain(head, size);
    if (round % 2)
        gc_free(head);
}

/* Objects go from one thread to the other, and the taker frees them. */
static _Atomic(struct node *) passed[PASSED];

static void free_passed(int round)
{
    for (int i = 0; i < PASSED; i++) {
        struct node *n = make_node(NULL, 48), *other = atomic_exchange(&passed[(i * 7 + round) % PASSED], n);
        check_chain(other, 48);
        gc_free(other);
    }
}

static void *do_nothing(void *arg) { return arg; }

static void *allocate_and_end(void *arg)
{
    refill((int)(intptr_t)arg);
    free_passed(0);
    return NULL;
}

static void join_one(void *(*fn)(void *), int round)
{
    pthread_t id;
    int e = pthread_create(&id, NULL, fn, (void *)(intptr_t)round);
    if (e)
        ck_abort_msg("pthread_create: %d", e);
    pthread_join(id, NULL);
}

static void thread_start(int round) { join_one(do_nothing, round); }
static void thread_exit(int round) { join_one(allocate_and_end, round); }

/* glibc (2.36) leaves the dynamic linker's list of images locked in a child forked while another thread was in dlopen:
 * there nobody may read that list, so neither may a collection. */
static bool beside_dlopen;

/* AddressSanitizer takes the stack of a child's new thread, which a thread had that the child has not got, for
 * poisoned until its own start routine cleans it, and ours runs before. */
static bool under_asan(void)
{
    const char *s = getenv("SANITIZER");
    return s && strstr(s, "address");
}

/* The child collects, and starts a thread of its own. */
static void fork_one(int round)
{
    pid_t pid = fork();
    if (pid < 0)
        ck_abort_msg("fork failed");
    if (pid == 0) {
        alarm(LIMIT_SECONDS);
        if (beside_dlopen)
            gc_disable();
        refill(round);
        free_passed(round);
        if (!beside_dlopen)
            gc_collect();
        if (round % 4 == 0 && !under_asan())
            join_one(allocate_and_end, round);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        ck_abort_msg("child %d ended with status %#x", round, (unsigned)status);
}

/* A library that the program has not loaded: each round maps and unmaps it. */
static void load_library(int round)
{
    static const char *const names[] = {"libthread_db.so.1", "libBrokenLocale.so.1", "libanl.so.1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library)
            dlclose(library);
    }
    refill(round);
}

static const struct act {
    const char *name;
    void (*fn)(int round);
    int rounds;
} acts[] = {
    {"refill", refill, 120},          {"large", large, 120},
    {"free", free_passed, 120},       {"thread start", thread_start, 100},
    {"thread exit", thread_exit, 60}, {"fork", fork_one, 16},
    {"dlopen", load_library, 40},
};
enum { ACTS = sizeof acts / sizeof *acts, PAIRS = ACTS * (ACTS + 1) / 2 };

static void *act(void *arg)
{
    const struct act *a = arg;
    int rounds = share_of(a->rounds);
    for (int i = 0; i < rounds; i++)
        a->fn(i);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void *collect(void *unused)
{
    (void)unused;
    do
        gc_collect();
    while (atomic_load(&running) > 0);
    return NULL;
}

static void pair(int n, int *a, int *b)
{
    *a = 0;
    while (n >= ACTS - *a)
        n -= ACTS - (*a)++;
    *b = *a + n;
}

START_TEST(meets_a_stop)
{
    pthread_t id[3];
    int a, b;
    pair(_i, &a, &b);
    beside_dlopen = acts[b].fn == load_library;
    alarm(LIMIT_SECONDS);
    atomic_store(&running, 2);
    ck_assert_int_eq(pthread_create(&id[0], NULL, act, (void *)&acts[a]), 0);
    ck_assert_int_eq(pthread_create(&id[1], NULL, act, (void *)&acts[b]), 0);
    ck_assert_int_eq(pthread_create(&id[2], NULL, collect, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(id[i], NULL);
    struct gc_memstats st;
    gc_collect();
    gc_read_memstats(&st);
    ck_assert_uint_gt(st.num_gc, 1);
    ck_assert_uint_eq(st.mallocs - st.frees, st.heap_objects);
}
END_TEST

static void tests(TCase *tc) { tcase_add_loop_test(tc, meets_a_stop, 0, PAIRS); }
CHECK_MAIN("fault/cross", tests)
