/* slow.c - allocation when the fast path has nothing: a new thread, an empty cache, a large object, no memory.
 * Owns:   nothing.
 * Locks:  none held while it collects.
 * Keeps:  .order  collect when due, then take pages; when there are none collect once more, then ask the handler, then
 *                 fail: the heap is as it was
 * Below:  mcache, mcentral, pinned, cycle.   Above: malloc.c and every other allocating call. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "cycle/finalizers.h"
#include "cycle/sysmon.h"
#include "heap/ephemeron.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "heap/pinned.h"
#include "heap/typedcache.h"
#include "watch/events.h"
#include "watch/guard.h"
#include "watch/mprof.h"
#include "watch/trace.h"

#include <errno.h>
#include <string.h>

static spanclass class_for(size_t size, unsigned flags)
{
    bool noscan = flags & ALLOC_NOSCAN;
    if (flags & ALLOC_EPHEMERON)
        return SPANCLASS_EPHEMERON;
    if (noscan && size < TINY_SIZE && !(flags & ALLOC_PINNED)) /* never with check=1 */
        return SPANCLASS_TINY;
    size_t least = noscan && size < TINY_SIZE ? TINY_SIZE : size;
    return spanclass_make(sizeclass_of(least), noscan);
}

/* What is found in an ephemeron by a collection is its key and value. With check=1 none is sampled: its bytes are read
 * until it is swept, and not poison. */
static void prepare_ephemeron(struct mcache *c, void *p)
{
    memset(p, 0, sizeof(struct gc_ephemeron));
    if (guard_on)
        mcache_set_fresh(c, 0);
}

/* Not from a slot that is the spanclass's. In a region. */
static NOINLINE void *small_other(struct mcache *c, spanclass spc, size_t size, unsigned flags)
{
    bool chosen = false;
    if (alloc_layout(flags))
        return typedcache_alloc(c, typed_at(alloc_layout(flags)), size);
    void *p = pinned_alloc(spc, size, &chosen);
    if (chosen)
        mcache_set_fresh(c, (uintptr_t)p);
    return p;
}

static void *small(struct mcache *c, size_t size, unsigned flags)
{
    spanclass spc = class_for(size, flags);
    void *p = NULL;
    region_enter(c);
    if (unlikely(flags >> ALLOC_LAYOUT_SHIFT || flags & ALLOC_PINNED))
        p = small_other(c, spc, size, flags);
    else
        p = mcache_alloc(c, spc, spc == SPANCLASS_TINY ? TINY_SIZE : size);
    if (p && spc == SPANCLASS_TINY)
        p = mcache_start_tiny(c, p, size);
    if (p && spc == SPANCLASS_EPHEMERON)
        prepare_ephemeron(c, p);
    if (region_leave_quick(c))
        p = region_park(p);
    if (p && (!(flags & ALLOC_NOSCAN) || (flags & ALLOC_PINNED)))
        memset(p, 0, spanclass_size(spc));
    return p;
}

static struct mspan *large_span(size_t size, unsigned flags)
{
    if (alloc_layout(flags))
        return mcentral_alloc_large_typed(typed_at(alloc_layout(flags)), pages_for(size));
    return mcentral_alloc_large(pages_for(size), (size_t)1 << alloc_align_log2(flags), flags & ALLOC_NOSCAN,
                                flags & ALLOC_PINNED);
}

/* Zeroing is outside the region: it takes as long as the object is large. */
static void *large(struct mcache *c, size_t size, unsigned flags)
{
    region_enter(c);
    struct mspan *s = large_span(size, flags);
    void *p = s ? (void *)s->base : NULL;
    if (s && size == s->elemsize)
        s->exact = true;
    if (s && sampler_take(&c->sampler, s->elemsize))
        mcache_set_fresh(c, s->base);
    if (region_leave_quick(c))
        p = region_park(p);
    if (!s)
        return NULL;
    if (!(flags & ALLOC_NOSCAN))
        pageheap_zero(s, mspan_bytes(s));
    else if (flags & (ALLOC_ZERO | ALLOC_PINNED))
        pageheap_zero(s, size);
    return p;
}

static void *try_alloc(struct mcache *c, size_t size, unsigned flags)
{
    void *p = size > SMALL_MAX || alloc_align_log2(flags) ? large(c, size, flags) : small(c, size, flags);
    events_heap_growth(pageheap_mapped());
    trace_footprint();
    sysmon_note();
    return p;
}

static bool fits_address_space(size_t size, unsigned flags)
{
    size_t slack = ((size_t)1 << alloc_align_log2(flags)) * HEAP_PAGE;
    return size <= arena.max && slack <= arena.max - size;
}

static void *alloc_at_boundary(uintptr_t size, uintptr_t flags, struct boundary *at)
{
    struct mcache *c = mcache_self;
    if (heap_collection_due() && api_collections_enabled())
        cycle_run(at, CYCLE_DUE, true);
    void *p = try_alloc(c, size, (unsigned)flags);
    if (p || !api_collections_enabled())
        return p;
    cycle_run(at, CYCLE_MEMORY, true);
    return try_alloc(c, size, (unsigned)flags);
}

/* The boundary costs more than most refills, and is needed only to collect. */
static void *alloc(struct mcache *c, size_t size, unsigned flags)
{
    void *p = heap_collection_due() ? NULL : try_alloc(c, size, flags);
    return p ? p : boundary_call(alloc_at_boundary, size, flags);
}

/* As a report names it; other functions allocate through these. */
static const char *name_of(unsigned flags)
{
    return flags >> ALLOC_LAYOUT_SHIFT ? "gc_malloc_typed"
           : flags & ALLOC_EPHEMERON   ? "gc_ephemeron_new"
           : flags & ALLOC_PINNED      ? "gc_malloc_uncollectable"
           : flags & ALLOC_NOSCAN      ? "gc_malloc_noscan"
                                       : "gc_malloc";
}

/* Out of the allocating functions' way: it has a large frame. */
static NOINLINE void sample(struct thread *t, const void *p, size_t size, uintptr_t caller)
{
    mprof_alloc(t, p, size, caller);
    guard_tell();
}

void *api_alloc_slow(size_t size, unsigned flags)
{
    int saved = errno;
    struct thread *t = api_thread_for(name_of(flags)); /* NULL: no memory for its record, or for the library */
    if (t)
        region_answer(&t->mcache);
    void *p = size == 0 ? api_zero_object : NULL;
    if (t && size > 0 && fits_address_space(size, flags))
        p = alloc(&t->mcache, guard_size(size), flags);
    if (p && unlikely(mcache_fresh(&t->mcache)))
        sample(t, p, size, (uintptr_t)__builtin_return_address(0));
    if (unlikely(!p)) {
        p = flags & ALLOC_QUIET ? NULL : api_out_of_memory(size);
        if (!p) {
            errno = ENOMEM;
            return NULL;
        }
    }
    if (t)
        finalizers_note(true);
    errno = saved;
    return p;
}
