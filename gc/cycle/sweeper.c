/* sweeper.c - the background sweeper.
 * Owns:   one thread, asleep unless a mark just ended.
 * Locks:  none of its own; each span is swept in a region.
 * Keeps:  .safe  asleep, the thread is in state SAFE: a stop need not wake it
 * Below:  mcentral, thread, stop.   Above: cycle.
 *
 * Below SWEEPER_LEAST live bytes the allocating threads sweep faster by themselves than another thread wakes up. */
#include "cycle/sweeper.h"

#include "base/check.h"
#include "cycle/sysmon.h"
#include "os/os.h"
#include "world/region.h"
#include "world/stop.h"
#include "world/worker.h"

enum { SWEEPER_LEAST = 8 << 20, SWEEPER_BATCH = 16 };

static bool enabled;
static _Atomic bool started;
static _Atomic uint32_t work; /* futex: rises with each mark that gives work */

void sweeper_enable(bool on) { enabled = on; }
bool sweeper_enabled(void) { return enabled; }

static bool sweep_some(struct mcache *c, int n)
{
    size_t pages = 0;
    bool more = true;
    region_enter(c);
    while (more && n-- > 0)
        more = mcentral_sweep_one(&pages);
    region_leave(c);
    return more;
}

static _Noreturn void *sweeper_main(void *unused)
{
    (void)unused;
    struct thread *t = thread_self();
    uint32_t seen = 0;
    for (;;) {
        safe_enter(t);
        while (atomic_load_explicit(&work, memory_order_acquire) == seen)
            os_futex_wait(&work, seen, UINT64_MAX);
        safe_leave(t);
        seen = atomic_load_explicit(&work, memory_order_acquire);
        while (sweep_some(&t->mcache, SWEEPER_BATCH))
            ;
        sysmon_note();
    }
}

void sweeper_wake(uint64_t live)
{
    if (!enabled || live < SWEEPER_LEAST)
        return;
    if (!atomic_exchange_explicit(&started, true, memory_order_acq_rel) && !worker_start(sweeper_main, NULL)) {
        enabled = false; /* without the thread spans are swept when they are needed: nothing is lost but time */
        return;
    }
    atomic_fetch_add_explicit(&work, 1, memory_order_release);
    os_futex_wake_all(&work);
}

void sweeper_finish(void)
{
    struct mcache *c = mcache_self;
    while (sweep_some(c, SWEEPER_BATCH))
        ;
}

void sweeper_fork_child(void) { atomic_store_explicit(&started, false, memory_order_relaxed); }
