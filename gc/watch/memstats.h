/* memstats.h - the library's counters as Go's MemStats. */
#ifndef WATCH_MEMSTATS_H
#define WATCH_MEMSTATS_H

#include <spangc.h>

struct boundary;

/* Fill *st. Stops the world, so that every cache's counts are told first: exact, and all of one moment. The calling
 * thread is known and not in a region. */
void memstats_read(const struct boundary *at, struct gc_memstats *st);

#endif
