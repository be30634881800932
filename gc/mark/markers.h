/* markers.h - who marks: the collecting thread, and helpers when there is enough to do for several. */
#ifndef MARK_MARKERS_H
#define MARK_MARKERS_H

#include "mark/scan.h"

/* At most n markers, the collecting thread included. Before the first cycle. */
enum { MARKERS_MAX = 8 };
void markers_init(uint32_t n);
uint32_t markers_wanted(void);

/* Mark all that the root jobs hold, which are built. The world is stopped; `expected` bytes are likely to be live. */
struct mark_counts markers_mark(uint64_t expected);

/* The same for n jobs of another kind: what `mark` marks, and what that leads to. It returns bytes that count as roots'. */
struct mark_counts markers_share(size_t n, uint64_t (*mark)(struct marker *m, size_t i), uint64_t expected);

/* After that: mark what else fn marks, with a marker that is alone; it calls markers_drain to have all marked that is
 * reachable from there, values of ephemerons too. Returns what was marked by it. */
struct mark_counts markers_more(void (*fn)(struct marker *m, void *arg), void *arg);
void markers_drain(struct marker *m);

/* When a helper took part in the last mark, CLOCK_MONOTONIC; returns how many did. Cycle lock. */
struct marker_time {
    int tid;
    uint64_t from, to; /* ns */
};
uint32_t markers_times(struct marker_time out[MARKERS_MAX]);

/* A cycle left `live` bytes: start the helpers if the next one can use them. The world runs; no lock held. */
void markers_prepare(uint64_t live);

/* For tests: helpers take part from so many live bytes a helper on. Returns the old value. */
uint64_t markers_set_least(uint64_t bytes);

/* Sessions that a helper took part in so far. */
uint32_t markers_helped(void);

/* After fork, in the child: there are no helpers. */
void markers_fork_child(void);

#endif
