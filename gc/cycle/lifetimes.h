/* lifetimes.h - what happens to those who wait for the end of objects, when a mark has found which ends. */
#ifndef CYCLE_LIFETIMES_H
#define CYCLE_LIFETIMES_H

#include "mark/markers.h"

/* Everything is marked that the roots reach; the world is stopped. Weak references to what is not are cleared; objects
 * with finalizers are kept, with what they refer to, and those that no other leads to are queued. Adds to *n what was
 * marked by it. */
void lifetimes_mark_done(struct mark_counts *n);

/* Queue all that is registered. The world is stopped, with nothing marked. */
void lifetimes_end_all(void);

#endif
