/* heaplive.h - how much of the heap is live or handed out since, and when that is reason to collect. */
#ifndef HEAP_HEAPLIVE_H
#define HEAP_HEAPLIVE_H

#include "base/attr.h"

#include <stdatomic.h>

/* Bytes found live by the last mark plus all handed to mcaches or allocated as large objects since. A span in an
 * mcache counts as used up (Go does the same): what is left comes off when the span leaves. */
extern _Atomic uint64_t heap_live;

/* A collection is due when heap_live reaches this. Written by the pacer, under the cycle lock, and
 * lowered by heap_make_due. */
extern _Atomic uint64_t heap_trigger;

/* The least that heap_trigger may be. Written with it. */
extern _Atomic uint64_t heap_floor;

static inline void heap_live_add(uint64_t n) { atomic_fetch_add_explicit(&heap_live, n, memory_order_relaxed); }
static inline void heap_live_sub(uint64_t n) { atomic_fetch_sub_explicit(&heap_live, n, memory_order_relaxed); }

static inline bool heap_collection_due(void)
{
    return atomic_load_explicit(&heap_live, memory_order_relaxed) >=
           atomic_load_explicit(&heap_trigger, memory_order_relaxed);
}

/* Memory is short: a collection is due as soon as it may be. */
static inline void heap_make_due(void)
{
    uint64_t floor = atomic_load_explicit(&heap_floor, memory_order_relaxed);
    if (atomic_load_explicit(&heap_trigger, memory_order_relaxed) > floor)
        atomic_store_explicit(&heap_trigger, floor, memory_order_relaxed);
}

#endif
