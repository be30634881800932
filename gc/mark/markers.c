/* markers.c - sharing a mark out.
 * Owns:   the helper threads, the next root job to be done.
 * Locks:  none of its own; the collecting thread holds CYCLE and WORLD throughout.
 * Keeps:  .asleep   a helper sleeps but during a mark, and then waits asleep when there is nothing to do
 *         .late     nobody waits for a helper that has not come yet: on a busy machine the others do its part
 *         .safe     a helper is in state SAFE all its life: no stop waits for it, and it allocates nothing
 * Below:  rootjobs, scan, workpool, worker.   Above: cycle.   See doc/design/marking.md */
#include "mark/markers.h"

#include "base/check.h"
#include "heap/ephemeron.h"
#include "heap/persistentalloc.h"
#include "mark/ephemerons.h"
#include "mark/rootjobs.h"
#include "os/os.h"
#include "os/os_memtool.h"
#include "world/region.h"
#include "world/roots.h"
#include "world/stop.h"
#include "world/worker.h"

enum { LEAST = 4 << 20 }; /* live bytes a helper: marking fewer takes about as long as waking it up */

/* The collecting thread's; cycle lock. Not on its stack: where it collects on an alternate stack that lies within its
 * own, all of the own one is scanned. */
static struct marker leader;
static uint32_t wanted = 1; /* markers; written once */
static uint64_t least = LEAST;
static _Atomic bool started;
static _Atomic size_t next_job;

/* What is shared out. The collecting thread's, while no session is on: helpers read it from when they joined one. */
static size_t n_jobs;
static uint64_t (*mark_job)(struct marker *m, size_t i);

static _Atomic uint32_t calls; /* futex: rises with each mark that wants helpers */
static _Atomic uint32_t helped;

/* A helper's place is its own from the moment it joins a mark until that is closed, under the work pool's lock. */
static struct marker_time times[MARKERS_MAX];
static _Atomic uint32_t n_times;

/* The words in flight would be found as roots. */
void markers_init(uint32_t n)
{
    roots_add(ROOTS_EXCLUDED, (uintptr_t)&leader, (uintptr_t)(&leader + 1));
    wanted = n < MARKERS_MAX ? n : MARKERS_MAX;
    workbuf_reserve();
}

uint32_t markers_wanted(void) { return wanted; }

/* Jobs, while there are some, then what others have to give. A helper's CPU time is told with the counts; `helper` is its
 * place in the times, or NULL. */
static void take_part(struct marker *m, uint32_t session, struct marker_time *helper)
{
    size_t i;
    uint64_t cpu = helper ? os_thread_cpu_ns() : 0;
    struct workbuf *b = NULL;
    while ((i = atomic_fetch_add_explicit(&next_job, 1, memory_order_relaxed)) < n_jobs) {
        m->counts.root_bytes += mark_job(m, i);
        mark_drain(m);
    }
    do {
        if (b) {
            workstack_add(&m->stack, b);
            mark_drain(m);
        }
        workstack_finish(&m->stack);
        if (helper) {
            uint64_t now = os_thread_cpu_ns();
            m->counts.cpu_ns += now - cpu;
            cpu = now;
            helper->to = os_now_ns();
        }
    } while ((b = workpool_take(session, &m->counts)));
}

static _Noreturn void *helper_main(void *arg)
{
    struct marker *m = arg;
    uint32_t seen = 0, session;
    safe_enter(thread_self());
    os_memtool_quiet(true);
    for (;;) {
        while (atomic_load_explicit(&calls, memory_order_acquire) == seen)
            os_futex_wait(&calls, seen, UINT64_MAX);
        seen = atomic_load_explicit(&calls, memory_order_acquire);
        if (!workpool_join(&session))
            continue;
        atomic_fetch_add_explicit(&helped, 1, memory_order_relaxed);
        marker_init(m, true);
        struct marker_time *mine = &times[atomic_fetch_add_explicit(&n_times, 1, memory_order_relaxed) % MARKERS_MAX];
        *mine = (struct marker_time){.tid = os_tid(), .from = os_now_ns()};
        take_part(m, session, mine);
    }
}

static struct mark_counts mark_alone(struct marker *m)
{
    marker_init(m, false);
    for (size_t i = 0; i < n_jobs; i++) {
        m->counts.root_bytes += mark_job(m, i);
        mark_drain(m);
    }
    workstack_finish(&m->stack);
    return m->counts;
}

static struct mark_counts mark_together(struct marker *m, uint32_t helpers)
{
    marker_init(m, true);
    atomic_store_explicit(&next_job, 0, memory_order_relaxed);
    uint32_t session = workpool_open();
    atomic_fetch_add_explicit(&calls, 1, memory_order_release);
    os_futex_wake(&calls, helpers);
    take_part(m, session, NULL);
    return workpool_close();
}

uint32_t markers_times(struct marker_time out[MARKERS_MAX])
{
    uint32_t n = atomic_load_explicit(&n_times, memory_order_relaxed);
    n = n < MARKERS_MAX ? n : MARKERS_MAX;
    for (uint32_t i = 0; i < n; i++)
        out[i] = times[i];
    return n;
}

struct mark_counts markers_share(size_t n, uint64_t (*mark)(struct marker *m, size_t i), uint64_t expected)
{
    n_jobs = n;
    mark_job = mark;
    uint64_t most = atomic_load_explicit(&started, memory_order_acquire) ? wanted - 1 : 0;
    uint64_t helpers = least && expected / least < most ? expected / least : most;
    struct mark_counts all = helpers > 0 ? mark_together(&leader, (uint32_t)helpers) : mark_alone(&leader);
    if (all.overflowed) {
        marker_init(&leader, false);
        mark_rescan(&leader);
        workstack_finish(&leader.stack);
        mark_counts_add(&all, leader.counts);
    }
    return all;
}

struct mark_counts markers_mark(uint64_t expected)
{
    atomic_store_explicit(&n_times, 0, memory_order_relaxed);
    return markers_share(rootjobs_count(), rootjobs_mark, expected);
}

/* What was dropped may have been a value: the word of an ephemeron is found by looking at all of them again. */
void markers_drain(struct marker *m)
{
    mark_drain(m);
    while (m->counts.overflowed) {
        mark_rescan(m);
        m->counts.overflowed = false;
        if (m->watched) {
            ephemerons_look(m);
            mark_drain(m);
        }
    }
}

struct mark_counts markers_more(void (*fn)(struct marker *m, void *arg), void *arg)
{
    marker_init(&leader, false);
    leader.watched = ephemerons_count() > 0;
    fn(&leader, arg);
    markers_drain(&leader);
    workstack_finish(&leader.stack);
    workstack_finish(&leader.values);
    return leader.counts;
}

/* Not in static memory, which is scanned: the words in flight would be found as roots. */
static struct marker *new_marker(void)
{
    struct mcache *c = mcache_self;
    region_enter(c);
    struct marker *m = persistentalloc(sizeof *m, 64, SYS_GC);
    region_leave(c);
    return m;
}

void markers_prepare(uint64_t live)
{
    if (wanted < 2 || live < least || atomic_load_explicit(&started, memory_order_relaxed))
        return;
    if (atomic_exchange_explicit(&started, true, memory_order_acq_rel))
        return;
    for (uint32_t i = 1; i < wanted; i++) {
        struct marker *m = new_marker();
        if (!m || !worker_start(helper_main, m))
            break; /* with fewer nothing is lost but time */
    }
}

uint64_t markers_set_least(uint64_t bytes)
{
    uint64_t old = least;
    least = bytes;
    return old;
}

uint32_t markers_helped(void) { return atomic_load_explicit(&helped, memory_order_relaxed); }

void markers_fork_child(void)
{
    atomic_store_explicit(&started, false, memory_order_relaxed);
    workpool_fork_child();
    workbuf_fork_child();
}
