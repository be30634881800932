/* inline.c - the side of the library of spangc/inline.h: that the program's idea of a thread's cache is right.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .layout  what the header compiles into programs is where mcache.h and sizeclass.h have it
 *         .name    a change that breaks an assertion here gets both exported names a new number: a program that was
 *                  compiled before it then does not start                                       (tests/api/inline.c)
 * Below:  mcache, region.   Above: the program. */
#include "heap/mcache.h"
#include "world/region.h"

#define GC_INLINE_ALWAYS /* also when this is compiled without optimization */
#include <spangc/inline.h>

#define SAME(ours, theirs)                                                                                             \
    _Static_assert(offsetof(struct mcache, ours) == offsetof(struct gc_inline_cache, theirs) &&                        \
                       sizeof(((struct mcache *)0)->ours) == sizeof(((struct gc_inline_cache *)0)->theirs),            \
                   "inline.layout")

SAME(busy, busy);
SAME(stop_pending, stop);
SAME(slots[0], slots[0]);
SAME(slots[0].alloc_cache, slots[0].free);
SAME(slots[0].group_base, slots[0].group);
SAME(slots[0].elemsize, slots[0].bytes);
SAME(slots[0].exact, slots[0].is_full);

void *gc_inline_stop_1(void *p) { return region_park(p); }
