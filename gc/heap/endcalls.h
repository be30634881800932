/* endcalls.h - calls that are to be made when an object is no more: finalizers and cleanups. Registered, they are specials
 * of its slot; then they stand in a queue until they are made. */
#ifndef HEAP_ENDCALLS_H
#define HEAP_ENDCALLS_H

#include "heap/specials.h"

#include <spangc.h>

/* special.next: in the slot's list or among the free (lock of specials), or in the queue (its lock). special.own: it was
 * reported to wait for itself. */
struct endcall {
    struct special special;
    union {
        gc_finalizer_fn finalizer;
        gc_cleanup_fn cleanup;
    } fn;
    void *arg; /* a root while the record is in use. Lock of specials */
    void *obj; /* a root: of a finalizer, from when it is queued until it was called; else NULL. Lock of the queue */
};

/* The function, whichever it is. */
static inline uintptr_t endcalls_function(const struct endcall *e)
{
    return e->special.kind == SPECIAL_FINALIZER ? (uintptr_t)e->fn.finalizer : (uintptr_t)e->fn.cleanup;
}

/* Give slot i of s, an object that the caller holds, a cleanup. False when memory cannot be had. In a region. */
bool endcalls_add_cleanup(struct mspan *s, size_t i, gc_cleanup_fn fn, void *arg);

/* Make this the slot's finalizer, or with fn NULL have none; tells what was. False when memory cannot be had: nothing is
 * changed. In a region. */
struct endcall_old {
    gc_finalizer_fn fn;
    void *arg;
};
bool endcalls_set_finalizer(struct mspan *s, size_t i, gc_finalizer_fn fn, void *arg, struct endcall_old *old);

/* Put one that is in no slot any longer at the end of the queue. True: it was empty. In a region, or stopped. */
bool endcalls_queue(struct endcall *e, void *obj);

/* The first of the queue, to be called and then dropped; NULL when there is none. Until it is dropped it is a root. In a
 * region. */
struct endcall *endcalls_take(void);
void endcalls_drop(struct endcall *e);

/* The same with the lock of specials: one that is in no slot and not queued. */
void endcalls_drop_locked(struct endcall *e);

/* How many are in the queue. */
size_t endcalls_pending(void);

/* The ranges that records lie in; their words are roots. The world is stopped. */
void endcalls_each_range(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

void endcalls_fork_acquire(void);
void endcalls_fork_release(void);

#endif
