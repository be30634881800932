/* finalizers.c - each finalizer is called once, never early, parents before what they refer to, cycles never; objects come
 * back, finalizers are replaced and removed. Holds lifetimes.cleared, lifetimes.kept, lifetimes.order. */
#include "../asleep.h"
#include "helpers.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SIZE = 48, N = 1000, THREADS = 4 };

struct node {
    struct node *next;
    uintptr_t id;
    char rest[SIZE - 16];
};

static _Atomic size_t calls[N + 1];
static _Atomic size_t total;
static uintptr_t order[N];

static void count(void *obj, void *arg)
{
    struct node *n = obj;
    uintptr_t id = (uintptr_t)arg;
    if (n->id != id || gc_base(obj) != obj)
        ck_abort_msg("finalizer %zu got %p, which is no such object", (size_t)id, obj);
    atomic_fetch_add(&calls[id], 1);
    order[atomic_fetch_add(&total, 1) % N] = id;
}

static void other(void *obj, void *arg) { count(obj, arg); }

static NOINLINE struct node *make(struct node *next, uintptr_t id)
{
    struct node *n = gc_malloc(sizeof *n);
    n->next = next;
    n->id = id;
    if (gc_set_finalizer(n, count, (void *)id, NULL, NULL) != 0)
        abort(); /* in a scene nothing can be asserted */
    return n;
}

static NOINLINE void make_and_drop(size_t n)
{
    for (uintptr_t i = 0; i < n; i++)
        make(NULL, i);
}

static void on_demand(void)
{
    ck_assert_int_eq(gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND), GC_SPAN_FINALIZE_THREAD);
}

static long collect_and_run(void)
{
    gc_collect_without_stacks();
    return gc_run_finalizers();
}

START_TEST(refused)
{
    static int data;
    char *p = gc_malloc(SIZE), *gone = gc_malloc(SIZE), *tiny = gc_malloc_noscan(3);
    gc_finalizer_fn fn = other;
    void *arg = &data;
    gc_free(gone);
    void *bad[] = {NULL, &data, gc_malloc(0), tiny, gone, p + 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_int_eq(gc_set_finalizer(bad[i], count, NULL, &fn, &arg), -1);
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert(gc_set_finalizer(p, count, p + 8, &fn, &arg) == -1 && errno == EINVAL);
    ck_assert(fn == other && arg == &data);
    errno = 77;
    ck_assert_int_eq(gc_set_finalizer(p, count, NULL, &fn, &arg), 0);
    ck_assert(!fn && !arg && errno == 77);
}
END_TEST

START_TEST(each_once)
{
    on_demand();
    make_and_drop(N);
    ck_assert_int_eq(collect_and_run(), N);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_eq(atomic_load(&calls[i]), 1);
    uint64_t objects = heap_objects();
    ck_assert_int_eq(collect_and_run(), 0);
    ck_assert_uint_le(heap_objects(), objects - N + 10);
}
END_TEST

START_TEST(on_the_thread)
{
    make_and_drop(N);
    gc_collect_without_stacks();
    while (atomic_load(&total) < N)
        sched_yield();
    make_and_drop(N);
    gc_collect_without_stacks();
    while (atomic_load(&total) < 2 * N)
        sched_yield();
}
END_TEST

/* ... which holds none of them when it sleeps, though its stack is scanned. */
static _Atomic uintptr_t last_called;
static _Atomic int caller;
static NOINLINE void remember(void *obj, void *arg)
{
    (void)arg;
    void *volatile copies[16];
    for (int i = 0; i < 16; i++)
        copies[i] = obj;
    caller = own_tid();
    atomic_store(&last_called, hide(copies[3]));
    atomic_fetch_add(&total, 1);
}

static NOINLINE void make_remembering(void)
{
    ck_assert_int_eq(gc_set_finalizer(gc_malloc(SIZE), remember, NULL, NULL, NULL), 0);
}

static NOINLINE bool is_there(const uintptr_t *hidden) { return gc_base(reveal(*(volatile const uintptr_t *)hidden)); }

/* Its buffers are not to be in the frame of who collects: what was there before would be scanned. */
static NOINLINE void wait_for_caller(void) { wait_until_asleep(&caller); }

static NOINLINE bool gone(uintptr_t hidden)
{
    for (int i = 0; i < 50; i++) {
        wait_for_caller();
        settle();
        if (!is_there(&hidden))
            return true;
    }
    return false;
}

START_TEST(asleep_holds_nothing)
{
    for (size_t i = 1; i <= 20; i++) {
        make_remembering();
        gc_collect_without_stacks();
        while (atomic_load(&total) < i)
            sched_yield();
        ck_assert(gone(atomic_load(&last_called)));
    }
}
END_TEST

static NOINLINE void make_chain(size_t n)
{
    struct node *next = NULL;
    for (uintptr_t i = n; i-- > 0;)
        next = make(next, i);
}

/* Node 0 leads to 1, and so on: one a collection, the first first. */
START_TEST(parents_first)
{
    enum { DEEP = 20 };
    on_demand();
    make_chain(DEEP);
    for (uintptr_t i = 0; i < DEEP; i++) {
        ck_assert_int_eq(collect_and_run(), 1);
        ck_assert_uint_eq(order[i], i);
    }
    ck_assert_int_eq(collect_and_run(), 0);
}
END_TEST

/* Allocated the other way round, so that the walk meets the child first. */
static NOINLINE void make_pair(void)
{
    struct node *a = make(NULL, 1), *b = make(NULL, 0);
    if (a > b) {
        a->id = 0, b->id = 1;
        gc_set_finalizer(a, count, (void *)0, NULL, NULL);
        gc_set_finalizer(b, count, (void *)1, NULL, NULL);
        a->next = b;
    } else {
        b->next = a;
    }
}

START_TEST(higher_parent_first)
{
    on_demand();
    make_pair();
    ck_assert_int_eq(collect_and_run(), 1);
    ck_assert_uint_eq(order[0], 0);
    ck_assert_int_eq(collect_and_run(), 1);
}
END_TEST

static NOINLINE void make_ring(void)
{
    struct node *a = make(NULL, 1), *b = make(a, 2), *self = make(NULL, 3);
    a->next = b;
    self->next = self;
    make(a, 0); /* leads to them and is in no cycle */
}

START_TEST(cycles_never)
{
    on_demand();
    make_ring();
    ck_assert_int_eq(collect_and_run(), 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(collect_and_run(), 0);
    ck_assert(calls[0] == 1 && calls[1] == 0 && calls[2] == 0 && calls[3] == 0);
}
END_TEST

/* What it refers to is there, through objects that have none. */
static struct gc_weak *kept;

static void look(void *obj, void *arg)
{
    void **p = obj, **middle = *p;
    ck_assert_ptr_null(arg);
    gc_collect_without_stacks();
    churn(SIZE, N);
    check_live(*middle, SIZE, 5);
    ck_assert_ptr_null(gc_weak_get(kept));
    atomic_fetch_add(&total, 1);
}

static NOINLINE void make_looking(void)
{
    void **p = gc_malloc(SIZE), **middle = gc_malloc(SIZE);
    *p = middle;
    *middle = make_filled(SIZE, 5);
    kept = gc_weak_new(*middle);
    ck_assert_int_eq(gc_set_finalizer(p, look, NULL, NULL, NULL), 0);
}

START_TEST(contents_are_kept)
{
    on_demand();
    make_looking();
    gc_collect_without_stacks();
    ck_assert_ptr_null(gc_weak_get(kept)); /* cleared before */
    for (int i = 0; i < 2; i++) {
        gc_collect_without_stacks();
        churn(SIZE, N);
    }
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_uint_eq(atomic_load(&total), 1);
}
END_TEST

static void *volatile back;
static void resurrect(void *obj, void *arg)
{
    back = obj;
    atomic_fetch_add(&total, 1);
    if (arg)
        gc_set_finalizer(obj, resurrect, NULL, NULL, NULL);
}

START_TEST(comes_back)
{
    on_demand();
    void *p = gc_malloc(SIZE);
    ck_assert_int_eq(gc_set_finalizer(p, resurrect, &total, NULL, NULL), 0);
    struct gc_weak *w = gc_weak_new(p);
    p = NULL;
    ck_assert_int_eq(collect_and_run(), 1);
    ck_assert_ptr_null(gc_weak_get(w));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(collect_and_run(), 0);
    ck_assert_ptr_eq(gc_base(back), back);
    back = NULL;
    ck_assert_int_eq(collect_and_run(), 1);
    ck_assert_ptr_nonnull(back);
    back = NULL;
    ck_assert_int_eq(collect_and_run(), 0);
}
END_TEST

START_TEST(replaced_and_removed)
{
    gc_finalizer_fn fn = NULL;
    void *arg = NULL;
    on_demand();
    struct node *p = make(NULL, 1), *q = make(NULL, 2);
    p->id = 3;
    ck_assert_int_eq(gc_set_finalizer(p, other, (void *)3, &fn, &arg), 0);
    ck_assert(fn == count && arg == (void *)1);
    ck_assert_int_eq(gc_set_finalizer(q, NULL, NULL, &fn, &arg), 0);
    ck_assert(fn == count && arg == (void *)2);
    ck_assert_int_eq(gc_set_finalizer(q, NULL, NULL, &fn, &arg), 0);
    ck_assert(!fn && !arg);
    p = q = NULL;
    ck_assert_int_eq(collect_and_run(), 1);
    ck_assert(calls[1] == 0 && calls[2] == 0 && calls[3] == 1);
}
END_TEST

START_TEST(freed)
{
    on_demand();
    gc_free(make(NULL, 1));
    ck_assert_int_eq(collect_and_run(), 0);
    ck_assert_uint_eq(gc_finalizers_pending(), 0);
}
END_TEST

START_TEST(all_at_the_end)
{
    static void *volatile held;
    on_demand();
    held = make(make(NULL, 2), 1);
    ck_assert_int_eq(gc_finalize_all(), 2);
    gc_keep_alive(held);
    ck_assert_int_eq(gc_finalize_all(), 0);
    held = NULL;
    ck_assert_int_eq(collect_and_run(), 0);
}
END_TEST

/* Within a call: a call of its own, and more that it gives rise to. */
static void nest(void *obj, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    (void)obj;
    atomic_fetch_add(&total, 1);
    if (depth == 0)
        return;
    void *p = gc_malloc(SIZE);
    ck_assert_int_eq(gc_set_finalizer(p, nest, (void *)(depth - 1), NULL, NULL), 0);
    p = NULL;
    gc_collect_without_stacks();
    gc_run_finalizers();
}

static NOINLINE void make_nesting(void)
{
    ck_assert_int_eq(gc_set_finalizer(gc_malloc(SIZE), nest, (void *)5, NULL, NULL), 0);
}

START_TEST(from_a_finalizer)
{
    gc_finalizer_mode(_i);
    make_nesting();
    gc_collect_without_stacks();
    while (atomic_load(&total) < 6) {
        churn(SIZE, 100);
        if (_i == GC_SPAN_FINALIZE_ON_DEMAND)
            gc_run_finalizers();
    }
    ck_assert_uint_eq(atomic_load(&total), 6);
}
END_TEST

/* What is kept for a finalizer is live: the next collection is paced by it. */
static _Atomic uint64_t found_live;
static void note_live(const struct gc_event *e, void *unused)
{
    (void)unused;
    if (e->kind == GC_SPAN_EVENT_MARK_DONE)
        atomic_store(&found_live, e->value);
}

START_TEST(counted_as_live)
{
    on_demand();
    gc_collect_without_stacks();
    make_and_drop(N);
    gc_set_event_handler(note_live, NULL);
    gc_collect_without_stacks();
    uint64_t with = atomic_load(&found_live);
    ck_assert_int_eq(collect_and_run(), N);
    gc_collect_without_stacks();
    ck_assert_uint_ge(with, atomic_load(&found_live) + (uint64_t)N * SIZE);
}
END_TEST

/* A call that allocates is not interrupted by another one in its thread. */
static _Thread_local int depth;
static _Atomic size_t nested;
static void allocate_in_call(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    if (depth++ > 0)
        atomic_fetch_add(&nested, 1);
    void *p = gc_malloc(SIZE);
    ck_assert_int_eq(gc_set_finalizer(p, count, (void *)(uintptr_t)N, NULL, NULL), 0);
    ((struct node *)p)->id = N;
    p = NULL;
    gc_collect_without_stacks();
    churn(SIZE, 1000);
    depth--;
    atomic_fetch_add(&total, 1);
}

static NOINLINE void make_allocating(void)
{
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(gc_set_finalizer(gc_malloc(SIZE), allocate_in_call, NULL, NULL, NULL), 0);
}

START_TEST(not_nested)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_AT_ALLOC);
    make_allocating();
    gc_collect_without_stacks();
    churn(SIZE, 1000);
    ck_assert_uint_eq(atomic_load(&total), 20);
    ck_assert_uint_eq(atomic_load(&nested), 0);
}
END_TEST

/* The thread waits for a lock that a thread holds which collects. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void lock_in_call(void *obj, void *arg)
{
    sigset_t blocked;
    (void)obj;
    (void)arg;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGUSR1))
        atomic_fetch_add(&total, 1);
    gc_collect();
}

static NOINLINE void make_locking(void)
{
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(gc_set_finalizer(gc_malloc(SIZE), lock_in_call, NULL, NULL, NULL), 0);
}

START_TEST(locks_of_the_program)
{
    pthread_mutex_lock(&mutex);
    make_locking();
    gc_collect_without_stacks();
    while (gc_finalizers_pending() == 10)
        sched_yield();
    for (int i = 0; i < 20; i++)
        gc_collect();
    ck_assert_uint_eq(atomic_load(&total), 0);
    pthread_mutex_unlock(&mutex);
    while (atomic_load(&total) < 10)
        sched_yield();
}
END_TEST

static void in_child(void *unused)
{
    (void)unused;
    gc_collect_without_stacks();
    while (atomic_load(&total) < N)
        sched_yield();
}

/* The thread that calls finalizers has begun, and is in no malloc: AddressSanitizer's, unlike the C library's, stays locked in
 * the child for good if another thread is in it. */
static void wait_until_others_sleep(void)
{
    bool all = false;
    while (!all) {
        DIR *d = opendir("/proc/self/task");
        ck_assert_ptr_nonnull(d);
        all = true;
        for (const struct dirent *e; (e = readdir(d)) != NULL;) {
            int tid = atoi(e->d_name);
            all &= tid == 0 || tid == own_tid() || state_of(tid) == 'S';
        }
        closedir(d);
    }
}

START_TEST(forked)
{
    struct outcome o;
    make_and_drop(N);
    wait_until_others_sleep();
    run_child(in_child, NULL, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(atomic_load(&total), 0);
    in_child(NULL);
}
END_TEST

/* ---- threads: each object's word says how often it was finalized; what is held is not */

struct counted {
    struct counted *child;
    _Atomic int *calls; /* malloc's */
    void *held;
};

static _Atomic size_t early, twice;
static void note(void *obj, void *arg)
{
    struct counted *c = obj;
    if (c->calls != arg || c->held)
        atomic_fetch_add(&early, 1);
    if (c->child && atomic_load(c->child->calls))
        atomic_fetch_add(&early, 1); /* the child was called before its parent */
    if (atomic_fetch_add(c->calls, 1))
        atomic_fetch_add(&twice, 1);
    launder(gc_malloc(SIZE));
    if (atomic_fetch_add(&total, 1) % 1000 == 0)
        gc_collect();
}

static NOINLINE struct counted *make_counted(_Atomic int *own, struct counted *child)
{
    struct counted *c = gc_malloc(sizeof *c);
    c->calls = own;
    c->child = child;
    if (gc_set_finalizer(c, note, own, NULL, NULL) != 0)
        ck_abort();
    return c;
}

enum { EACH = 10000 };

static void *make_many(void *own)
{
    _Atomic int *at = own;
    struct counted *held[16] = {0};
    for (int i = 0; i < EACH; i += 2) {
        struct counted **h = &held[i / 2 % 16];
        if (*h)
            (*h)->held = NULL;
        *h = make_counted(&at[i], make_counted(&at[i + 1], NULL));
        (*h)->held = (void *)&early;
        if (i % 2000 == 0)
            gc_collect();
    }
    for (int i = 0; i < 16; i++)
        held[i]->held = NULL;
    return NULL;
}

START_TEST(beside_collections)
{
    pthread_t t[THREADS];
    _Atomic int *at = calloc(THREADS * EACH, sizeof *at);
    gc_finalizer_mode(_i);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, make_many, at + (size_t)i * EACH), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) {
        while (_i == GC_SPAN_FINALIZE_THREAD && gc_finalizers_pending() > 0)
            sched_yield();
        settle();
        gc_run_finalizers();
    }
    ck_assert_uint_eq(atomic_load(&early), 0);
    ck_assert_uint_eq(atomic_load(&twice), 0);
    ck_assert_uint_ge(atomic_load(&total), THREADS * EACH - 200); /* some old word may hold a few */
}
END_TEST

/* ---- with check=1, in a process of its own */

static NOINLINE int scene(const char *name)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    (void)name;
    make_chain(5);
    for (int i = 0; i < 3; i++)
        collect_and_run();
    return 0;
}

START_TEST(with_check) { run_scene_with_check(); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_test(tc, each_once);
    tcase_add_test(tc, on_the_thread);
    tcase_add_test(tc, asleep_holds_nothing);
    tcase_add_test(tc, parents_first);
    tcase_add_test(tc, higher_parent_first);
    tcase_add_test(tc, cycles_never);
    tcase_add_test(tc, contents_are_kept);
    tcase_add_test(tc, comes_back);
    tcase_add_test(tc, replaced_and_removed);
    tcase_add_test(tc, freed);
    tcase_add_test(tc, all_at_the_end);
    tcase_add_loop_test(tc, from_a_finalizer, 0, 3);
    tcase_add_test(tc, counted_as_live);
    tcase_add_test(tc, not_nested);
    tcase_add_test(tc, locks_of_the_program);
    tcase_add_test(tc, forked);
    tcase_add_loop_test(tc, beside_collections, 0, 3);
    tcase_add_test(tc, with_check);
}

int main(int argc, char **argv) { return argc > 1 ? scene(argv[1]) : check_main("api/finalizers", tests); }
