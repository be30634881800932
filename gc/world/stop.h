/* stop.h - stopping the other threads, and starting them again. */
#ifndef WORLD_STOP_H
#define WORLD_STOP_H

#include "world/thread.h"

/* Take a signal and install its handler. Once, before the first thread is listed. */
void stop_init(uint32_t ncpus);
int stop_signal(void);

struct boundary;

struct stop_result {
    bool stopped;     /* false: given up, everybody runs on */
    const char *why;  /* it was */
    bool blind;       /* /proc does not tell whether there are threads that nobody told of */
    uint32_t threads; /* others that were stopped, SAFE ones included */
};

/* Stop every thread of the process but the calling one, whose boundary is `at`. Takes the world lock and keeps it until
 * world_start. A thread that does not answer within wait_ns makes it give up: then the world runs and the lock is
 * free. No lock above WORLD may be held, and the thread is not in a region. While stopped: no malloc, no stdio. */
struct stop_result world_stop(const struct boundary *at, uint64_t wait_ns);
void world_start(void);

/* For fork: let the threads run, but keep the world lock until world_unlock. */
void world_start_locked(void);
void world_unlock(void);

/* Whether this thread has the world stopped. */
bool world_is_stopped(void);

/* Around a wait of a thread of ours: it counts as stopped from enter to leave. */
void safe_enter(struct thread *t);
void safe_leave(struct thread *t);

/* Such a wait while the futex has this value, for a thread of ours whose stack is scanned; it may wake up early. */
void safe_wait(_Atomic uint32_t *futex, uint32_t value);

/* After fork, in the child: nobody is stopped. */
void stop_fork_child(void);

#endif
