/* weak.c - gc_weak_new, gc_weak_get, gc_weak_free.
 * Owns:   nothing.
 * Locks:  SPECIAL, in heap/weak.c, and those that sweeping a span takes; gc_weak_get none.
 * Keeps:  .held  what gc_weak_get read is held from the moment at which the thread can be stopped again: region_park
 *                holds its argument
 * Below:  heap/weak.c, find.   Above: the program. */
#include "api/api.h"
#include "heap/weak.h"

#include <errno.h>

/* In a region. */
static struct gc_weak *new_in_region(struct thread *t, const void *p, int *error)
{
    struct object o;
    *error = EINVAL;
    if (!api_find_ending(t, p, &o))
        return NULL;
    *error = ENOMEM;
    return weak_new(o.span, o.index, (uintptr_t)p);
}

struct gc_weak *gc_weak_new(void *obj)
{
    int error;
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    struct gc_weak *w = new_in_region(t, obj, &error);
    region_leave(&t->mcache);
    if (!w)
        errno = error;
    return w;
}

void *gc_weak_get(struct gc_weak *weak)
{
    struct thread *t = api_thread();
    if (!t || !weak)
        return NULL;
    region_enter(&t->mcache);
    void *p = weak_load(weak);
    return region_leave_quick(&t->mcache) ? region_park(p) : p;
}

void gc_weak_free(struct gc_weak *weak)
{
    struct thread *t = weak ? api_thread() : NULL;
    if (!t)
        return;
    region_enter(&t->mcache);
    bool freed = weak_free(weak);
    region_leave(&t->mcache);
    if (!freed)
        report_fatal("gc_weak_free(%#lx): no weak reference (any more); aborting", (unsigned long)(uintptr_t)weak);
}
