/* worker.c - starting threads of our own.
 * Owns:   nothing. Locks: none.
 * Keeps:  .quiet  a handler of the program never runs on a thread of the library
 *         .clean  it does not inherit what the program had in its registers: until it is listed it is scanned like any
 *                 thread that nobody knows, and would hold that                       (api/garbage, rings)
 * Below:  os, stop.   Above: mark/markers.c, cycle/sweeper.c, cycle/finalizers.c. */
#include "world/worker.h"

#include "os/os.h"
#include "os/os_real.h"
#include "world/stop.h"

#include <pthread.h>

enum { WORKER_STACK = 256 * 1024 };

struct start {
    void *(*fn)(void *);
    void *arg;
    bool large, ok;
};

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
    s->ok = os_real_pthread_create(&id, &attr, s->fn, s->arg) == 0;
    os_restore_signals(&old);
    pthread_attr_destroy(&attr);
}

static bool start_clean(struct start s)
{
    if (os_own_threads())
        os_call_clean(start, &s);
    return s.ok;
}

bool worker_start(void *(*fn)(void *), void *arg) { return start_clean((struct start){.fn = fn, .arg = arg}); }

bool worker_start_large(void *(*fn)(void *), void *arg)
{
    return start_clean((struct start){.fn = fn, .arg = arg, .large = true});
}
