/* region.h - stretches of code in which a thread may not be stopped, because the heap is half changed.
 *
 * A region covers the choice of a slot and the heap's locks, and nothing that waits for a collection. The stop signal
 * that arrives inside is noted, and the thread parks as it leaves. Entering and leaving are plain stores: only a signal
 * handler on the same thread looks. A stopper may also raise `stop_pending` itself, without a signal, and does not look
 * whether the thread is inside. Regions do not nest. */
#ifndef WORLD_REGION_H
#define WORLD_REGION_H

#include "base/check.h"
#include "heap/mcache.h"

/* Park until the world is restarted: a stop came while the thread was in a region. Keeps `p` alive, returns it. */
void *region_park(void *p);

static ALWAYS_INLINE void region_enter(struct mcache *c)
{
    CHECK(atomic_load_explicit(&c->busy, memory_order_relaxed) == 0 || mcache_is_shared(c), "region.nest");
    atomic_store_explicit(&c->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Returns whether the thread must call region_park now. */
static ALWAYS_INLINE bool region_leave_quick(struct mcache *c)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&c->busy, 0, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return unlikely(atomic_load_explicit(&c->stop_pending, memory_order_relaxed) != 0);
}

static inline void region_leave(struct mcache *c)
{
    if (region_leave_quick(c))
        region_park(NULL);
}

/* Park if a stop came in the last region, which was left with region_leave_quick. */
static inline void region_answer(struct mcache *c)
{
    if (unlikely(atomic_load_explicit(&c->stop_pending, memory_order_relaxed) != 0))
        region_park(NULL);
}

#endif
