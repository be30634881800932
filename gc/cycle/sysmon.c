/* sysmon.c - the background thread: periodic collections and the scavenger.
 * Owns:   one thread, sysmon_state (its futex).
 * Locks:  none of its own; the page heap's by pieces, each in a region.
 * Keeps:  .quiet  with nothing to collect, sweep or release it sleeps without a timeout: an idle process has no wake-ups
 *         .safe   asleep, the thread is in state SAFE: a stop need not wake it
 *         .told   what is noted while it falls asleep is seen a second later                  (sleep_until_called)
 * Below:  cycle, sweeper, pageheap.   Above: api, watch through hooks.   See doc/design/memory.md
 *
 * Go's sysmon wakes up all the time, because it preempts and polls too; this one has two duties, and knows for each when
 * the next will be due. */
#include "cycle/sysmon.h"

#include "cycle/cycle.h"
#include "cycle/sweeper.h"
#include "heap/pageheap.h"
#include "os/os.h"
#include "world/boundary.h"
#include "world/region.h"
#include "world/stop.h"
#include "world/worker.h"

enum {
    LEAST_HEAP = 4 << 20, /* a smaller heap is not worth a thread */
    MOST_SECONDS = 120,   /* between collections, when something was allocated: Go's forcegcperiod */
    PIECE = 4 << 20,      /* released under one lock: about half a millisecond with small pages */
};
static const uint64_t second = 1000000000;

_Atomic uint32_t sysmon_state = SYSMON_AWAKE;
static uint64_t period_ns; /* written once */

static uint64_t collect_after(void) { return least_of(period_ns, MOST_SECONDS * second); }

void sysmon_enable(uint32_t seconds)
{
    period_ns = seconds * second;
    atomic_store_explicit(&sysmon_state, seconds ? SYSMON_NONE : SYSMON_AWAKE, memory_order_relaxed);
}

uint64_t sysmon_release(uint64_t before)
{
    struct mcache *c = mcache_self;
    uint64_t all = 0, n, began = os_now_ns();
    do {
        region_enter(c);
        n = pageheap_scavenge(before, PIECE);
        region_leave(c);
        all += n;
    } while (n > 0);
    if (cycle_hooks.scavenged)
        cycle_hooks.scavenged(all, os_now_ns() - began);
    return all;
}

static uint64_t oldest_unused(void)
{
    struct mcache *c = mcache_self;
    region_enter(c);
    uint64_t since = pageheap_oldest_unused();
    region_leave(c);
    return since;
}

/* When the next pass has something to do, the last one having been at `last`; UINT64_MAX: never, as it looks. */
static uint64_t next_due(uint64_t last)
{
    uint64_t due = UINT64_MAX, collected, oldest = oldest_unused();
    if (cycle_garbage_since(&collected))
        due = greatest_of(collected + collect_after(), last);
    if (oldest != UINT64_MAX)
        due = least_of(due, greatest_of(oldest + period_ns, last + period_ns / 2));
    if (!mcentral_all_swept())
        due = least_of(due, last + collect_after());
    return due;
}

static void nap(struct thread *t, uint32_t state, uint64_t ns)
{
    safe_enter(t);
    os_futex_wait(&sysmon_state, state, ns);
    safe_leave(t);
}

/* Who notes something looks at the state without a fence, and may see the old one: hence the second look. */
static void sleep_until_called(struct thread *t, uint64_t last)
{
    uint32_t asleep = SYSMON_ASLEEP;
    atomic_store_explicit(&sysmon_state, SYSMON_ASLEEP, memory_order_seq_cst);
    nap(t, SYSMON_ASLEEP, second);
    if (next_due(last) != UINT64_MAX)
        atomic_compare_exchange_strong_explicit(&sysmon_state, &asleep, SYSMON_AWAKE, memory_order_relaxed,
                                                memory_order_relaxed);
    while (atomic_load_explicit(&sysmon_state, memory_order_relaxed) == SYSMON_ASLEEP)
        nap(t, SYSMON_ASLEEP, UINT64_MAX);
}

static void sleep_until_due(struct thread *t, uint64_t last)
{
    for (;;) {
        uint64_t due = next_due(last), now = os_now_ns();
        if (due <= now)
            return;
        if (due == UINT64_MAX)
            sleep_until_called(t, last);
        else
            nap(t, SYSMON_AWAKE, due - now);
    }
}

static void *collect(uintptr_t unused, uintptr_t unused_too, struct boundary *at)
{
    (void)unused;
    (void)unused_too;
    cycle_run(at, CYCLE_PERIODIC, true);
    return NULL;
}

static void pass(void)
{
    uint64_t began = os_now_ns(), collected;
    cycle_reread_limit();
    if (cycle_garbage_since(&collected) && began >= collected + collect_after())
        boundary_call(collect, 0, 0);
    sweeper_finish();
    uint64_t now = os_now_ns();
    sysmon_release(now > period_ns ? now - period_ns : 0);
}

static _Noreturn void *sysmon_main(void *unused)
{
    (void)unused;
    struct thread *t = thread_self();
    uint64_t last = os_now_ns();
    for (;;) {
        sleep_until_due(t, last);
        last = os_now_ns();
        pass();
    }
}

void sysmon_call(void)
{
    uint32_t state = atomic_load_explicit(&sysmon_state, memory_order_relaxed);
    if (state == SYSMON_AWAKE || (state == SYSMON_NONE && pageheap_mapped() <= LEAST_HEAP))
        return;
    if (!atomic_compare_exchange_strong_explicit(&sysmon_state, &state, SYSMON_AWAKE, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    if (state == SYSMON_NONE)
        worker_start(sysmon_main, NULL); /* without it memory stays with the process, and nothing else is lost */
    else
        os_futex_wake_all(&sysmon_state);
}

void sysmon_fork_child(void)
{
    atomic_store_explicit(&sysmon_state, period_ns ? SYSMON_NONE : SYSMON_AWAKE, memory_order_relaxed);
}
