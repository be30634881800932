/* inside.h - whether the calling thread is where a signal handler may not enter the library again.
 *
 * Raised around the locks CYCLE and WORLD and around a collection. A region, where the heap locks are held, has a mark
 * of its own (world/region.h). Only handlers on the same thread look: plain stores, kept in order by fences. */
#ifndef BASE_INSIDE_H
#define BASE_INSIDE_H

#include "base/attr.h"

#include <stdatomic.h>

extern _Thread_local _Atomic uint32_t inside_depth INITIAL_EXEC;

static inline void inside_add(uint32_t n)
{
    atomic_signal_fence(memory_order_seq_cst);
    uint32_t depth = atomic_load_explicit(&inside_depth, memory_order_relaxed);
    atomic_store_explicit(&inside_depth, depth + n, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void inside_enter(void) { inside_add(1); }
static inline void inside_leave(void) { inside_add((uint32_t)-1); }
static inline bool inside(void) { return atomic_load_explicit(&inside_depth, memory_order_relaxed) > 0; }

#endif
