/* lock.c - ranked mutexes.
 * Owns:   per thread, inside_depth; with checks on, the set of ranks it holds.
 * Keeps:  .rank    a thread acquires a lock only above every rank it holds (lock_acquire)
 *         .inside  a thread that holds CYCLE or WORLD, or waits for one, is marked so (inside.h)
 * Below:  pthread mutexes, which the race detectors understand.   Above: everything. */
#include "base/lock.h"

#include "base/check.h"
#include "base/inside.h"

_Thread_local _Atomic uint32_t inside_depth INITIAL_EXEC;
static _Thread_local uint32_t held INITIAL_EXEC; /* bit r: a lock of rank r is held; unused without checks */

void lock_init(struct lock *l, enum lock_rank rank) { *l = (struct lock)LOCK_INIT(rank); }

/* SYMBOLS is not counted: it is held for long, by a thread whose handlers may go on allocating. */
static bool marks_inside(const struct lock *l) { return l->rank > RANK_SYMBOLS && l->rank <= RANK_WORLD; }

/* Raised before the lock is waited for and lowered when it is free: a handler must not want it in between. */
void lock_acquire(struct lock *l)
{
    CHECK(held >> l->rank == 0, "lock.rank");
    if (marks_inside(l))
        inside_enter();
    pthread_mutex_lock(&l->mutex);
    if (GC_CHECKS)
        held |= UINT32_C(1) << l->rank;
}

void lock_release(struct lock *l)
{
    CHECK(held >> l->rank & 1, "lock.rank");
    if (GC_CHECKS)
        held &= ~(UINT32_C(1) << l->rank);
    pthread_mutex_unlock(&l->mutex);
    if (marks_inside(l))
        inside_leave();
}

void lock_acquire_same_rank(struct lock *l)
{
    CHECK(held >> l->rank <= 1, "lock.rank");
    pthread_mutex_lock(&l->mutex);
    if (GC_CHECKS)
        held |= UINT32_C(1) << l->rank;
}

void lock_release_same_rank(struct lock *l)
{
    if (GC_CHECKS)
        held &= ~(UINT32_C(1) << l->rank);
    pthread_mutex_unlock(&l->mutex);
}

bool lock_held(enum lock_rank rank) { return !GC_CHECKS || (held >> rank & 1); }
