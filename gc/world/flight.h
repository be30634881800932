/* flight.h - threads in flight: from their creation until they are joined or detached, something must be held for them
 * that they do not hold themselves, at first the argument, at last the result. */
#ifndef WORLD_FLIGHT_H
#define WORLD_FLIGHT_H

#include "base/attr.h"

#include <pthread.h>

struct thread;

/* What is known of such a thread. A bool or a caller is a reason to keep it; the flight lock protects all that has no
 * other owner. */
struct flight {
    union {
        void *(*fn)(void *);
        int (*c11)(void *);
    };                            /* const */
    void *held;                   /* the argument until the thread has it, then the result. Maker, then the thread */
    struct thread *thread;        /* made for it before it begins. const */
    pthread_t id;                 /* while listed; another listed one that is not wanted any longer may have the same */
    struct flight *next;          /* of those with its id's hash, while listed */
    struct flight *after, **link; /* in the list of all, and what points to it there */
    uint32_t callers;             /* that are inside a call which names the thread */
    bool creating;                /* the call that makes it has not returned */
    bool running;                 /* the thread will still write here */
    bool listed;
    bool taken; /* joined or detached: nobody will ask for the result */
};

enum flight_outcome { FLIGHT_AS_IT_WAS, FLIGHT_JOINED, FLIGHT_DETACHED };

/* All are called in a region. A record that nobody needs any longer is freed by the call that finds that out. */

/* A new record, not listed, that holds `held`; NULL when there is no memory. joinable: the call that makes the thread has
 * to tell of its end by flight_made, and the thread of its own. Else whoever is done with it calls flight_drop. */
struct flight *flight_new(void *held, bool joinable);
void flight_drop(struct flight *f);

/* Make it findable, unless it is: by the thread, before it runs a line of the program, or by its maker, who may be
 * earlier. */
void flight_list(struct flight *f, pthread_t id);

/* The call that makes the thread is about to return: *id is read if the record is not listed yet, since the thread may
 * have freed it then. The thread will write no more. */
void flight_made(struct flight *f, const pthread_t *id);
void flight_ended(struct flight *f);

/* Around a call that joins or detaches: the thread's record or NULL, kept until flight_leave. */
struct flight *flight_enter(pthread_t id);
void flight_leave(struct flight *f, enum flight_outcome outcome);

/* The calling thread, whose id it is, ends with this result. */
void flight_result(pthread_t id, void *result);

/* Calls fn with all that is held; the world is stopped. */
void flight_each(void (*fn)(void *held));
size_t flight_count(void);

/* Around fork; in the child, only the calling thread is left, and no caller is inside a call. */
void flight_fork_acquire(void);
void flight_fork_release(void);
void flight_fork_child(pthread_t self);

#endif
