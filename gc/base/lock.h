/* lock.h - mutexes with a rank. A thread takes locks in rising rank only; with checks on, a violation aborts.
 *
 * The ranks are the library's lock order. CYCLE and WORLD are held while the world is stopped, by the one who stopped
 * it. From HEAP_FIRST on, a lock is held only inside a region (world/region.h) or under one of these two, so that no
 * stopped thread ever holds one. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/attr.h"

#include <pthread.h>

enum lock_rank {
    RANK_SYMBOLS,  /* libdw's session; held with no other lock */
    RANK_TRACE,    /* the file of trace=FILE; held with no other lock and no signal open */
    RANK_CYCLE,    /* one collection at a time */
    RANK_WORLD,    /* the list of threads, and whether they run */
    RANK_WORKPOOL, /* grey objects between markers; of these two, held by threads of ours, the world stopped */
    RANK_WORKBUF,  /* free blocks for grey objects */
    RANK_HEAP_FIRST,
    RANK_PINNED = RANK_HEAP_FIRST, /* the cache of uncollectable objects */
    RANK_ROOTS,                    /* registered and excluded ranges */
    RANK_FLIGHT,                   /* threads not joined yet, by their id */
    RANK_STACKS,                   /* coroutine stacks and their pool */
    RANK_THROWN,                   /* C++ exceptions */
    RANK_LAYOUT,                   /* layouts, and allocation of single slots of them */
    RANK_MCENTRAL,                 /* one per spanclass; two at once only by fork, in order of address */
    RANK_PAGEHEAP,                 /* free runs, page table, span records */
    RANK_GCBITS,                   /* free bitmaps */
    RANK_SPECIAL,                  /* indexes of specials */
    RANK_LIFETIME,                 /* the queue of what is to be called at the end of objects */
    RANK_BUCKETS,                  /* the table of stacks that allocated */
    RANK_THREADREC,                /* free thread records */
    RANK_PERSISTENT,               /* the global chunk */
    RANK_COUNT
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

/* A heap lock is held for some dozen instructions: looking again is cheaper than sleeping, where the C library offers
 * a mutex that does. */
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#define LOCK_MUTEX PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#else
#define LOCK_MUTEX PTHREAD_MUTEX_INITIALIZER
#endif
#define LOCK_INIT(r)                                                                                                   \
    {                                                                                                                  \
        LOCK_MUTEX, (r)                                                                                                \
    }

void lock_init(struct lock *l, enum lock_rank rank);
void lock_acquire(struct lock *l);
void lock_release(struct lock *l);

/* For fork alone: take a lock whose rank the thread may hold already. */
void lock_acquire_same_rank(struct lock *l);
void lock_release_same_rank(struct lock *l);

/* Whether the calling thread holds a lock of this rank. Known only with checks on; else true. */
bool lock_held(enum lock_rank rank);

#endif
