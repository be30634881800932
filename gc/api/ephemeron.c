/* ephemeron.c - gc_ephemeron_new, gc_ephemeron_value.
 * Owns:   nothing.
 * Locks:  SPECIAL, in heap/ephemeron.c, and those that allocation takes; gc_ephemeron_value none.
 * Keeps:  .held  what gc_ephemeron_value read is held from the moment at which the thread can be stopped again
 *         .zero  an ephemeron is zero from before the world can see it until it has its key and value
 * Below:  heap/ephemeron.c, slow, find.   Above: the program.
 *
 * Allocation is slow.c's, but for a slot that the thread's cache has at hand. */
#include "api/api.h"
#include "heap/ephemeron.h"

#include <errno.h>
#include <string.h>

/* One byte less than it has: no pointer stands one past its end, so such a word need not hold its neighbour. */
enum { ASKED = sizeof(struct gc_ephemeron) - 1 };

static struct gc_ephemeron *take_from_cache(struct mcache *c)
{
    struct mcache_slot *sl = &c->slots[SPANCLASS_EPHEMERON];
    void *p = NULL;
    region_enter(c);
    if (sl->alloc_cache)
        p = memset(mcache_take(sl, ASKED), 0, sizeof(struct gc_ephemeron));
    return region_leave_quick(c) ? region_park(p) : p;
}

/* In a region. Returns an error number, or 0. */
static int set_in_region(struct thread *t, struct gc_ephemeron *e, const void *key, const void *value)
{
    struct object o;
    if (!api_find_ending(t, key, &o))
        return EINVAL;
    return ephemeron_set(e, o.span, o.index, (uintptr_t)key, (uintptr_t)value) ? 0 : ENOMEM;
}

struct gc_ephemeron *gc_ephemeron_new(void *key, void *value)
{
    struct thread *t = api_thread();
    struct gc_ephemeron *e = t ? take_from_cache(&t->mcache) : NULL;
    if (t && !e)
        e = api_alloc_slow(ASKED, ALLOC_NOSCAN | ALLOC_EPHEMERON | ALLOC_QUIET);
    if (!e)
        return NULL;
    region_enter(&t->mcache);
    int error = set_in_region(t, e, key, value);
    region_leave(&t->mcache);
    if (error) {
        gc_free(e);
        errno = error;
        e = NULL;
    }
    gc_keep_alive(key);
    gc_keep_alive(value);
    return e;
}

void *gc_ephemeron_value(struct gc_ephemeron *e, void *key)
{
    struct thread *t = api_thread();
    if (!t || !e)
        return NULL;
    region_enter(&t->mcache);
    void *p = ephemeron_load(e, key);
    p = region_leave_quick(&t->mcache) ? region_park(p) : p;
    gc_keep_alive(key);
    gc_keep_alive(e);
    return p;
}
