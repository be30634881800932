/* rootcheck.h - what of a range can be read now: it may have been unmapped, or protected. */
#ifndef MARK_ROOTCHECK_H
#define MARK_ROOTCHECK_H

#include "base/attr.h"

/* Forget what the last collection saw. */
void rootcheck_begin(void);

/* Whether all of [lo, hi) can be read, if that is cheap to find out; false when it is not. */
bool rootcheck_whole(uintptr_t lo, uintptr_t hi);

/* Calls fn with each part of [lo, hi) that can be read; returns whether that was all of it. The world is stopped. */
bool rootcheck_each(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

#endif
