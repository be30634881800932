/* wrap_threads.c - the C library's functions that make, end, join and detach threads; gc/wrapped lists them.
 * Owns:   nothing.
 * Locks:  WORLD, as a thread is made known; FLIGHT, in a region.
 * Keeps:  .argument  the argument of a thread that has not started is held by its record
 *         .result    so is the result of one that ended, until a join or detach of it has succeeded
 *         .cancel    no thread is cancelled while it is in here, but where the C library's function says it may be
 * Below:  flight, thread, os_real.   Above: the program, and every library that it loads.
 *
 * The result of a thread that is cancelled is no object, nor is that of one made by thrd_create. The C library's own
 * calls of these functions do not come by here; none of those that it has gives a result. */
#include "api/api.h"
#include "os/os.h"
#include "os/os_real.h"
#include "world/flight.h"
#include "world/stop.h"

#include <errno.h>

int OS_WRAPPED(pthread_create)(pthread_t *restrict id, const pthread_attr_t *restrict attr, void *(*fn)(void *),
                               void *restrict arg);
_Noreturn void OS_WRAPPED(pthread_exit)(void *result);
int OS_WRAPPED(pthread_join)(pthread_t id, void **result);
int OS_WRAPPED(pthread_tryjoin_np)(pthread_t id, void **result);
int OS_WRAPPED(pthread_timedjoin_np)(pthread_t id, void **result, const struct timespec *until);
int OS_WRAPPED(pthread_clockjoin_np)(pthread_t id, void **result, clockid_t clock, const struct timespec *until);
int OS_WRAPPED(pthread_detach)(pthread_t id);
int OS_WRAPPED(thrd_create)(thrd_t *id, thrd_start_t fn, void *arg);
int OS_WRAPPED(thrd_join)(thrd_t id, int *result);
int OS_WRAPPED(thrd_detach)(thrd_t id);

/* Being cancelled at any instruction is put off: it must not happen with a lock held. */
static int defer_cancel(void)
{
    int old;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
    return old;
}

static void restore_cancel(int type)
{
    int unused;
    pthread_setcanceltype(type, &unused);
}

#define IN_REGION(call)                                                                                                \
    ({                                                                                                                 \
        struct mcache *cache_ = mcache_self;                                                                           \
        region_enter(cache_);                                                                                          \
        __auto_type result_ = (call);                                                                                  \
        region_leave(cache_);                                                                                          \
        result_;                                                                                                       \
    })

#define IN_REGION_DO(call) ((void)IN_REGION(((call), 0)))

void api_threads_fork_child(void) { flight_fork_child(pthread_self()); }

/* ---- beginning ---- */

static struct flight *new_flight(void *arg, bool joinable)
{
    struct flight *f = flight_new(arg, joinable);
    struct thread *t = f ? thread_announce() : NULL;
    if (t)
        f->thread = t;
    else if (f)
        flight_drop(f);
    return t ? f : NULL;
}

/* Made by the parent, so that what can fail fails in its call. */
static struct flight *prepare(const char *call, void *arg, bool joinable)
{
    return api_thread_for(call) ? IN_REGION(new_flight(arg, joinable)) : NULL;
}

static void undo(struct flight *f)
{
    thread_announced_in_vain(f->thread);
    IN_REGION_DO(flight_drop(f));
}

/* The new thread: known before it runs a line of the program, and open to the stop signal whatever mask it inherits. */
static void begin(struct thread *t)
{
    os_unblock_signal(stop_signal());
    t->tid = os_tls_tid((uintptr_t)pthread_self());
    thread_adopt(t);
    t->stays = true;
}

static void ended(void *f) { IN_REGION_DO(flight_ended(f)); }

/* Returning, pthread_exit and being cancelled all come by the cleanup. */
static void *run_joinable(struct flight *f)
{
    void *arg = f->held, *result;
    IN_REGION_DO(flight_list(f, pthread_self()));
    f->held = NULL;
    pthread_cleanup_push(ended, f);
    result = f->fn(arg);
    defer_cancel();
    f->held = result;
    pthread_cleanup_pop(1);
    return result;
}

static void *run_thread(void *flight)
{
    struct flight *f = flight;
    begin(f->thread);
    if (f->running)
        return run_joinable(f);
    struct flight copy = *f;
    IN_REGION_DO(flight_drop(f));
    void *result = copy.fn(copy.held);
    defer_cancel();
    return result;
}

static int run_c11(void *flight)
{
    struct flight f = *(struct flight *)flight;
    begin(f.thread);
    IN_REGION_DO(flight_drop(flight));
    int result = f.c11(f.held);
    defer_cancel();
    return result;
}

static bool is_joinable(const pthread_attr_t *attr)
{
    int state = PTHREAD_CREATE_JOINABLE;
    return !attr || pthread_attr_getdetachstate(attr, &state) != 0 || state == PTHREAD_CREATE_JOINABLE;
}

/* The C library has written *id before the thread begins, and the program may count on that, so it gets the program's
 * pointer. While the record is not listed, the thread runs no code that could have changed or freed *id since. */
static int create(struct flight *f, pthread_t *id, const pthread_attr_t *attr)
{
    bool joinable = f->running; /* if not, the record is the thread's alone once that begins */
    int e = os_real_pthread_create(id, attr, run_thread, f);
    if (e != 0)
        undo(f);
    else if (joinable)
        IN_REGION_DO(flight_made(f, id));
    return e;
}

int OS_WRAPPED(pthread_create)(pthread_t *restrict id, const pthread_attr_t *restrict attr, void *(*fn)(void *),
                               void *restrict arg)
{
    if (os_tsan_starts(fn))
        return os_real_pthread_create(id, attr, fn, arg);
    int type = defer_cancel(), e = EAGAIN;
    struct flight *f = prepare("pthread_create", arg, is_joinable(attr));
    if (f) {
        f->fn = fn;
        e = create(f, id, attr);
    }
    restore_cancel(type);
    return e;
}

int OS_WRAPPED(thrd_create)(thrd_t *id, thrd_start_t fn, void *arg)
{
    int type = defer_cancel(), e = thrd_nomem;
    struct flight *f = prepare("thrd_create", arg, false);
    if (f) {
        f->c11 = fn;
        e = os_real_thrd_create(id, run_c11, f);
        if (e != thrd_success)
            undo(f);
    }
    restore_cancel(type);
    return e;
}

/* ---- ending ---- */

void OS_WRAPPED(pthread_exit)(void *result)
{
    defer_cancel();
    struct thread *t = thread_self(); /* one that is not known was not made here */
    if (t) {
        region_enter(&t->mcache);
        flight_result(pthread_self(), result);
        region_leave(&t->mcache);
    }
    os_real_pthread_exit(result);
}

/* A call that names a thread, and what it does then if it succeeds. */
struct call {
    int (*fn)(const struct call *c);
    enum flight_outcome outcome;
    pthread_t id;
    void **result;
    int *c11_result;
    clockid_t clock;
    const struct timespec *until;
};

static void leave(struct flight *f, enum flight_outcome outcome) { IN_REGION_DO(flight_leave(f, outcome)); }

static void leave_cancelled(void *f) { leave(f, FLIGHT_AS_IT_WAS); }

static int call_kept(const struct call *c, struct flight *f)
{
    int e;
    pthread_cleanup_push(leave_cancelled, f);
    e = c->fn(c);
    pthread_cleanup_pop(0);
    leave(f, e == 0 ? c->outcome : FLIGHT_AS_IT_WAS);
    return e;
}

/* Who asks for a result is made known: it may be about to hold an object. */
static struct flight *enter(pthread_t id)
{
    int saved = errno;
    struct flight *f = api_thread_for("pthread_join") ? IN_REGION(flight_enter(id)) : NULL;
    errno = saved;
    return f;
}

static int make(const struct call *c)
{
    int type = defer_cancel();
    struct flight *f = enter(c->id);
    int e = f ? call_kept(c, f) : c->fn(c);
    restore_cancel(type);
    return e;
}

static int join(const struct call *c) { return os_real_pthread_join(c->id, c->result); }
static int tryjoin(const struct call *c) { return os_real_pthread_tryjoin_np(c->id, c->result); }
static int timedjoin(const struct call *c) { return os_real_pthread_timedjoin_np(c->id, c->result, c->until); }
static int clockjoin(const struct call *c)
{
    return os_real_pthread_clockjoin_np(c->id, c->result, c->clock, c->until);
}
static int detach(const struct call *c) { return os_real_pthread_detach(c->id); }
static int c11_join(const struct call *c) { return os_real_thrd_join(c->id, c->c11_result); }
static int c11_detach(const struct call *c) { return os_real_thrd_detach(c->id); }
_Static_assert(thrd_success == 0, "make() takes 0 for success");

int OS_WRAPPED(pthread_join)(pthread_t id, void **result)
{
    return make(&(struct call){.fn = join, .outcome = FLIGHT_JOINED, .id = id, .result = result});
}

int OS_WRAPPED(pthread_tryjoin_np)(pthread_t id, void **result)
{
    return make(&(struct call){.fn = tryjoin, .outcome = FLIGHT_JOINED, .id = id, .result = result});
}

int OS_WRAPPED(pthread_timedjoin_np)(pthread_t id, void **result, const struct timespec *until)
{
    return make(&(struct call){.fn = timedjoin, .outcome = FLIGHT_JOINED, .id = id, .result = result, .until = until});
}

int OS_WRAPPED(pthread_clockjoin_np)(pthread_t id, void **result, clockid_t clock, const struct timespec *until)
{
    return make(&(struct call){
        .fn = clockjoin, .outcome = FLIGHT_JOINED, .id = id, .result = result, .clock = clock, .until = until});
}

int OS_WRAPPED(pthread_detach)(pthread_t id)
{
    return make(&(struct call){.fn = detach, .outcome = FLIGHT_DETACHED, .id = id});
}

/* A thread of pthread_create may be joined and detached by these as well. */
int OS_WRAPPED(thrd_join)(thrd_t id, int *result)
{
    return make(&(struct call){.fn = c11_join, .outcome = FLIGHT_JOINED, .id = id, .c11_result = result});
}

int OS_WRAPPED(thrd_detach)(thrd_t id)
{
    return make(&(struct call){.fn = c11_detach, .outcome = FLIGHT_DETACHED, .id = id});
}
