/* beside.h - threads that look at what may be gone, beside a program that does nothing but collect: until there were enough
 * collections, and enough of what was looked at was there, and enough was not. */
#ifndef API_BESIDE_H
#define API_BESIDE_H

#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BESIDE_THREADS = 4, BESIDE_COLLECTIONS = 300, BESIDE_LEAST = 1000 };

static _Atomic unsigned long seen, missing; /* the threads count */
static _Atomic bool over;                   /* and end then */

static inline bool beside_enough(void)
{
    return atomic_load(&seen) > BESIDE_LEAST && atomic_load(&missing) > BESIDE_LEAST;
}

/* Calls fn with the numbers of the threads, from 0. */
static inline void run_beside_collections(void *(*fn)(void *number))
{
    pthread_t t[BESIDE_THREADS];
    for (uintptr_t i = 0; i < BESIDE_THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, fn, (void *)i), 0);
    for (int i = 0; i < BESIDE_COLLECTIONS || !beside_enough(); i++)
        gc_collect();
    atomic_store(&over, true);
    for (int i = 0; i < BESIDE_THREADS; i++)
        pthread_join(t[i], NULL);
}

#endif
