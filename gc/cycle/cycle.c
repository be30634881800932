/* cycle.c - the phases of a collection, in order.
 * Owns:   the settings, the totals, heap_trigger.
 * Locks:  CYCLE from the test of the trigger to the end; WORLD while stopped (stop.c).
 * Keeps:  .swept    marking starts with every span swept: alloc_bits are the truth             (mark_world)
 *         .flushed  and every mcache empty: a claimed slot is an object                        (mark_world)
 *         .still    the list of images does not change from its reading to the restart         (os_with_images_still)
 *         .quiet    between stop and restart nothing here allocates with malloc or uses stdio
 * Below:  mark, world, sweeper, pacer.   Above: api, watch.   See doc/design/collection.md */
#include "cycle/cycle.h"

#include "base/check.h"
#include "base/inside.h"
#include "cycle/endnotes.h"
#include "cycle/finalizers.h"
#include "cycle/forkgate.h"
#include "cycle/lifetimes.h"
#include "cycle/pacer.h"
#include "cycle/sweeper.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "heap/pagemark.h"
#include "heap/pinned.h"
#include "heap/sysmem.h"
#include "mark/checkmark.h"
#include "mark/ephemerons.h"
#include "mark/markers.h"
#include "mark/rootjobs.h"
#include "os/os.h"
#include "os/os_memtool.h"
#include "world/mask.h"
#include "world/stop.h"

struct cycle_settings {
    int percent;
    uint64_t limit;
    bool limit_auto; /* the limit is the control group's */
    uint64_t stop_wait_ns;
};

static struct lock cycle_lock = LOCK_INIT(RANK_CYCLE);
static struct cycle_settings settings = {.percent = 100, .limit = OPTIONS_LIMIT_NONE};
static struct cycle_totals totals;
static struct pacer_input last; /* what the last mark found; overhead: only what spans wasted before it. Cycle lock */
static uint64_t cpu_seen;       /* of the process, when the last cycle ended; cycle lock */
static uint64_t limit_read_ns;  /* when the control group's was read; cycle lock */
static _Atomic uint64_t live_found;                                      /* heap_live when the last cycle ended */
static _Atomic uint64_t last_ns;                                         /* when the last cycle ended */
static uint32_t cpus;                                                    /* written once */
static bool given_up;                                                    /* the last stop was; cycle lock */
static _Atomic bool told_failed, told_lost, told_unreadable, told_blind; /* the program was warned once */

enum { LITTLE_OVER = 1 << 20 };

struct cycle_hooks cycle_hooks;

static void event(enum gc_event_kind kind, const struct cycle_report *r, uint64_t value)
{
    if (cycle_hooks.event && r->number)
        cycle_hooks.event(kind, r->number, value);
}

/* What the library holds beside the heap: the limit leaves the heap the rest. Free pages of the heap are no overhead:
 * the heap grows into them before it takes others. */
static uint64_t overhead(void)
{
    struct pageheap_stats st;
    pageheap_read_stats(&st);
    return sysmem_total() - st.mapped;
}

static void pace(void)
{
    struct pacer_input in = last;
    in.overhead += overhead();
    in.limit = settings.limit;
    in.percent = settings.percent;
    atomic_store_explicit(&heap_floor, pacer_floor(&in), memory_order_relaxed);
    atomic_store_explicit(&heap_trigger, pacer_goal(&in), memory_order_relaxed);
}

static void set_limit(uint64_t limit)
{
    settings.limit = limit;
    pageheap_set_limit(limit);
}

/* Nine tenths of what the control group allows: the program needs some beside the heap. It may change at any time. */
static void read_group_limit(void)
{
    uint64_t group = os_cgroup_memory_limit();
    limit_read_ns = os_now_ns();
    set_limit(group == UINT64_MAX ? OPTIONS_LIMIT_NONE : group / 10 * 9);
}

/* Reading takes tens of microseconds, which is nothing ten times a second. */
static void follow_group_limit(bool at_once)
{
    enum { INTERVAL_NS = 100 * 1000 * 1000 };
    if (settings.limit_auto && (at_once || os_now_ns() - limit_read_ns >= INTERVAL_NS))
        read_group_limit();
}

void cycle_init(const struct options *o, uint32_t ncpus)
{
    settings.percent = o->percent;
    settings.limit_auto = o->mem_limit == OPTIONS_LIMIT_AUTO;
    if (settings.limit_auto)
        read_group_limit();
    else
        set_limit(o->mem_limit);
    settings.stop_wait_ns = (uint64_t)o->stopwait * 1000000;
    totals.start_ns = os_now_ns();
    atomic_store_explicit(&last_ns, totals.start_ns, memory_order_relaxed);
    cpus = ncpus;
    rootjobs_reserve();
    markers_init(o->markers > 0 ? (uint32_t)o->markers : cpus);
    pace();
}

/* A question (cycle 0) changes nothing. */
static void mark_roots_and_heap(struct cycle_report *r)
{
    bool notes = endnotes_on() && r->number;
    rootjobs_put_off_endcalls(notes);
    struct mark_counts n = markers_mark(last.live);
    ephemerons_mark(&n, last.live);
    if (notes)
        endnotes_mark_arguments(&n);
    if (r->number)
        lifetimes_mark_done(&n);
    r->roots_scanned = n.root_bytes;
    r->live = n.marked_bytes;
    r->objects_scanned = n.scanned_bytes;
    r->unread = n.unread_bytes;
    r->cpu = n.cpu_ns;
    event(GC_SPAN_EVENT_ROOTS_DONE, r, r->roots_scanned);
    event(GC_SPAN_EVENT_MARK_DONE, r, r->live);
}

static void check_span(struct mspan *s, void *unused)
{
    (void)unused;
    if (mspan_state_of(s) == MSPAN_INUSE) {
        mspan_check(s);
        CHECK_ALWAYS(mspan_is_swept(s), "cycle.swept");
        pagemark_check(s);
        CHECK_ALWAYS(bits_count(s->gcmark_bits, mspan_words(s)) == 0, "mspan.marked");
    }
}

static void check_heap(void)
{
    pageheap_check();
    pageheap_each(check_span, NULL);
}

/* Told once: where memory has run out there is one collection after the other. */
static void verify_mark(void)
{
    static bool was_told;
    bool skipped;
    checkmark_run(&skipped);
    if (skipped && !was_told)
        report_line("the verifying second mark was left out: memory for it was refused");
    was_told |= skipped;
}

/* Threads of the program that can run at once: not one that waits to call finalizers. The world is stopped. */
static uint32_t running_threads(void)
{
    uint32_t n = 0;
    for (const struct thread *t = thread_list; t && n < cpus; t = t->next)
        n += !t->internal && atomic_load_explicit(&t->state, memory_order_relaxed) != THREAD_SAFE;
    return n;
}

static void begin_mark(struct mspan *s, void *unused)
{
    (void)unused;
    if (mspan_state_of(s) == MSPAN_INUSE)
        mspan_begin_mark(s);
}

/* The world is stopped. False when memory for the list of roots is not to be had. */
static bool prepare(bool stacks)
{
    CHECK(mcentral_all_swept(), "cycle.swept");
    thread_flush_all();
    pinned_flush();
    if (GC_CHECKS >= 2)
        check_heap();
    return rootjobs_build(stacks);
}

/* The world is stopped. False: nothing is changed. */
static bool mark_all(bool stacks, struct cycle_report *r)
{
    if (!prepare(stacks))
        return false;
    pageheap_each(begin_mark, NULL);
    mark_roots_and_heap(r);
    if (GC_CHECKS >= 2)
        verify_mark();
    return true;
}

static bool mark_world(bool stacks, struct cycle_report *r)
{
    if (!mark_all(stacks, r))
        return false;
    r->nhelpers = markers_times(r->helpers);
    r->goal_before = atomic_load_explicit(&heap_trigger, memory_order_relaxed);
    mcentral_begin_sweep();
    last.allocated = r->before > last.live ? r->before - last.live : 0;
    last.fresh = r->live > last.live ? r->live - last.live : 0;
    last.live = r->live;
    last.unread = r->unread;
    last.roots = r->roots_scanned;
    last.threads = running_threads();
    atomic_store_explicit(&heap_live, r->live, memory_order_relaxed);
    atomic_store_explicit(&live_found, r->live, memory_order_relaxed);
    pace();
    r->goal = atomic_load_explicit(&heap_trigger, memory_order_relaxed);
    return true;
}

/* Not again before the heap has doubled: a thread that does not stop is rarely about to. */
static void put_off(void)
{
    uint64_t live = atomic_load_explicit(&heap_live, memory_order_relaxed);
    uint64_t more = live > PACER_MINIMUM ? live : PACER_MINIMUM;
    atomic_store_explicit(&heap_floor, live + more, memory_order_relaxed);
    atomic_store_explicit(&heap_trigger, live + more, memory_order_relaxed);
}

/* One full wait is enough to learn that a thread keeps the signal blocked. After it, until a stop succeeds, each is
 * short: the program waits along. */
static uint64_t stop_wait_ns(void) { return given_up ? settings.stop_wait_ns / 100 : settings.stop_wait_ns; }

static void warn_once(_Atomic bool *told, const char *what, const char *then)
{
    if (!atomic_exchange_explicit(told, true, memory_order_relaxed))
        report_warn("%s; %s", what, then);
}

static void count_pause(const struct cycle_report *r)
{
    uint64_t i = totals.cycles % 256;
    totals.last_end = os_wall_ns();
    totals.pauses[i] = r->pause;
    totals.pause_ends[i] = totals.last_end;
    totals.pause_ns += r->pause;
    totals.cycles++;
    totals.forced += r->forced;
}

struct run {
    const struct boundary *at;
    enum cycle_reason reason;
    bool stacks, done;
    bool asks; /* the mark answers a question; nothing is swept */
    struct word asked;
    enum cycle_answer answer;
    void (*look)(void *arg); /* the run asks, and this is the question; nothing is marked */
    void *look_arg;
    bool lost_stacks, blind;
    struct os_range unreadable;
    const char *failed;
    struct cycle_report report;
};

static void forget_marks(struct mspan *s, void *unused)
{
    (void)unused;
    if (mspan_state_of(s) == MSPAN_INUSE)
        mspan_forget_marks(s);
}

/* Mark, look, and leave the heap as it was: every span stays swept. */
static bool mark_to_answer(struct run *run)
{
    struct ref r;
    if (!mark_all(run->stacks, &run->report))
        return false;
    if (!find_object(run->asked, &r))
        run->answer = CYCLE_NO_OBJECT;
    else
        run->answer = bits_test(r.span->gcmark_bits, r.index) ? CYCLE_REACHED : CYCLE_NOT_REACHED;
    pageheap_each(forget_marks, NULL);
    return true;
}

static bool look(const struct run *run)
{
    if (!prepare(run->stacks))
        return false;
    run->look(run->look_arg);
    return true;
}

static bool work_stopped(struct run *run)
{
    if (run->look)
        return look(run);
    return run->asks ? mark_to_answer(run) : mark_world(run->stacks, &run->report);
}

/* All signals are blocked, so that no handler of the program runs on the collecting thread. */
static void collect_stopped(struct run *run)
{
    struct cycle_report *r = &run->report;
    event(GC_SPAN_EVENT_STOP_REQUEST, r, atomic_load_explicit(&thread_count, memory_order_relaxed));
    uint64_t t0 = os_now_ns();
    struct stop_result stop = world_stop(run->at, stop_wait_ns());
    if (!stop.stopped) {
        given_up = true;
        run->failed = stop.why;
        return;
    }
    given_up = false;
    run->blind = stop.blind;
    uint64_t t1 = os_now_ns();
    r->threads = stop.threads + 1;
    event(GC_SPAN_EVENT_STOPPED, r, stop.threads);
    os_memtool_quiet(true);
    run->done = work_stopped(run);
    os_memtool_quiet(false);
    run->lost_stacks = rootjobs_lost_stacks() > 0;
    run->unreadable = rootjobs_unreadable();
    uint64_t t2 = os_now_ns();
    world_start();
    sysmem_free_retired();
    uint64_t t3 = os_now_ns();
    r->stop_start = t0 - totals.start_ns;
    r->stop = t1 - t0;
    r->mark = t2 - t1;
    r->restart = t3 - t2;
    r->pause = t3 - t0;
    if (!run->done)
        run->failed = "no memory for the list of roots";
    else
        event(GC_SPAN_EVENT_RESTARTED, r, r->pause);
}

/* Bytes of spans in use that are no object's. The world runs; everything is swept. */
static uint64_t wasted(uint64_t live)
{
    struct pageheap_stats st;
    pageheap_read_stats(&st);
    return st.inuse > live ? st.inuse - live : 0;
}

/* A question is no cycle, and changes no goal. */
static void count_cycle(struct run *run)
{
    struct cycle_report *r = &run->report;
    if (run->done)
        count_pause(r);
    r->footprint = pageheap_footprint();
    last.gc_cpu = r->cpu;
    cpu_seen = os_process_cpu_ns();
    atomic_store_explicit(&last_ns, os_now_ns(), memory_order_relaxed);
}

static void collect_locked(struct run *run)
{
    sigset_t old;
    struct cycle_report *r = &run->report;
    uint64_t cpu = os_thread_cpu_ns(), program_cpu = os_process_cpu_ns() - cpu_seen;
    r->start = os_now_ns() - totals.start_ns;
    r->before = atomic_load_explicit(&heap_live, memory_order_relaxed);
    r->number = run->asks ? 0 : (uint32_t)totals.cycles + 1;
    r->forced = run->reason == CYCLE_FORCED;
    event(GC_SPAN_EVENT_CYCLE_START, r, r->before);
    follow_group_limit(run->reason != CYCLE_DUE);
    sweeper_finish();
    if (!run->asks) {
        last.overhead = wasted(r->before);
        last.program_cpu = program_cpu;
    }
    mask_block(&old);
    collect_stopped(run);
    mask_restore(&old);
    r->cpu += os_thread_cpu_ns() - cpu;
    totals.cpu_ns += r->cpu;
    if (!run->asks)
        count_cycle(run);
}

static void run_with_images_still(void *arg)
{
    struct run *run = arg;
    lock_acquire(&cycle_lock);
    if (run->reason != CYCLE_DUE || heap_collection_due())
        collect_locked(run);
    if (run->failed)
        put_off();
    lock_release(&cycle_lock);
}

static _Atomic bool due_taken; /* a thread is on its way to the collection that is due */

/* One thread is enough for a collection that is due. The others allocate on, a little over the goal: they would only
 * sleep until it is over, and a thread that allocates stops at once. */
static bool leave_to_another(void)
{
    uint64_t trigger = atomic_load_explicit(&heap_trigger, memory_order_relaxed);
    bool far_over = atomic_load_explicit(&heap_live, memory_order_relaxed) > trigger + LITTLE_OVER;
    return atomic_exchange_explicit(&due_taken, true, memory_order_relaxed) && !far_over;
}

/* A handler that enters the library from here on would wait for what this thread holds: also for the dynamic linker's
 * lock, which is not recursive while it is being taken. */
static void run_still(struct run *run)
{
    inside_enter();
    forkgate_enter();
    os_with_images_still(run_with_images_still, run);
    forkgate_leave();
    inside_leave();
    if (run->reason == CYCLE_DUE)
        atomic_store_explicit(&due_taken, false, memory_order_relaxed);
}

static void warn_unreadable(struct os_range r)
{
    if (r.hi > 0 && !atomic_exchange_explicit(&told_unreadable, true, memory_order_relaxed))
        report_warn("the registered roots from %#lx to %#lx cannot all be read (unmapped or protected without "
                    "gc_remove_roots?); what can be is scanned",
                    (unsigned long)r.lo, (unsigned long)r.hi);
}

/* What the program is told of a run, no lock held. */
static void tell(const struct run *run)
{
    if (run->failed)
        warn_once(&told_failed, run->failed,
                  "a collection was given up, and memory is not reclaimed until one succeeds");
    if (run->lost_stacks)
        warn_once(&told_lost, "a stack pointer lay on no known stack of its thread", "all of its stack was scanned");
    if (run->blind)
        warn_once(&told_blind, "/proc cannot be read",
                  "threads that did not make themselves known, if there are any, are not stopped and not scanned");
    warn_unreadable(run->unreadable);
}

enum cycle_answer cycle_ask(const struct boundary *at, struct word asked, bool stacks)
{
    struct run run = {.at = at, .reason = CYCLE_FORCED, .stacks = stacks, .asks = true, .asked = asked};
    run_still(&run);
    tell(&run);
    return run.answer;
}

bool cycle_look(const struct boundary *at, void (*fn)(void *arg), void *arg)
{
    struct run run = {.at = at, .reason = CYCLE_FORCED, .stacks = true, .asks = true, .look = fn, .look_arg = arg};
    run_still(&run);
    tell(&run);
    return run.done;
}

bool cycle_run(const struct boundary *at, enum cycle_reason reason, bool stacks)
{
    struct run run = {.at = at, .reason = reason, .stacks = stacks};
    if (reason == CYCLE_DUE && leave_to_another())
        return false;
    run_still(&run);
    tell(&run);
    if (!run.done)
        return false;
    if (reason != CYCLE_DUE)
        sweeper_finish();
    else
        sweeper_wake(run.report.live);
    if (reason != CYCLE_DUE)
        event(GC_SPAN_EVENT_SWEEP_DONE, &run.report, atomic_load_explicit(&heap_live, memory_order_relaxed));
    markers_prepare(run.report.live);
    if (cycle_hooks.done)
        cycle_hooks.done(&run.report);
    finalizers_note(false);
    return true;
}

int cycle_set_percent(int percent)
{
    lock_acquire(&cycle_lock);
    int old = settings.percent;
    settings.percent = percent;
    pace();
    lock_release(&cycle_lock);
    return old;
}

uint64_t cycle_set_limit(uint64_t limit)
{
    lock_acquire(&cycle_lock);
    uint64_t old = settings.limit;
    settings.limit_auto = false;
    set_limit(limit);
    pace();
    lock_release(&cycle_lock);
    return old;
}

void cycle_reread_limit(void)
{
    lock_acquire(&cycle_lock);
    uint64_t old = settings.limit;
    follow_group_limit(true);
    if (settings.limit != old)
        pace();
    lock_release(&cycle_lock);
}

bool cycle_garbage_since(uint64_t *ns)
{
    *ns = atomic_load_explicit(&last_ns, memory_order_relaxed);
    return atomic_load_explicit(&heap_live, memory_order_relaxed) !=
               atomic_load_explicit(&live_found, memory_order_relaxed) &&
           (!cycle_hooks.enabled || cycle_hooks.enabled());
}

int cycle_percent(void)
{
    lock_acquire(&cycle_lock);
    int percent = settings.percent;
    lock_release(&cycle_lock);
    return percent;
}

uint64_t cycle_limit(void)
{
    lock_acquire(&cycle_lock);
    uint64_t limit = settings.limit;
    lock_release(&cycle_lock);
    return limit;
}

void cycle_fork_acquire(void)
{
    forkgate_close(settings.stop_wait_ns);
    lock_acquire(&cycle_lock);
}

void cycle_fork_release(void)
{
    lock_release(&cycle_lock);
    forkgate_open();
}

void cycle_fork_child(void)
{
    forkgate_fork_child();
    atomic_store_explicit(&due_taken, false, memory_order_relaxed);
    lock_release(&cycle_lock);
}

/* A sweep that another thread had begun ends before that thread stops. */
void cycle_lock_swept(const struct boundary *at)
{
    sigset_t old;
    lock_acquire(&cycle_lock);
    sweeper_finish();
    mask_block(&old);
    if (world_stop(at, settings.stop_wait_ns).stopped) {
        thread_flush_all();
        pinned_flush();
        world_start();
    }
    mask_restore(&old);
}

void cycle_lock_acquire(void) { lock_acquire(&cycle_lock); }
void cycle_lock_release(void) { lock_release(&cycle_lock); }
const struct cycle_totals *cycle_totals(void) { return &totals; }
uint64_t cycle_stop_wait_ns(void) { return settings.stop_wait_ns; }
