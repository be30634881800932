/* free.c - gc_free: never needed, always allowed, never silent damage.
 * Owns:   nothing.
 * Locks:  none for an object in a swept span; that of its mcentral else.
 * Keeps:  .start  only the start of a live object is freed, anything else aborts with one line
 * Below:  mcache, mcentral, mspan.   Above: the program, realloc.c. */
#include "api/api.h"
#include "cycle/finalizers.h"
#include "cycle/sysmon.h"
#include "heap/ephemeron.h"
#include "heap/pageheap.h"
#include "watch/guard.h"

/* When so many slots of a full span are noted free, it is worth looking for it among those with room. */
static uint32_t worth_offering(const struct mspan *s) { return s->nelems / 8u + 1; }

static enum mspan_freed free_small(struct thread *t, struct mspan *s, size_t i)
{
    if (atomic_load_explicit(&s->owner, memory_order_relaxed) == &t->mcache)
        return mcache_free_local(&t->mcache, s, i) == MCACHE_FREED ? FREED_OK : FREED_TWICE;
    if (mcache_slot_unused(s, i))
        return FREED_TWICE;
    enum mspan_freed r = mspan_note_free(s, i);
    if (r == FREED_OK && atomic_load_explicit(&s->freed, memory_order_relaxed) == worth_offering(s))
        mcentral_offer_freed(s);
    return r;
}

bool api_free_object(struct thread *t, const struct object *o)
{
    struct mspan *s = o->span;
    if (unlikely(guard_on) && guard_free(s, o->index))
        return true;
    if (ephemeron_is(s))
        ephemeron_drop((struct gc_ephemeron *)o->base);
    if (mspan_is_special(s))
        specials_end(s, o->index, SPECIAL_FREED);
    if (mspan_is_large(s))
        return mcentral_free_large(s);
    /* Read first: once its last object is freed, the span may become another. */
    spanclass spc = s->spanclass_;
    enum mspan_freed r = free_small(t, s, o->index);
    /* FREED_NO_MEMORY: no bitmap could be had to note it in. The object stays until a collection finds it. */
    if (r == FREED_OK)
        mcache_count_free(&t->mcache, spc);
    return r != FREED_TWICE;
}

void gc_free(void *p)
{
    struct object o;
    if (!p || api_is_zero_object(p))
        return;
    struct thread *t = api_thread();
    if (!t)
        return;
    region_enter(&t->mcache);
    if (!api_find(t, p, &o))
        api_bad_pointer("gc_free", p);
    bool large = mspan_is_large(o.span);
    if (o.span->spanclass_ != SPANCLASS_TINY) {
        if (o.base != (uintptr_t)p || !api_free_object(t, &o))
            api_bad_pointer("gc_free", p);
    }
    region_leave(&t->mcache);
    guard_tell();
    finalizers_note(false);
    if (large) /* its pages are free; of others those are that a sweep finds */
        sysmon_note();
}
