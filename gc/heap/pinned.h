/* pinned.h - uncollectable objects: spans of their own, whose objects are all roots. */
#ifndef HEAP_PINNED_H
#define HEAP_PINNED_H

#include "heap/mcache.h"

/* One slot of the class for `size` bytes, not zeroed, *chosen if it is to be sampled; NULL when memory cannot be had. In a
 * region. */
void *pinned_alloc(spanclass spc, size_t size, bool *chosen);

/* Give the shared cache's spans back. The world is stopped. */
void pinned_flush(void);

void pinned_fork_acquire(void);
void pinned_fork_release(void);

#endif
