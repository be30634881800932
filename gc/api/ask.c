/* ask.c - questions about a pointer.
 * Owns: nothing. Locks: those that sweeping a span takes. Below: find. Above: the program. */
#include "api/api.h"
#include "watch/guard.h"

#include <errno.h>

/* Asking never fails: an unknown thread that cannot be made known gets the answer for "no object". */
static bool ask(const char *call, const void *p, struct object *o)
{
    int saved = errno;
    struct thread *t = p ? api_thread_for(call) : NULL;
    errno = saved;
    if (!t)
        return false;
    region_enter(&t->mcache);
    bool found = api_find(t, p, o);
    region_leave(&t->mcache);
    return found;
}

void *gc_base(const void *p)
{
    struct object o;
    if (api_is_zero_object(p))
        return api_zero_object;
    return ask(__func__, p, &o) ? (void *)o.base : NULL;
}

size_t gc_usable_size(const void *p)
{
    struct object o;
    if (!ask(__func__, p, &o) || o.base != (uintptr_t)p || o.span->spanclass_ == SPANCLASS_TINY)
        return 0;
    if (unlikely(guard_on))
        return guard_asked(o.span, o.index);
    __atomic_store_n(&o.span->exact, true, __ATOMIC_RELAXED); /* it may use all of it from now on */
    return o.span->elemsize;
}

int gc_is_noscan(const void *p)
{
    struct object o;
    return ask(__func__, p, &o) ? o.span->scan == SCAN_NONE : -1;
}
