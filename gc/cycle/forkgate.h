/* forkgate.h - forks and readings of the list of loaded images keep out of each other's way. */
#ifndef CYCLE_FORKGATE_H
#define CYCLE_FORKGATE_H

#include "base/attr.h"

/* Around os_with_images_still. Entering waits while a thread forks. No lock held. */
void forkgate_enter(void);
void forkgate_leave(void);

/* Around fork: waits until nobody is inside, at most wait_ns. Several threads may fork at once. */
void forkgate_close(uint64_t wait_ns);
void forkgate_open(void);

/* After fork, in the child: nobody is inside and nobody forks. */
void forkgate_fork_child(void);

#endif
