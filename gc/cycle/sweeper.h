/* sweeper.h - sweeping what nobody asked for yet. */
#ifndef CYCLE_SWEEPER_H
#define CYCLE_SWEEPER_H

#include "base/attr.h"

/* Let the background thread be started when there is reason to. */
void sweeper_enable(bool on);
bool sweeper_enabled(void);

/* A mark ended and left `live` bytes: wake the background thread if the heap is large enough for it to pay, starting it
 * the first time. No lock held, not in a region. */
void sweeper_wake(uint64_t live);

/* Sweep all that is left in the calling thread, which is known. What others have claimed is swept when they next can be
 * stopped. */
void sweeper_finish(void);

void sweeper_fork_child(void);

#endif
