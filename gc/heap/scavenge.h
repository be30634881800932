/* scavenge.h - giving the memory of free runs back to the OS. Page heap's lock throughout. */
#ifndef HEAP_SCAVENGE_H
#define HEAP_SCAVENGE_H

#include "heap/mspan.h"

/* Release pages of runs that have been unused since `before` or longer, of the longest runs first, about `most` pages.
 * Returns how many; 0 when there are none, or the OS refuses. */
size_t scavenge_runs(uint64_t before, size_t most);

/* Since when the longest unused page that could be released has been so; UINT64_MAX when there is none. */
uint64_t scavenge_oldest(void);

/* Let the OS take the pages when it needs them (MADV_FREE), instead of at once. */
void scavenge_lazily(bool lazily);

#endif
