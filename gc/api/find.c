/* find.c - what a pointer from the program refers to, and saying so when it is the wrong thing.
 * Owns:   nothing. Locks: those that sweeping a span takes.
 * Keeps:  .truth  alloc_bits are read of a swept span only: before the sweep they still show dead objects, and during
 *                 it they are exchanged
 * Below:  arena, mcentral, mcache.   Above: free.c, realloc.c, ask.c. */
#include "api/api.h"

#include <stdio.h>

/* The span in use around p, swept; NULL without one. In a region, so that no new cycle begins meanwhile. */
static struct mspan *span_of(uintptr_t p)
{
    if (!arena_contains(p))
        return NULL;
    struct mspan *s = arena_span(p);
    if (!s || mspan_state_of(s) != MSPAN_INUSE || p - s->base >= mspan_bytes(s) || !mcentral_ensure_swept(s))
        return NULL;
    return s;
}

bool api_find(struct thread *t, const void *p, struct object *o)
{
    t->mcache.lookups++;
    uintptr_t at = (uintptr_t)p;
    struct mspan *s = span_of(at);
    if (!s)
        return false;
    size_t i = mspan_index(s, at);
    if (i >= s->nelems || !bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i) || mcache_slot_unused(s, i))
        return false;
    *o = (struct object){s, i, mspan_slot(s, i)};
    return true;
}

/* In words, what p points into. */
static void describe(uintptr_t p, char *text, size_t n)
{
    struct mspan *s = span_of(p);
    size_t i = s ? mspan_index(s, p) : 0;
    if (!arena_contains(p))
        snprintf(text, n, "memory that is not this library's");
    else if (!s)
        snprintf(text, n, "free pages of the heap: the object was freed or collected, or never was");
    else if (i >= s->nelems)
        snprintf(text, n, "the unused end of a span of %zu-byte objects", s->elemsize);
    else if (mspan_slot_freed(s, i) || !bits_test(s->alloc_bits, i) || mcache_slot_unused(s, i))
        snprintf(text, n, "a free slot of %zu bytes at %#lx: the object was freed or collected before", s->elemsize,
                 (unsigned long)mspan_slot(s, i));
    else
        snprintf(text, n, "a live object of %zu bytes at %#lx, %lu bytes from its start", s->elemsize,
                 (unsigned long)mspan_slot(s, i), (unsigned long)(p - mspan_slot(s, i)));
}

void api_bad_pointer(const char *call, const void *p)
{
    char what[160];
    describe((uintptr_t)p, what, sizeof what);
    report_fatal("%s(%#lx): not the start of a live object, but %s; aborting", call, (unsigned long)(uintptr_t)p, what);
}
