/* trace.h - what happens, as lines of text: SPANGC_DEBUG=gctrace=1, scavtrace=1, footprint=1. No lock held. */
#ifndef WATCH_TRACE_H
#define WATCH_TRACE_H

#include "cycle/cycle.h"

/* A line for a cycle. */
void trace_cycle(const struct cycle_report *r);

/* A line for a look at free memory, of which so much was given back in so many nanoseconds; and the event. */
void trace_scavenged(uint64_t bytes, uint64_t ns);

/* A line when the footprint has crossed a step since the last call. */
extern bool trace_footprint_on; /* written once, at the start */
void trace_footprint_step(void);

static ALWAYS_INLINE void trace_footprint(void)
{
    if (unlikely(trace_footprint_on))
        trace_footprint_step();
}

#endif
