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
    void *(*fn)(void *); /* of the new thread */
    struct thread *thread;
    bool large, ok;
};

/* A thread that the library started, not the program: it holds no object. */
static void *run_internal(void *record)
{
    struct thread *t = record;
    thread_adopt(t, true);
    return t->task(t->task_arg);
}

static void *run_program(void *record)
{
    struct thread *t = record;
    thread_adopt(t, false);
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
    s->ok = os_real_pthread_create(&id, &attr, s->fn, s->thread) == 0;
    os_restore_signals(&old);
    pthread_attr_destroy(&attr);
}

/* Announced here: where the thread cannot have a record, it is not started. */
static struct thread *announce(void *(*fn)(void *), void *arg)
{
    world_lock_shortly();
    struct thread *t = thread_announce();
    lock_release(&world_lock);
    if (t) {
        t->task = fn;
        t->task_arg = arg;
    }
    return t;
}

static bool start_clean(struct start s, void *(*fn)(void *), void *arg)
{
    if (!os_own_threads() || !(s.thread = announce(fn, arg)))
        return false;
    os_call_clean(start, &s);
    if (!s.ok)
        thread_announced_in_vain(s.thread);
    return s.ok;
}

bool worker_start(void *(*fn)(void *), void *arg) { return start_clean((struct start){.fn = run_internal}, fn, arg); }

bool worker_start_large(void *(*fn)(void *), void *arg)
{
    return start_clean((struct start){.fn = run_program, .large = true}, fn, arg);
}
