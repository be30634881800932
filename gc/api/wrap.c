/* wrap.c - the C library's functions that the library stands in front of; gc/wrapped lists them.
 * Owns:   nothing.
 * Locks:  WORLD, as a thread is made known.
 * Keeps:  .argument  the argument of a thread that has not started is held by an uncollectable record
 *         .signal    the program never blocks the stop signal by these calls
 * Below:  thread, os_real.   Above: the program, and every library that it loads. */
#include "api/api.h"
#include "os/os.h"
#include "os/os_real.h"
#include "world/stop.h"

#include <errno.h>

/* What the new thread needs, made by its parent, so that what can fail fails in pthread_create. */
struct start {
    void *(*fn)(void *);
    void *arg;
    struct thread *thread;
};

int OS_WRAPPED(pthread_create)(pthread_t *restrict id, const pthread_attr_t *restrict attr, void *(*fn)(void *),
                               void *restrict arg);
int OS_WRAPPED(pthread_sigmask)(int how, const sigset_t *restrict set, sigset_t *restrict old);
int OS_WRAPPED(sigprocmask)(int how, const sigset_t *restrict set, sigset_t *restrict old);

/* The new thread: known before it runs a line of the program, and open to the stop signal whatever mask it inherits. */
static void *run_thread(void *arg)
{
    struct start *record = arg;
    os_unblock_signal(stop_signal());
    thread_adopt(record->thread, false);
    thread_self()->stays = true;
    struct start s = *record;
    gc_free(record);
    return s.fn(s.arg);
}

static struct thread *reserve_record(void)
{
    struct mcache *c = mcache_self;
    region_enter(c);
    struct thread *t = thread_record_new();
    region_leave(c);
    return t;
}

int OS_WRAPPED(pthread_create)(pthread_t *restrict id, const pthread_attr_t *restrict attr, void *(*fn)(void *),
                               void *restrict arg)
{
    struct start *record = gc_malloc_uncollectable(sizeof *record);
    struct thread *t = record ? reserve_record() : NULL;
    int e = EAGAIN;
    if (t) {
        *record = (struct start){fn, arg, t};
        e = os_real_pthread_create(id, attr, run_thread, record);
    }
    if (e != 0 && t)
        thread_record_drop(t);
    if (e != 0)
        gc_free(record);
    return e;
}

/* Blocking is asked for without our signal; what the program reads back never names it. */
static const sigset_t *without_ours(int how, const sigset_t *set, sigset_t *copy)
{
    if (!set || how == SIG_UNBLOCK || stop_signal() == 0)
        return set;
    *copy = *set;
    sigdelset(copy, stop_signal());
    return copy;
}

int OS_WRAPPED(pthread_sigmask)(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    sigset_t copy;
    return os_real_pthread_sigmask(how, without_ours(how, set, &copy), old);
}

int OS_WRAPPED(sigprocmask)(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    sigset_t copy;
    return os_real_sigprocmask(how, without_ours(how, set, &copy), old);
}
