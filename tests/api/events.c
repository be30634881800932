/* events.c - the event handler sees the phases of a collection in order, with the values that the header names, and
 * each with the argument it was set with (events.pair). */
#include "helpers.h"

#include <pthread.h>
#include <semaphore.h>

enum { MOST = 4000 };
static struct gc_event seen[MOST];
static size_t n_seen;
static int the_arg;

static void note(const struct gc_event *e, void *arg)
{
    if (arg == &the_arg && n_seen < MOST)
        seen[n_seen++] = *e;
}

static const enum gc_event_kind phases[] = {
    GC_SPAN_EVENT_CYCLE_START, GC_SPAN_EVENT_STOP_REQUEST, GC_SPAN_EVENT_STOPPED,   GC_SPAN_EVENT_ROOTS_DONE,
    GC_SPAN_EVENT_MARK_DONE,   GC_SPAN_EVENT_RESTARTED,    GC_SPAN_EVENT_SWEEP_DONE};
enum { PHASES = sizeof phases / sizeof *phases };

START_TEST(get_and_set)
{
    void *arg = &arg;
    ck_assert(gc_get_event_handler(&arg) == NULL);
    ck_assert_ptr_null(arg);
    ck_assert(gc_set_event_handler(note, &the_arg) == NULL);
    ck_assert(gc_get_event_handler(&arg) == note);
    ck_assert_ptr_eq(arg, &the_arg);
    ck_assert(gc_get_event_handler(NULL) == note);
    ck_assert(gc_set_event_handler(NULL, NULL) == note);
    gc_collect();
    ck_assert_uint_eq(n_seen, 0);
}
END_TEST

static void check_order(const struct gc_event *e, uint32_t cycle)
{
    for (size_t i = 0; i < PHASES; i++) {
        ck_assert_int_eq(e[i].kind, phases[i]);
        if (e[i].cycle != cycle)
            ck_abort_msg("phase %zu of collection %u is of %u", i, cycle, e[i].cycle);
        if (i > 0 && e[i].time_ns < e[i - 1].time_ns)
            ck_abort_msg("phase %zu is before phase %zu", i, i - 1);
    }
}

START_TEST(order)
{
    static void *held[1000];
    for (size_t i = 0; i < 1000; i++)
        held[i] = make_filled(64, i);
    launder(held);
    gc_set_event_handler(note, &the_arg);
    for (uint32_t cycle = 1; cycle <= 3; cycle++) {
        n_seen = 0;
        gc_collect();
        ck_assert_uint_eq(n_seen, PHASES);
        check_order(seen, cycle);
    }
}
END_TEST

START_TEST(values)
{
    struct gc_memstats before, after;
    static void *held[1000];
    for (size_t i = 0; i < 1000; i++)
        held[i] = make_filled(64, i);
    launder(held);
    gc_set_event_handler(note, &the_arg);
    gc_collect();
    gc_read_memstats(&before);
    n_seen = 0;
    gc_collect();
    gc_read_memstats(&after);
    ck_assert_uint_eq(seen[0].value, before.alloc); /* heap bytes in use */
    ck_assert_uint_eq(seen[1].value, 1);            /* threads known: this one */
    ck_assert_uint_eq(seen[2].value, 0);            /* threads stopped */
    ck_assert_uint_ge(seen[3].value, sizeof held);  /* roots scanned */
    ck_assert_uint_ge(seen[4].value, 64000);        /* found live */
    ck_assert_uint_le(seen[4].value, before.alloc);
    ck_assert_uint_eq(seen[5].value, after.pause_ns[(after.num_gc + 255) % 256]);
    ck_assert_uint_eq(seen[6].value, after.alloc); /* heap bytes in use */
}
END_TEST

static sem_t ready, leave;

static void *wait_to_leave(void *unused)
{
    sem_post(&ready);
    while (sem_wait(&leave) != 0)
        ;
    return unused;
}

START_TEST(threads_are_counted)
{
    enum { THREADS = 5 };
    pthread_t t[THREADS];
    sem_init(&ready, 0, 0);
    sem_init(&leave, 0, 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&t[i], NULL, wait_to_leave, NULL), 0);
        while (sem_wait(&ready) != 0)
            ;
    }
    gc_set_event_handler(note, &the_arg);
    gc_collect();
    check_order(seen, 1);
    ck_assert_uint_eq(seen[1].value, THREADS + 1);
    ck_assert_uint_eq(seen[2].value, THREADS);
    for (int i = 0; i < THREADS; i++)
        sem_post(&leave);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}
END_TEST

/* Collections that allocations start go through the same phases, but for the last: they are swept as memory is needed.
 * Between them the heap grows. */
static uint64_t mapped;

static bool is_growth(const struct gc_event *e)
{
    if (e->kind != GC_SPAN_EVENT_HEAP_GROWN)
        return false;
    ck_assert_uint_eq(e->cycle, 0);
    ck_assert_uint_gt(e->value, mapped);
    mapped = e->value;
    return true;
}

START_TEST(automatic)
{
    enum { SWEEP = PHASES - 1 };
    struct gc_memstats st;
    uint32_t cycles = 0;
    size_t phase = SWEEP;
    gc_set_event_handler(note, &the_arg);
    for (int i = 0; i < 400000; i++)
        launder(gc_malloc(64));
    gc_set_event_handler(NULL, NULL);
    ck_assert_uint_lt(n_seen, MOST);
    for (size_t i = 0; i < n_seen; i++) {
        if (is_growth(&seen[i]))
            continue;
        if (phase == SWEEP && seen[i].kind == GC_SPAN_EVENT_CYCLE_START) {
            phase = 0;
            cycles++;
        }
        ck_assert_int_eq(seen[i].kind, phases[phase]);
        ck_assert_uint_eq(seen[i].cycle, cycles);
        phase += phase < SWEEP;
    }
    ck_assert_uint_eq(phase, SWEEP);
    ck_assert_uint_ge(cycles, 3);
    ck_assert_uint_eq(cycles, read_stats(&st)->num_gc);
    ck_assert_uint_eq(mapped, st.heap_sys);
}
END_TEST

START_TEST(scavenged)
{
    gc_free(launder(gc_malloc(8 << 20)));
    gc_set_event_handler(note, &the_arg);
    size_t released = gc_release_memory();
    ck_assert_uint_eq(n_seen, PHASES + 1);
    check_order(seen, 1);
    ck_assert_int_eq(seen[PHASES].kind, GC_SPAN_EVENT_SCAVENGED);
    ck_assert_uint_eq(seen[PHASES].value, released);
    ck_assert_uint_eq(seen[PHASES].cycle, 0);
}
END_TEST

/* Handlers are exchanged while another thread collects: never one with the argument of the other. */
static int arg_a, arg_b;
static _Atomic int wrong_pairs, calls;
static _Atomic bool stop_now;

static void handler_a(const struct gc_event *e, void *arg)
{
    (void)e;
    wrong_pairs += arg != &arg_a;
    calls++;
}

static void handler_b(const struct gc_event *e, void *arg)
{
    (void)e;
    wrong_pairs += arg != &arg_b;
    calls++;
}

static void *collect_for_long(void *unused)
{
    for (int i = 0; i < 300 || calls <= 300; i++)
        gc_collect();
    stop_now = true;
    return unused;
}

START_TEST(pairs)
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, collect_for_long, NULL), 0);
    while (!stop_now) {
        gc_set_event_handler(handler_a, &arg_a);
        gc_set_event_handler(handler_b, &arg_b);
    }
    pthread_join(t, NULL);
    ck_assert_int_eq(wrong_pairs, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, get_and_set);
    tcase_add_test(tc, order);
    tcase_add_test(tc, values);
    tcase_add_test(tc, threads_are_counted);
    tcase_add_test(tc, automatic);
    tcase_add_test(tc, scavenged);
    tcase_add_test(tc, pairs);
}
CHECK_MAIN("api/events", tests)
