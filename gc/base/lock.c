/* lock.c - ranked mutexes.
 * Owns:   per thread, with checks on, the set of ranks it holds.
 * Keeps:  .rank  a thread acquires a lock only above every rank it holds (lock_acquire)
 * Below:  pthread mutexes, which the race detectors understand.   Above: everything. */
#include "base/lock.h"

#include "base/check.h"

static _Thread_local uint32_t held INITIAL_EXEC; /* bit r: a lock of rank r is held; unused without checks */

void lock_init(struct lock *l, enum lock_rank rank) { *l = (struct lock)LOCK_INIT(rank); }

void lock_acquire(struct lock *l)
{
    CHECK(held >> l->rank == 0, "lock.rank");
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
