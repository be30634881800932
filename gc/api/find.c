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

static const uint64_t *alloc_bits_of(const struct mspan *s)
{
    return __atomic_load_n(&s->alloc_bits, __ATOMIC_ACQUIRE);
}

/* Whether the slot around p was handed out and not freed. If p dangles, another thread may give the span up at any
 * moment: its record and the memory of bitmaps stay, so what is read is garbage at worst, and the bitmap's address
 * tells. While a live object holds the span, nothing changes: it is swept, and no new cycle begins in a region. */
static bool slot_live(const struct mspan *s, uintptr_t p, size_t *i)
{
    const uint64_t *bits = alloc_bits_of(s);
    *i = mspan_index(s, p);
    if (!bits || *i >= s->nelems || alloc_bits_of(s) != bits)
        return false;
    return bits_test(bits, *i) && !mspan_slot_freed(s, *i) && !mcache_slot_unused(s, *i) && alloc_bits_of(s) == bits;
}

bool api_find(struct thread *t, const void *p, struct object *o)
{
    t->mcache.lookups++;
    uintptr_t at = (uintptr_t)p;
    struct mspan *s = span_of(at);
    if (!s)
        return false;
    size_t i;
    if (!slot_live(s, at, &i))
        return false;
    *o = (struct object){s, i, mspan_slot(s, i)};
    return true;
}

/* In words, what p points into. */
static void describe(uintptr_t p, char *text, size_t n)
{
    struct mspan *s = span_of(p);
    size_t i = 0;
    bool live = s && slot_live(s, p, &i);
    if (!arena_contains(p))
        snprintf(text, n, "memory that is not this library's");
    else if (!s)
        snprintf(text, n, "free pages of the heap: the object was freed or collected, or never was");
    else if (i >= s->nelems)
        snprintf(text, n, "the unused end of a span of %zu-byte objects", s->elemsize);
    else if (!live)
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
