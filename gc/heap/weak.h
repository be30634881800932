/* weak.h - a reference that does not hold: what gc_weak_new returns. */
#ifndef HEAP_WEAK_H
#define HEAP_WEAK_H

#include "heap/specials.h"

/* special.own: references to this record that gc_weak_new gave out and gc_weak_free did not take back. */
struct gc_weak {
    struct special special;
    _Atomic uintptr_t hidden; /* complement of the address, so that no scan takes it for a pointer; 0: the object is no
                                 more. Lock of specials.c; read by anyone in a region */
};

/* The one to this address in slot i of s, an object that the caller holds; NULL when memory cannot be had. In a region. */
struct gc_weak *weak_new(struct mspan *s, size_t i, uintptr_t p);

/* One reference less; the last gives the record back. False: there was none. In a region. */
bool weak_free(struct gc_weak *w);

/* In a region, in which the address is not yet held. */
static ALWAYS_INLINE void *weak_load(struct gc_weak *w)
{
    uintptr_t hidden = atomic_load_explicit(&w->hidden, memory_order_acquire);
    return hidden ? (void *)~hidden : NULL;
}

/* Its object is no more: the hook, for gc_free. Lock of specials.c. */
void weak_end(struct special *sp, enum special_end why);

/* The same for all of slot i, which nothing marked: they leave the slot. The world is stopped. */
void weak_clear(struct mspan *s, size_t i);

#endif
