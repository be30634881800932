/* chrometrace.h - SPANGC_DEBUG=trace=FILE.json: collections as Chrome trace events, for chrome://tracing and Perfetto. */
#ifndef WATCH_CHROMETRACE_H
#define WATCH_CHROMETRACE_H

#include "cycle/cycle.h"

/* Begin the file, emptied if it was there. False: it cannot be written, and a line says why. */
bool chrometrace_open(const char *path);

/* Write what a collection did; no lock held, the world runs. */
void chrometrace_cycle(const struct cycle_report *r);

/* Write that so much was given back to the system, which took so long up to now. */
void chrometrace_scavenged(uint64_t bytes, uint64_t ns);

/* After fork, in the child: the file is the parent's. */
void chrometrace_fork_child(void);

#endif
