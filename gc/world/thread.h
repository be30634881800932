/* thread.h - the threads that the library knows. */
#ifndef WORLD_THREAD_H
#define WORLD_THREAD_H

#include "base/lock.h"
#include "heap/mcache.h"

/* RUNNING threads are stopped by a signal. One that is SAFE has published its stack and registers, touches no object,
 * and looks before it runs on whether the world is stopped. */
enum thread_state { THREAD_RUNNING, THREAD_SAFE };

struct boundary;
struct stack;
struct os_held;

struct thread {
    struct mcache mcache;           /* first: mcache_self is the thread */
    struct thread *next, *prev;     /* in the list of all; world lock */
    int tid;                        /* written before it is listed; type-stable, see stop_handler */
    uint32_t attached;              /* times it attached itself; this thread */
    bool stays;                     /* known otherwise than by attaching itself: to its end. This thread */
    bool main;                      /* the first thread: its stack grows as far as RLIMIT_STACK then says. const */
    bool internal;                  /* a thread of ours: holds no object; const */
    _Atomic uint8_t state;          /* enum thread_state; this thread */
    bool found;                     /* by a stopper, that made this record of it: see unknown.c. Once it is, for good */
    uintptr_t stack_lo, stack_hi;   /* its own stack; const. Found: the stopper */
    uintptr_t self;                 /* pthread_self() of it, where its thread-local storage is found. const. Found: this
                                        thread as it parks; the stopper clears it if that is no thread's of the C library */
    uintptr_t tls_lo, tls_hi;       /* found: what is around its thread pointer. The stopper */
    _Atomic uint32_t stopped_epoch; /* of the stop that it last answered; this thread */
    bool asked;                     /* to answer the stop that is on; the stopper */
    uint32_t refills_seen;          /* mcache.refills at the last stop; the stopper */
    _Atomic bool awaited;           /* it allocates: asked by its flag first, and looks for the start. The stopper */
    uint64_t blocked;               /* signals that the program blocks in it, as it stops; this thread */
    const void *context;            /* ucontext of the handler it is parked in, or NULL. This thread, while stopping */
    const struct boundary *boundary; /* where it entered the library, if it parked or collects there. This thread */
    struct stack *own_stack;         /* what gc_stack_self made for it, or NULL. This thread */
    uintptr_t other_lo, other_hi;    /* with boundary: the part in use of an alternate stack it runs on. This thread.
                                        Found or held: of any stack. The stopper */
    uintptr_t other_base;            /* with boundary: where all of that stack begins. This thread */
    _Atomic bool deaf;               /* a signal waits that it blocks: see deaf.c. The stopper; its handler clears it */
    const struct os_held *held;      /* by a tracer, with these registers, or NULL. The stopper */
    void *(*task)(void *);           /* what a thread of ours is for, and its argument. Who starts it */
    void *task_arg;
};

/* All, newest first; world lock. How many there are may be read without it. */
extern struct thread *thread_list;
extern _Atomic uint32_t thread_count;
extern struct lock world_lock;

/* A thread that starts or ends needs the world lock for a moment. It takes it with the first, and a stopper calls the second
 * before it takes it: a program that collects again and again would else have it back each time before the one that is
 * woken runs, and no thread would start for as long. Does not wait for long. */
void world_lock_shortly(void);
void world_let_comers_first(void);

/* The calling thread's record, or NULL if it is not known, or in a handler that interrupted the library. */
static inline struct thread *thread_self(void)
{
    struct mcache *c = mcache_self;
    return mcache_is_shared(c) ? NULL : (struct thread *)(void *)c;
}

/* What the stop signal carries: the record, and in the lowest bit that the thread was found, and may run on thread-local
 * storage that is another's, or none. */
enum { THREAD_FOUND = 1 };
static inline void *thread_signal_value(const struct thread *t)
{
    return (void *)((uintptr_t)t | (t->found ? THREAD_FOUND : 0));
}

/* A record for a thread that is to be, or NULL without memory; and it is not to be after all. By a known thread in a region,
 * or under the world lock; the second not in a region. A stopper that finds the thread before it is known does not need
 * memory for it. */
struct thread *thread_announce(void);
void thread_announced_in_vain(struct thread *t);

/* Make the calling thread known, with the record made for it, in which `tid` and `internal` may be set. Not in a region. */
void thread_adopt(struct thread *t);

/* Make one of the program's known that nobody announced; NULL when memory cannot be had. */
struct thread *thread_register(void);

/* Forget the calling thread: its spans go back. Its pointers are not roots any longer. */
void thread_unregister(void);

/* Forget a thread that ended without telling: its record is unlinked and freed. World lock held; no stop pending. */
void thread_forget_dead(struct thread *t);

/* Forget what others listed by the calling thread's id, which it is not known by. World lock held. */
void thread_forget_found(int tid);

/* The record of this id, or NULL; a new one for a thread that did not make itself known, or NULL without memory: listed,
 * and in the way of nothing the thread may do. World lock. */
struct thread *thread_find(int tid);
struct thread *thread_list_found(int tid);

/* The record's thread ended unseen, and its id is another's, with this thread pointer, which is being stopped. By that
 * thread's handler, or by the stopper when a tracer holds it. */
void thread_become_found(struct thread *t, uintptr_t pointer);

/* Give the spans of every thread's cache back. The world is stopped. */
void thread_flush_all(void);

/* Records in use, in bytes. */
uint64_t thread_record_bytes(void);

/* Pointers that threads which are no more had looked up. World lock. */
uint64_t thread_lookups_of_the_dead(void);

/* After fork, in the child: only the calling thread is left. caches_empty: those of the others hold nothing, and what
 * they were about to do with them they had not begun. */
void thread_fork_child(bool caches_empty);

void thread_fork_acquire(void);
void thread_fork_release(void);

#endif
