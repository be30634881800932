/* sweep.h - one span's sweep: what was marked is what is allocated.
 *
 * heap_sweepgen rises by 2 at the end of each mark, the world stopped. A span's sweepgen then says, as in Go:
 *   heap_sweepgen - 2   it needs sweeping
 *   heap_sweepgen - 1   somebody is sweeping it
 *   heap_sweepgen       it is swept
 * Go's two further states, of spans that an mcache holds across a cycle, do not exist: every mcache is emptied while
 * the world is stopped. */
#ifndef HEAP_SWEEP_H
#define HEAP_SWEEP_H

#include "heap/mspan.h"

enum { SWEEPGEN_FIRST = 2 }; /* before the first mark */
extern _Atomic uint32_t heap_sweepgen;

static inline uint32_t sweepgen_now(void) { return atomic_load_explicit(&heap_sweepgen, memory_order_acquire); }

static inline bool mspan_is_swept(const struct mspan *s)
{
    return atomic_load_explicit(&s->sweepgen, memory_order_acquire) == sweepgen_now();
}

/* Take an unswept span for sweeping; false when it is swept or somebody else has it. */
bool sweep_claim(struct mspan *s);

/* Sweep a claimed span, in no list: its bitmaps, no object's memory. Returns the objects freed by it; those that
 * gc_free let go are not among them. The caller puts it where it belongs by alloc_count. */
size_t sweep_span(struct mspan *s);

#endif
