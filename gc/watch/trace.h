/* trace.h - SPANGC_DEBUG=gctrace=1: a line a collection. */
#ifndef WATCH_TRACE_H
#define WATCH_TRACE_H

#include "cycle/cycle.h"

/* Writes the line for one collection; its fields are described in spangc(7). */
void trace_cycle(const struct cycle_report *r);

#endif
