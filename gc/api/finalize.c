/* finalize.c - finalizers and cleanups as the program asks for them.
 * Owns:   nothing.
 * Locks:  SPECIAL and LIFETIME, in heap/endcalls.c, and those that sweeping a span takes; none while a call is made.
 * Below:  endcalls, finalizers, lifetimes, find.   Above: the program. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "cycle/finalizers.h"
#include "cycle/lifetimes.h"

#include <errno.h>

static bool points_into(const void *p, const struct object *o) { return (uintptr_t)p - o->base < o->span->elemsize; }

static int add_in_region(struct thread *t, const void *p, gc_cleanup_fn fn, void *arg)
{
    struct object o;
    if (!fn || !api_find_ending(t, p, &o) || points_into(arg, &o))
        return EINVAL;
    return endcalls_add_cleanup(o.span, o.index, fn, arg) ? 0 : ENOMEM;
}

static int result(int error)
{
    if (error == 0)
        finalizers_start();
    else
        errno = error;
    return error ? -1 : 0;
}

int gc_add_cleanup(void *obj, gc_cleanup_fn fn, void *arg)
{
    struct thread *t = api_thread();
    if (!t)
        return -1;
    region_enter(&t->mcache);
    int error = add_in_region(t, obj, fn, arg);
    region_leave(&t->mcache);
    int r = result(error);
    gc_keep_alive(obj);
    return r;
}

static int set_in_region(struct thread *t, const void *p, gc_finalizer_fn fn, void *arg, struct endcall_old *old)
{
    struct object o;
    if (!api_find_ending(t, p, &o) || o.base != (uintptr_t)p || (fn && points_into(arg, &o)))
        return EINVAL;
    return endcalls_set_finalizer(o.span, o.index, fn, arg, old) ? 0 : ENOMEM;
}

int gc_set_finalizer(void *obj, gc_finalizer_fn fn, void *arg, gc_finalizer_fn *old_fn, void **old_arg)
{
    struct endcall_old old;
    struct thread *t = api_thread();
    if (!t)
        return -1;
    region_enter(&t->mcache);
    int error = set_in_region(t, obj, fn, arg, &old);
    region_leave(&t->mcache);
    if (error == 0 && old_fn)
        *old_fn = old.fn;
    if (error == 0 && old_arg)
        *old_arg = old.arg;
    int r = result(error);
    gc_keep_alive(obj);
    return r;
}

int gc_finalizer_mode(int mode)
{
    if (mode < GC_SPAN_FINALIZE_THREAD || mode > GC_SPAN_FINALIZE_AT_ALLOC) {
        errno = EINVAL;
        return -1;
    }
    int saved = errno;
    struct thread *t = api_thread();
    int old = finalizers_set_mode(mode);
    if (t)
        finalizers_note(false);
    errno = saved;
    return old;
}

long gc_run_finalizers(void)
{
    int saved = errno;
    if (!api_thread())
        return -1;
    long n = (long)finalizers_run();
    errno = saved;
    return n;
}

gc_finalizer_notify_fn gc_set_finalizer_notify(gc_finalizer_notify_fn fn, void *arg)
{
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    gc_finalizer_notify_fn old = finalizers_set_notify(fn, arg);
    region_leave(&t->mcache);
    return old;
}

size_t gc_finalizers_pending(void) { return endcalls_pending(); }

static void end_all(void *unused)
{
    (void)unused;
    lifetimes_end_all();
}

static void *end_all_at_boundary(uintptr_t unused, uintptr_t unused_too, struct boundary *at)
{
    (void)unused;
    (void)unused_too;
    return (void *)(uintptr_t)cycle_look(at, end_all, NULL);
}

/* Everything is queued, so that our thread makes some of the calls, if it is awake. */
long gc_finalize_all(void)
{
    int saved = errno;
    if (!api_thread())
        return -1;
    if (!boundary_call(end_all_at_boundary, 0, 0)) {
        errno = EAGAIN;
        return -1;
    }
    long n = (long)finalizers_run();
    errno = saved;
    return n;
}
