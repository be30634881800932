/* realloc.c - gc_realloc, gc_reallocarray.
 * Owns:   nothing. Locks: none.
 * Keeps:  .kind  the new object is scanned, and collectable, if and only if the old one was, and by the same layout
 * Below:  malloc, find, free.   Above: the program.
 *
 * The old object is held by this frame while the new one is allocated: it lies above the boundary and is scanned. */
#include "api/api.h"
#include "base/report.h"
#include "heap/ephemeron.h"
#include "heap/typed.h"
#include "watch/guard.h"

#include <errno.h>
#include <string.h>

struct old {
    struct object o;
    size_t usable; /* bytes from p to the end of what it may use */
    unsigned flags;
    const struct gc_layout *layout; /* or NULL */
    bool part;                      /* of a tiny block */
};

static void look_up(struct thread *t, const void *p, struct old *old)
{
    region_enter(&t->mcache);
    if (!api_find(t, p, &old->o))
        api_bad_pointer("gc_realloc", p);
    const struct mspan *s = old->o.span;
    if (ephemeron_is(s))
        report_fatal("gc_realloc(%#lx): an ephemeron, which has one size; aborting", (unsigned long)(uintptr_t)p);
    old->part = s->spanclass_ == SPANCLASS_TINY;
    if (!old->part && old->o.base != (uintptr_t)p)
        api_bad_pointer("gc_realloc", p);
    size_t bytes = unlikely(guard_on) ? guard_asked(s, old->o.index) : s->elemsize;
    old->usable = old->o.base + bytes - (uintptr_t)p;
    old->flags = (s->scan == SCAN_NONE ? ALLOC_NOSCAN : 0u) | (s->pinned ? ALLOC_PINNED : 0u);
    old->layout = s->scan >= SCAN_LAYOUT ? typed_layout(s->scan) : NULL;
    region_leave(&t->mcache);
}

/* Stay in place. What a scanned object no longer uses is cleared: it would hold what it points to, and it must be zero
 * if the object grows again. */
static void *resize(void *p, const struct old *old, size_t size)
{
    if (!(old->flags & ALLOC_NOSCAN))
        memset((char *)p + size, 0, old->usable - size);
    if (size == old->usable)
        __atomic_store_n(&old->o.span->exact, true, __ATOMIC_RELAXED);
    return p;
}

static void *alloc_like(size_t size, const struct old *old)
{
    if (old->flags & ALLOC_PINNED)
        return api_alloc_slow(size, old->flags);
    if (old->layout)
        return api_alloc_typed(old->layout, size);
    return old->flags & ALLOC_NOSCAN ? gc_malloc_noscan(size) : gc_malloc(size);
}

/* In place while at least half of a small object stays used, or a large one keeps its pages; memory is worth more than
 * the copy below that. */
static bool fits(const struct old *old, size_t size)
{
    size_t least = mspan_is_large(old->o.span) ? old->usable - HEAP_PAGE + 1 : old->usable / 2;
    return !old->part && !guard_on && size <= old->usable && size >= least;
}

static void *move(void *p, const struct old *old, size_t size)
{
    void *q = alloc_like(size, old);
    if (!q)
        return NULL;
    /* A part's bytes are copied up to the end of its block, where the new one may be a part too. */
    memmove(q, p, size < old->usable ? size : old->usable);
    if (!old->part)
        gc_free(p);
    return q;
}

void *gc_realloc(void *p, size_t size)
{
    struct old old;
    if (!p || api_is_zero_object(p))
        return gc_malloc(size);
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    look_up(t, p, &old);
    if (size == 0) {
        gc_free(p);
        return api_zero_object;
    }
    void *q = fits(&old, size) ? resize(p, &old, size) : move(p, &old, size);
    gc_keep_alive(p);
    return q;
}

void *gc_reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return gc_realloc(p, bytes);
}
