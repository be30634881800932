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

/* Whether p lies in a slot of s, which the page table gave for it, that is allocated and not freed. The entry may be
 * stale, so the span's state and bounds are tested. */
static ALWAYS_INLINE bool find_in_span(struct mspan *s, uintptr_t p, struct ref *r)
{
    if (unlikely(!s) || atomic_load_explicit(&s->state, memory_order_relaxed) != MSPAN_INUSE)
        return false;
    if (p - s->base >= mspan_bytes(s))
        return false;
    size_t i = mspan_index(s, p);
    if (i >= s->nelems || !bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i))
        return false;
    *r = (struct ref){s, i};
    return true;
}

/* Cost: the page table, the span, two bitmaps. */
static ALWAYS_INLINE bool find_object(struct word w, struct ref *r)
{
    return arena_contains(w.v) && find_in_span(arena_span(w.v), w.v, r);
}

#endif
