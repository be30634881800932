/* typedcache.h - slots for objects of layouts: from the calling thread's lines, or one at a time from what all share. */
#ifndef HEAP_TYPEDCACHE_H
#define HEAP_TYPEDCACHE_H

#include "heap/typed.h"
#include "heap/mcache.h"

/* A free slot for `size` bytes of the layout and class of m, not zeroed, and c->fresh if it is one to be sampled; NULL when
 * memory cannot be had. By the cache's owner, in a region. */
void *typedcache_alloc(struct mcache *c, struct mcentral *m, size_t size);

#endif
