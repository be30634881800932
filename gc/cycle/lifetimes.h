/* lifetimes.h - what happens to those who wait for the end of objects, when a mark has found which ends. */
#ifndef CYCLE_LIFETIMES_H
#define CYCLE_LIFETIMES_H

#include "mark/markers.h"

/* Everything is marked that the roots reach; the world is stopped. Weak references to what is not are cleared. Adds to
 * *n what was marked by it. */
void lifetimes_mark_done(struct mark_counts *n);

#endif
