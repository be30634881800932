/* mprof.h - the heap profile: what becomes of an allocation that the sampler chose. Go's name for it. */
#ifndef WATCH_MPROF_H
#define WATCH_MPROF_H

#include "watch/buckets.h"

struct thread;

/* Note the new object at p of `size` bytes, which is fresh (mcache.h) until this is done, with the stack that it was allocated on; `caller` is the return
 * address of the library's outermost frame. For the calling thread, in no region, no lock held. */
void mprof_alloc(struct thread *t, const void *p, size_t size, uintptr_t caller);

/* Find out where the library's own code is. Once, before the first. */
void mprof_init(void);

#endif
