/* ephemerons.h - marking what ephemerons hold. */
#ifndef MARK_EPHEMERONS_H
#define MARK_EPHEMERONS_H

#include "mark/markers.h"

/* Everything is marked that the roots reach without them; the world is stopped. Mark the values of the ephemerons that are
 * marked and whose keys are, and what these lead to, until no such is left. Adds to *n what was marked by it. About
 * `expected` bytes are. */
void ephemerons_mark(struct mark_counts *n, uint64_t expected);

/* Mark the values of those marked, with a marker that is told of what it marks: for markers_drain. */
void ephemerons_look(struct marker *m);

/* Marking is over, that for finalizers too, and the keys that died are cleared: the ephemerons that died let go of theirs. */
void ephemerons_drop_dead(void);

/* For tests: how many ephemerons were looked at by all marks so far. */
uint64_t ephemerons_looked_at(void);

#endif
