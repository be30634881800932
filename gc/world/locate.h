/* locate.h - where the stacks are of threads that did not say. */
#ifndef WORLD_LOCATE_H
#define WORLD_LOCATE_H

#include "world/thread.h"

/* Whether the thread's stack is what locate_stacks found: other_lo to other_hi, and what is in memory of stack_lo to
 * stack_hi. */
static inline bool locate_needed(const struct thread *t) { return t->found || t->held; }

/* For all of them. The world is stopped. False: of one it cannot be told. */
bool locate_stacks(void);

#endif
