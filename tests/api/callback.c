/* callback.c - gc_add_root_callback: what a callback reports is held, while it does, by every kind of mark; and a
 * callback that calls the library is told so. Holds roots.alone. */
#include "helpers.h"

#include <pthread.h>

enum { N = 500, SIZE = 64 };

/* In memory that no scan looks at: what the callbacks report. */
struct table {
    size_t n;
    void *at[N];
    uintptr_t hidden[N];
    unsigned calls;
};

static struct table *new_table(void) { return calloc(1, sizeof(struct table)); }

static NOINLINE void build(struct table *t)
{
    for (t->n = 0; t->n < N; t->n++) {
        t->at[t->n] = make_filled(SIZE, t->n);
        t->hidden[t->n] = hide(t->at[t->n]);
    }
}

static NOINLINE size_t alive(const struct table *t)
{
    size_t n = 0;
    settle();
    for (size_t i = 0; i < N; i++)
        n += gc_base(t->at[i]) != NULL;
    return n;
}

static NOINLINE void collect_and_churn(void)
{
    for (int i = 0; i < 2; i++) {
        settle();
        churn(SIZE, 3 * N);
    }
    gc_clear_stack(64 * 1024);
    gc_collect_without_stacks();
}

static NOINLINE void check_table(const struct table *t)
{
    for (size_t i = 0; i < N; i++)
        check_live(t->at[i], SIZE, i);
}

static void report_range(struct gc_root_report *report, void *arg)
{
    struct table *t = arg;
    t->calls++;
    report->range(report, t->at, t->at + t->n);
}

static void report_each_range(struct gc_root_report *report, void *arg)
{
    struct table *t = arg;
    t->calls++;
    for (size_t i = 0; i < t->n; i++)
        report->range(report, &t->at[i], &t->at[i + 1]);
}

/* From what is hidden; into the middle of the objects. */
static void report_pointers(struct gc_root_report *report, void *arg)
{
    struct table *t = arg;
    t->calls++;
    for (size_t i = 0; i < t->n; i++)
        report->pointer(report, (char *)reveal(t->hidden[i]) + i % SIZE);
}

static const gc_root_fn callbacks[] = {report_range, report_each_range, report_pointers};

START_TEST(holds_while_added)
{
    struct table *t = new_table();
    gc_root_fn fn = callbacks[_i];
    ck_assert_int_eq(gc_add_root_callback(fn, t), 0);
    gc_collect();
    ck_assert_uint_eq(t->calls, 1);
    build(t);
    collect_and_churn();
    check_table(t);
    ck_assert_uint_eq(gc_is_reachable_without_stacks(t->at[N / 2]), 1);
    unsigned calls = t->calls;
    ck_assert_int_eq(gc_remove_root_callback(fn, t), 0);
    ck_assert_uint_le(alive(t), N / 20);
    ck_assert_uint_eq(t->calls, calls);
    free(t);
}
END_TEST

/* Only what was reported this time. */
START_TEST(reports_anew_each_time)
{
    struct table *t = new_table();
    ck_assert_int_eq(gc_add_root_callback(report_pointers, t), 0);
    build(t);
    t->n = N / 2;
    size_t n = alive(t);
    ck_assert_uint_ge(n, N / 2);
    ck_assert_uint_le(n, N / 2 + N / 20);
    for (size_t i = 0; i < N / 2; i++)
        check_live(t->at[i], SIZE, i);
    t->n = 0;
    ck_assert_uint_le(alive(t), N / 20);
}
END_TEST

/* Through an object to others, and a large one by its middle. */
START_TEST(reports_lead_on)
{
    struct table *t = new_table();
    void **array = gc_malloc(100000);
    t->hidden[0] = hide(array);
    for (size_t i = 0; i < N; i++)
        t->at[i] = array[i] = make_filled(SIZE, i);
    array = NULL;
    t->hidden[0] -= 50000;
    t->n = 1;
    ck_assert_int_eq(gc_add_root_callback(report_pointers, t), 0);
    collect_and_churn();
    check_table(t);
}
END_TEST

static void report_nonsense(struct gc_root_report *report, void *arg)
{
    char *p = arg;
    report->range(report, p, p);
    report->range(report, p + 8, p);
    report->range(report, p + 1, p + 7);
    report->pointer(report, NULL);
    report->pointer(report, p);
    report->pointer(report, (void *)1);
    report->pointer(report, (void *)UINTPTR_MAX);
}

START_TEST(nonsense_is_harmless)
{
    char local[16];
    ck_assert_int_eq(gc_add_root_callback(report_nonsense, local), 0);
    gc_collect();
    collect_and_churn();
}
END_TEST

static char order[8];
static size_t called;

static void note(struct gc_root_report *report, void *arg)
{
    (void)report;
    order[called++ % sizeof order] = *(char *)arg;
}

static void is_einval(int result)
{
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
}

START_TEST(order_and_removal)
{
    char a = 'a', b = 'b', c = 'c';
    errno = 0;
    is_einval(gc_add_root_callback(NULL, &a));
    is_einval(gc_remove_root_callback(NULL, &a));
    is_einval(gc_remove_root_callback(note, &a));
    ck_assert_int_eq(gc_add_root_callback(note, &c), 0);
    ck_assert_int_eq(gc_add_root_callback(note, &a), 0);
    ck_assert_int_eq(gc_add_root_callback(note, &b), 0);
    ck_assert_int_eq(gc_add_root_callback(note, &a), 0);
    is_einval(gc_remove_roots((void *)note, &c));
    gc_collect();
    ck_assert_uint_eq(called, 4);
    ck_assert_int_eq(memcmp(order, "caba", 4), 0);
    ck_assert_int_eq(gc_remove_root_callback(note, &c), 0);
    is_einval(gc_remove_root_callback(note, &c));
    ck_assert_int_eq(gc_remove_root_callback(note, &a), 0);
    called = 0;
    gc_collect_without_stacks();
    ck_assert_uint_eq(called, 2);
    ck_assert_int_eq(memcmp(order, "ba", 2), 0);
    ck_assert_int_eq(gc_remove_root_callback(note, &a), 0);
    ck_assert_int_eq(gc_remove_root_callback(note, &b), 0);
    ck_assert_int_eq(errno, 0);
}
END_TEST

/* While other threads allocate, and callbacks come and go. */
static struct table *shared;
static _Atomic bool enough;

static void *allocate(void *unused)
{
    (void)unused;
    while (!enough)
        churn(SIZE, 1000);
    return NULL;
}

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        char mine = 'x';
        if (gc_add_root_callback(note, &mine) != 0 || gc_remove_root_callback(note, &mine) != 0)
            ck_abort_msg("adding and removing failed");
    }
    return NULL;
}

START_TEST(with_threads)
{
    pthread_t t[2], u;
    shared = new_table();
    ck_assert_int_eq(gc_add_root_callback(report_range, shared), 0);
    build(shared);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, allocate, NULL);
    pthread_create(&u, NULL, come_and_go, NULL);
    for (int i = 0; i < 30; i++)
        collect_and_churn();
    pthread_join(u, NULL);
    enough = true;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    check_table(shared);
}
END_TEST

/* ---- calling the library in a callback ---- */

static void call_malloc(void) { launder(gc_malloc(16)); }
static void call_malloc_tiny(void) { launder(gc_malloc_noscan(5)); }
static void call_malloc_large(void) { launder(gc_malloc(1000000)); }
static void call_malloc_zero(void) { launder(gc_malloc(0)); }
static void call_free(void) { gc_free(shared); }
static void call_base(void) { launder(gc_base(shared)); }
static void call_collect(void) { gc_collect(); }
static void call_percent(void) { gc_set_percent(50); }
static void call_memstats(void) { heap_objects(); }
static void call_roots(void) { launder((void *)(intptr_t)gc_add_roots(shared, shared + 1)); }
static void call_remove(void) { launder((void *)(intptr_t)gc_remove_root_callback(report_range, NULL)); }
static void call_reachable(void) { launder((void *)(intptr_t)gc_is_reachable(shared)); }
static void *nothing(void *unused) { return unused; }
static void call_create(void)
{
    pthread_t t;
    pthread_create(&t, NULL, nothing, NULL);
}

static void (*const calls[])(void) = {call_malloc, call_malloc_tiny, call_malloc_large, call_malloc_zero, call_free,
                                      call_base,   call_collect,     call_percent,      call_memstats,    call_roots,
                                      call_remove, call_reachable,   call_create};
enum { CALLS = sizeof calls / sizeof *calls };

static void call_it(struct gc_root_report *report, void *arg)
{
    (void)report;
    calls[*(int *)arg]();
}

static void collect_calling(void *arg)
{
    gc_add_root_callback(call_it, arg);
    gc_collect();
}

START_TEST(calling_the_library)
{
    struct outcome o;
    int i = _i;
    shared = new_table();
    run_child(collect_calling, &i, &o);
    if (!WIFSIGNALED(o.status) || WTERMSIG(o.status) != SIGABRT || count_lines(o.text) != 1 ||
        !strstr(o.text, "spangc: a root callback called the library"))
        ck_abort_msg("call %d: status %#x, it said: %s", i, (unsigned)o.status, o.text);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, holds_while_added, 0, 3);
    tcase_add_test(tc, reports_anew_each_time);
    tcase_add_test(tc, reports_lead_on);
    tcase_add_test(tc, nonsense_is_harmless);
    tcase_add_test(tc, order_and_removal);
    tcase_add_test(tc, with_threads);
    tcase_add_loop_test(tc, calling_the_library, 0, CALLS);
}
CHECK_MAIN("api/callback", tests)
