/* worker.c - starting threads of our own.
 * Owns:   nothing. Locks: WORLD for a moment.
 * Keeps:  .quiet  a handler of the program never runs on a thread of the library
 *         .clean  it does not inherit what the program had in its registers: until it is listed it is scanned like any
 *                 thread that nobody knows, and would hold that                       (api/garbage, rings)
 * Below:  os, stop, thread.   Above: mark/markers.c, cycle/sweeper.c, cycle/sysmon.c, cycle/finalizers.c. */
#include "world/worker.h"

#include "os/os.h"
#include "os/os_real.h"
#include "world/stop.h"
#include "world/thread.h"

#include <pthread.h>

enum { WORKER_STACK = 256 * 1024 };

struct start {
    struct thread *thread;
    bool large, ok;
};

static void *run(void *record)
{
    struct thread *t = record;
    thread_adopt(t);
    return t->task(t->task_arg);
}

static void start(void *arg)
{
    struct start *s = arg;
    pthread_attr_t attr;
    pthread_t id;
    sigset_t old;
    if (pthread_attr_init(&attr) != 0)
        return;
    if (!s->large)
        pthread_attr_setstacksize(&attr, WORKER_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    os_block_signals_but(stop_signal(), &old);
    s->ok = os_real_pthread_create(&id, &attr, run, s->thread) == 0;
    os_restore_signals(&old);
    pthread_attr_destroy(&attr);
}

/* Announced here: where the thread cannot have a record, it is not started. */
static struct thread *announce(void)
{
    world_lock_shortly();
    struct thread *t = thread_announce();
    lock_release(&world_lock);
    return t;
}

/* A large one calls the program, and holds objects. */
static bool start_clean(void *(*fn)(void *), void *arg, bool large)
{
    struct thread *t = os_own_threads() ? announce() : NULL;
    if (!t)
        return false;
    t->internal = !large;
    t->task = fn;
    t->task_arg = arg;
    struct start s = {.thread = t, .large = large};
    os_call_clean(start, &s);
    if (!s.ok)
        thread_announced_in_vain(t);
    return s.ok;
}

bool worker_start(void *(*fn)(void *), void *arg) { return start_clean(fn, arg, false); }
bool worker_start_large(void *(*fn)(void *), void *arg) { return start_clean(fn, arg, true); }
