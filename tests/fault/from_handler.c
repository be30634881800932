/* from_handler.c - the library called by a signal handler that interrupted it: one line that says so, and the end, in
 * every build. A handler that does not call it does no harm. Holds wrap_signals.inside and lock.inside. */
#include "fault.h"

#include "cycle/cycle.h"
#include "world/region.h"
#include "world/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

static void *object;
static void (*in_handler)(void);
static sigjmp_buf out;

static void call_malloc(void) { launder(gc_malloc(24)); }
static void call_noscan(void) { launder(gc_malloc_noscan(100)); }
static void call_tiny(void) { launder(gc_malloc_noscan(4)); }
static void call_large(void) { launder(gc_malloc(100000)); }
static void call_uncollectable(void) { launder(gc_malloc_uncollectable(24)); }
static void call_free(void) { gc_free(object); }
static void call_realloc(void) { launder(gc_realloc(object, 1000)); }
static void call_collect(void) { gc_collect(); }
static void call_base(void) { launder(gc_base(object)); }
static void call_percent(void) { gc_set_percent(100); }
static void report_no_roots(struct gc_root_report *report, void *arg)
{
    (void)report;
    (void)arg;
}
static void call_callback(void) { gc_add_root_callback(report_no_roots, NULL); }
static void call_reach(void) { gc_is_reachable(object); }
static void call_stats(void)
{
    struct gc_memstats st;
    gc_read_memstats(&st);
}
static void call_fork(void)
{
    if (fork() == 0)
        _exit(0);
}
static void jump(void) { siglongjmp(out, 1); }
static void nothing(void) {}

static const struct {
    void (*call)(void);
    const char *name;
} calls[] = {
    {call_malloc, "gc_malloc"},
    {call_noscan, "gc_malloc_noscan"},
    {call_tiny, "gc_malloc_noscan"},
    {call_large, "gc_malloc"},
    {call_uncollectable, "gc_malloc_uncollectable"},
    {call_free, "gc_free"},
    {call_realloc, "gc_realloc"},
    {call_collect, "gc_collect"},
    {call_base, "gc_base"},
    {call_percent, "gc_set_percent"},
    {call_stats, "gc_read_memstats"},
    {call_callback, "gc_add_root_callback"},
    {call_reach, "gc_is_reachable"},
    {call_fork, "fork"},
};

static void on_signal(int sig)
{
    (void)sig;
    in_handler();
}

static void begin(void (*call)(void))
{
    object = make_filled(40, 1);
    in_handler = call;
    signal(SIGUSR1, on_signal);
}

static void in_region(void *call)
{
    begin(*(void (*const *)(void))call);
    struct mcache *c = mcache_self;
    region_enter(c);
    raise(SIGUSR1);
    region_leave(c);
}

static void in_cycle(void *call)
{
    begin(*(void (*const *)(void))call);
    cycle_lock_acquire();
    raise(SIGUSR1);
    cycle_lock_release();
}

static void in_world(void *call)
{
    begin(*(void (*const *)(void))call);
    lock_acquire(&world_lock);
    raise(SIGUSR1);
    lock_release(&world_lock);
}

static void (*const places[])(void *) = {in_region, in_cycle, in_world};

START_TEST(is_said)
{
    char text[128];
    struct outcome o;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        snprintf(text, sizeof text, "spangc: %s was called by a signal handler that interrupted the library",
                 calls[i].name);
        must_abort_saying(places[_i], (void *)&calls[i].call, text, &o);
        ck_assert_uint_eq(count_lines(o.text), 1);
    }
}
END_TEST

START_TEST(is_harmless)
{
    static void (*const call)(void) = nothing;
    places[_i]((void *)&call);
    ck_assert_ptr_eq(thread_self(), mcache_self);
    check_live(object, 40, 1);
    settle();
    churn(40, 1000);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

/* What it interrupted will never be finished. */
static void jump_out(void *unused)
{
    static void (*const call)(void) = jump;
    (void)unused;
    if (sigsetjmp(out, 1) == 0)
        in_region((void *)&call);
    call_malloc();
}

START_TEST(left_by_a_jump)
{
    struct outcome o;
    must_abort_saying(jump_out, NULL, "gc_malloc was called by a signal handler that interrupted the library", &o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, is_said, 0, 3);
    tcase_add_loop_test(tc, is_harmless, 0, 3);
    tcase_add_test(tc, left_by_a_jump);
}

FAULT_MAIN("fault/from_handler", tests, 0)
