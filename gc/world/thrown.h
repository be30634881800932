/* thrown.h - C++ exceptions that are thrown or kept: their objects lie in malloc memory, and are roots. */
#ifndef WORLD_THROWN_H
#define WORLD_THROWN_H

#include "base/attr.h"

/* Both in a region. False when there is no memory to note it. Removing what is not there does nothing. */
bool thrown_add(uintptr_t lo, uintptr_t hi);
void thrown_remove(uintptr_t lo);

/* The world is stopped. */
void thrown_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

void thrown_fork_acquire(void);
void thrown_fork_release(void);

#endif
