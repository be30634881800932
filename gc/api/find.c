/* find.c - what a pointer from the program refers to, and saying so when it is the wrong thing.
 * Owns:   nothing. Locks: those that sweeping a span takes.
 * Keeps:  .truth  alloc_bits are read of a swept span only: before the sweep they still show dead objects, and during
 *                 it they change
 * Below:  arena, mcentral, mcache.   Above: free.c, realloc.c, ask.c. */
#include "api/api.h"
#include "watch/guard.h"

#include <stdio.h>

/* The span in use around p, swept; NULL without one. In a region, so that no new cycle begins meanwhile. */
static ALWAYS_INLINE struct mspan *span_of(uintptr_t p)
{
    if (!arena_contains(p))
        return NULL;
    struct mspan *s = arena_span(p);
    if (!s || mspan_state_of(s) != MSPAN_INUSE || p - s->base >= mspan_bytes(s))
        return NULL;
    return likely(mspan_is_swept(s)) || mcentral_ensure_swept(s) ? s : NULL;
}

/* What p dangles into may be given up at any moment by another thread: the record and the memory of bitmaps stay, but
 * what is read is garbage then, and so may the record be another span's. Unchanged, the three were one span's. While a
 * live object holds the span nothing changes: it is swept, and no new cycle begins in a region. */
struct glimpse {
    const uint64_t *bits;
    uintptr_t base;
    size_t elemsize;
};

static ALWAYS_INLINE struct glimpse look_at(const struct mspan *s)
{
    return (struct glimpse){__atomic_load_n(&s->alloc_bits, __ATOMIC_ACQUIRE),
                            __atomic_load_n(&s->base, __ATOMIC_ACQUIRE),
                            __atomic_load_n(&s->elemsize, __ATOMIC_ACQUIRE)};
}

static ALWAYS_INLINE bool unchanged(const struct mspan *s, const struct glimpse *g)
{
    struct glimpse now = look_at(s);
    return now.bits == g->bits && now.base == g->base && now.elemsize == g->elemsize;
}

/* Whether the slot around p was handed out and not freed. *o is the slot either way. */
static ALWAYS_INLINE bool slot_live(struct mspan *s, uintptr_t p, struct object *o)
{
    struct glimpse g = look_at(s);
    size_t i = (size_t)((uint64_t)(p - g.base) * s->divmul >> 32);
    *o = (struct object){s, i, g.base + i * g.elemsize};
    if (!g.bits || p - g.base >= mspan_bytes(s) || i >= s->nelems || !unchanged(s, &g))
        return false;
    return bits_test(g.bits, i) && !mspan_slot_freed(s, i) && !mcache_slot_unused(s, i) && unchanged(s, &g);
}

bool api_find(struct thread *t, const void *p, struct object *o)
{
    t->mcache.lookups++;
    uintptr_t at = (uintptr_t)p;
    struct mspan *s = span_of(at);
    return s && slot_live(s, at, o) && !(unlikely(guard_on) && guard_is_dead(s, o->index));
}

bool api_find_ending(struct thread *t, const void *p, struct object *o)
{
    return api_find(t, p, o) && o->span->spanclass_ != SPANCLASS_TINY;
}

/* In words, what p points into. */
static void describe(uintptr_t p, char *text, size_t n)
{
    struct mspan *s = span_of(p);
    struct object o;
    bool live = s && slot_live(s, p, &o);
    if (!arena_contains(p))
        snprintf(text, n, "memory that is not this library's");
    else if (!s)
        snprintf(text, n, "free pages of the heap: the object was freed or collected, or never was");
    else if (o.index >= s->nelems)
        snprintf(text, n, "the unused end of a span of %zu-byte objects", s->elemsize);
    else if (!live)
        snprintf(text, n, "a free slot of %zu bytes at %#lx: the object was freed or collected before", s->elemsize,
                 (unsigned long)o.base);
    else
        snprintf(text, n, "a live object of %zu bytes at %#lx, %lu bytes from its start", s->elemsize,
                 (unsigned long)o.base, (unsigned long)(p - o.base));
}

/* The names of where it was allocated are looked up outside of the region. */
static void tell_freed_twice(const void *p)
{
    struct object o;
    struct mspan *s = guard_on ? span_of((uintptr_t)p) : NULL;
    if (!s || !slot_live(s, (uintptr_t)p, &o))
        return;
    region_leave_quick(mcache_self);
    guard_freed_twice(s, o.index, p);
    region_enter(mcache_self);
}

void api_bad_pointer(const char *call, const void *p)
{
    char what[160];
    tell_freed_twice(p);
    describe((uintptr_t)p, what, sizeof what);
    report_fatal("%s(%#lx): not the start of a live object, but %s; aborting", call, (unsigned long)(uintptr_t)p, what);
}
