/* find_object.h - from a word that may be a pointer to the object it refers to. */
#ifndef MARK_FIND_OBJECT_H
#define MARK_FIND_OBJECT_H

#include "heap/mspan.h"

/* A word read from memory or a register: maybe a pointer. */
struct word {
    uintptr_t v;
};

/* A live slot: what find_object makes of a word. The two types never mix. */
struct ref {
    struct mspan *span;
    size_t index;
};

static inline uintptr_t ref_base(struct ref r) { return mspan_slot(r.span, r.index); }

/* Whether p, an address in span s in use, lies in a slot that is allocated and not freed. */
static ALWAYS_INLINE bool find_in_span(struct mspan *s, uintptr_t p, struct ref *r)
{
    size_t i = mspan_index(s, p);
    if (i >= s->nelems || !bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i))
        return false;
    *r = (struct ref){s, i};
    return true;
}

/* Cost: the page table, the span, two bitmaps. */
static ALWAYS_INLINE bool find_object(struct word w, struct ref *r)
{
    struct mspan *s = arena_contains(w.v) ? arena_span(w.v) : NULL;
    return s && find_in_span(s, w.v, r);
}

/* C lets a pointer stand one past an object's end: one byte above p, the object's last. It leaves the object's slot
 * only when the object uses all of it; where no object of the span does, the address is just the next slot's. Without
 * this test every pointer on a stack would hold its object's neighbour too. */
static ALWAYS_INLINE bool find_holds_past(uintptr_t p)
{
    const struct mspan *s = arena_span(p);
    return s && __atomic_load_n(&s->exact, __ATOMIC_RELAXED);
}

#endif
