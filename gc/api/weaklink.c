/* weaklink.c - gc_weak_link, gc_weak_unlink.
 * Owns:   nothing.
 * Locks:  SPECIAL, in heap/weaklink.c, and those that sweeping a span takes.
 * Below:  heap/weaklink.c, find.   Above: the program. */
#include "api/api.h"
#include "heap/ephemeron.h"
#include "heap/weaklink.h"

#include <errno.h>

/* An object whose end can be seen. In a region. */
static bool find_end(struct thread *t, const void *p, struct weaklink_end *end)
{
    struct object o;
    if (!api_find_ending(t, p, &o))
        return false;
    *end = (struct weaklink_end){o.span, o.index};
    return true;
}

/* The whole word lies in it, and is the program's. */
static bool find_holder(struct thread *t, void **slot, struct weaklink_end *end)
{
    return (uintptr_t)slot % sizeof(uintptr_t) == 0 && find_end(t, slot, end) && !ephemeron_is(end->span);
}

static int error_of(enum weaklink_result r) { return r == WEAKLINK_OK ? 0 : r == WEAKLINK_NO_MEMORY ? ENOMEM : ENOENT; }

/* In a region, in which what the word points to is not lost. Return error numbers, or 0. */
static int link_in_region(struct thread *t, void **slot)
{
    struct weaklink_end from, to;
    if (!find_holder(t, slot, &from) || !find_end(t, __atomic_load_n(slot, __ATOMIC_RELAXED), &to) ||
        (from.span == to.span && from.index == to.index))
        return EINVAL;
    return error_of(weaklink_add(from, (uintptr_t)slot, to));
}

static int unlink_in_region(struct thread *t, void **slot)
{
    struct weaklink_end from;
    return find_holder(t, slot, &from) ? error_of(weaklink_remove(from, (uintptr_t)slot)) : EINVAL;
}

static int result(int error)
{
    if (error)
        errno = error;
    return error ? -1 : 0;
}

int gc_weak_link(void **slot)
{
    struct thread *t = api_thread();
    if (!t)
        return -1;
    region_enter(&t->mcache);
    int error = link_in_region(t, slot);
    region_leave(&t->mcache);
    gc_keep_alive(slot);
    return result(error);
}

int gc_weak_unlink(void **slot)
{
    struct thread *t = api_thread();
    if (!t)
        return -1;
    region_enter(&t->mcache);
    int error = unlink_in_region(t, slot);
    region_leave(&t->mcache);
    gc_keep_alive(slot);
    return result(error);
}
