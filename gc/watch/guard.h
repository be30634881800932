/* guard.h - SPANGC_DEBUG=check=1: each object is followed by a zone that nobody may write, and what was freed or collected
 * is filled with a pattern and stays out of use until the next collection but one. What changed there is a write past the
 * end, or after the end of the object: found when the object is freed, and in each sweep. */
#ifndef WATCH_GUARD_H
#define WATCH_GUARD_H

#include "watch/buckets.h"

extern bool guard_on; /* written once, at the start */

/* Before the first allocation: every object is sampled from here on. */
void guard_start(void);

/* Bytes to allocate for an object of so many, never more than one page above it. */
enum { GUARD_ZONE = 16 };
static inline size_t guard_size(size_t size) { return unlikely(guard_on) ? size + GUARD_ZONE : size; }

/* A new object, held by the caller, of a sample with its size: its zone begins behind that. */
void guard_arm(const struct mspan *s, size_t i, struct sample *sample);

/* Whether the object in an allocated slot was freed or collected. The span is swept. In a region. */
bool guard_is_dead(const struct mspan *s, size_t i);

/* Bytes that the program asked for, or those of the slot when that is not known. In a region. */
size_t guard_asked(const struct mspan *s, size_t i);

/* gc_free: true when the object was taken into custody, false when it is to be freed now. In a region. */
bool guard_free(struct mspan *s, size_t i);

/* Report what was found, in a region perhaps, and abort; or return at once. In no region, no lock held. */
void guard_tell(void);

/* gc_free of an object that was freed before: report where it was allocated, and abort; returns when not known. */
void guard_freed_twice(const struct mspan *s, size_t i, const void *p);

#endif
