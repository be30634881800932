/* interrupts.h - what interrupted the calling thread: stops of the world, and signal handlers of the program.
 *
 * Some system calls are never restarted by the kernel, whatever SA_RESTART says: they fail with EINTR after any handler.
 * The library stands in front of them and enters one again if a stop interrupted it and no handler of the program did:
 *
 *     struct wait w = wait_begin();
 *     int r;
 *     do
 *         r = os_real_poll(...);
 *     while (r < 0 && wait_again(&w));
 *     wait_end(&w);
 */
#ifndef WORLD_INTERRUPTS_H
#define WORLD_INTERRUPTS_H

#include "os/os.h"

#include <errno.h>

struct wait {
    uint32_t stops, handlers; /* as the wait began, or was entered again */
    int error;                /* errno then */
    bool entered_again;
    bool again; /* the last answer of wait_again */
};

/* Of one thread, written by its signal handlers and by itself. Thread-local and not in the thread's record, since it
 * counts for threads that have none. */
struct interrupts {
    _Atomic uint32_t stops;                       /* stop signals taken */
    _Atomic uint32_t handlers;                    /* handlers of the program begun */
    const struct wait *_Atomic again;             /* a wait that is on its way into the kernel again, after a stop */
    const struct wait *_Atomic kicked;            /* the wait that the timer is for */
    _Atomic int timer, shots;                     /* the timer, and how often it will fire yet; 0: there is none */
    _Atomic uintptr_t restarted_ip, restarted_sp; /* where the last stop made the kernel begin a system call again */
};
extern _Thread_local struct interrupts interrupts INITIAL_EXEC;

/* A wait that was left by a jump or a cancellation is still noted; one that this wait's handler interrupted knows. */
static inline struct wait wait_begin(void)
{
    if (unlikely(atomic_load_explicit(&interrupts.again, memory_order_relaxed) != NULL))
        atomic_store_explicit(&interrupts.again, NULL, memory_order_relaxed);
    return (struct wait){.stops = atomic_load_explicit(&interrupts.stops, memory_order_relaxed),
                         .handlers = atomic_load_explicit(&interrupts.handlers, memory_order_relaxed),
                         .error = errno};
}

/* Whether a stop came since the wait began and no handler of the program ran. */
bool wait_only_stopped(const struct wait *w);

/* After a call that failed: whether it did for a stop alone, so that it is to be made again. Keeps errno. */
bool wait_again(struct wait *w);
bool wait_again_after(struct wait *w, int error); /* the same of a call that returns its error */

void wait_end_again(struct wait *w);
static inline void wait_end(struct wait *w)
{
    if (unlikely(w->entered_again))
        wait_end_again(w);
}

/* In the handler of the stop signal, before it returns; and when the timer sent it. */
void interrupts_note_stop(const void *ucontext);
void interrupts_kicked(void);

/* Before a handler of the program runs, with the context that it gets. */
void interrupts_note_handler(int sig, void *ucontext);

/* After fork, in the child: the timer was not inherited. */
void interrupts_fork_child(void);

#endif
