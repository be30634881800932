/* finalizers.c - who makes the calls that are due.
 * Owns:   one thread, the mode, the program's notifier.
 * Locks:  LIFETIME, in endcalls.c, in a region; none while a call is made.
 * Keeps:  .open    a call is made with no lock held and in no region: it may do what the program may
 *         .known   and in a thread that is scanned; so no notifier is called in a thread of ours  (finalizers_call)
 *         .safe    asleep, our thread is in state SAFE and says where its frames begin            (safe_wait)
 *         .told    what is queued while it falls asleep is seen: it says so before it looks       (sleep_until_woken)
 *         .clean   asleep, none of its frames overlaps those of a call: nothing stays held there  (call_deep)
 * Below:  endcalls, worker, stop.   Above: lifetimes, cycle, api.   See doc/design/lifetimes.md */
#include "cycle/finalizers.h"

#include "base/check.h"
#include "os/os.h"
#include "world/region.h"
#include "world/stop.h"
#include "world/worker.h"

enum worker_state { WORKER_NONE, WORKER_ASLEEP, WORKER_AWAKE };
enum { SLEEPING_FRAMES = 2048 }; /* bytes, and more than they take */
static const uint64_t slow_ns = 1000000000;

_Atomic bool finalizers_due;
static _Atomic int mode = GC_SPAN_FINALIZE_THREAD;
static _Atomic uint32_t worker;                  /* futex: enum worker_state */
static bool slow_reported;                       /* written once */
static _Atomic uint64_t running_since;           /* a call that was not reported, with slow_reported; 0: none */
static _Atomic uintptr_t running;                /* its function */
static _Thread_local bool at_alloc INITIAL_EXEC; /* this thread makes calls because it allocated */

/* Lock of specials. */
static gc_finalizer_notify_fn notify;
static void *notify_arg;

void finalizers_report_slow(bool on) { slow_reported = on; }

static bool mode_is(int m) { return atomic_load_explicit(&mode, memory_order_seq_cst) == m; }

static bool is_finalizer(const struct endcall *e) { return e->special.kind == SPECIAL_FINALIZER; }

static void tell_slow(const struct endcall *e, uint64_t ns)
{
    if (ns > slow_ns)
        report_line("a %s took %llu ms: function %#lx, object %#lx", is_finalizer(e) ? "finalizer" : "cleanup",
                    (unsigned long long)(ns / 1000000), (unsigned long)endcalls_function(e),
                    (unsigned long)(uintptr_t)e->obj);
}

/* Of several threads that make calls the last one that began is looked at. */
void finalizers_tell_running(void)
{
    uint64_t since = atomic_load_explicit(&running_since, memory_order_acquire);
    uintptr_t fn = atomic_load_explicit(&running, memory_order_relaxed);
    uint64_t ns = since ? os_now_ns() - since : 0;
    if (ns > slow_ns &&
        atomic_compare_exchange_strong_explicit(&running_since, &since, 0, memory_order_relaxed, memory_order_relaxed))
        report_line("a finalizer or cleanup has been running for %llu ms: function %#lx",
                    (unsigned long long)(ns / 1000000), (unsigned long)fn);
}

static void note_running(const struct endcall *e, uint64_t since)
{
    if (e)
        atomic_store_explicit(&running, endcalls_function(e), memory_order_relaxed);
    atomic_store_explicit(&running_since, since, memory_order_release);
}

static NOINLINE void call(const struct endcall *e)
{
    uint64_t began = slow_reported ? os_now_ns() : 0;
    if (slow_reported)
        note_running(e, began);
    CHECK(atomic_load_explicit(&mcache_self->busy, memory_order_relaxed) == 0, "finalizers.open");
    if (is_finalizer(e))
        e->fn.finalizer(e->obj, e->arg);
    else
        e->fn.cleanup(e->arg);
    if (slow_reported) {
        note_running(NULL, 0);
        tell_slow(e, os_now_ns() - began);
    }
}

static NOINLINE void call_deep(const struct endcall *e)
{
    char frames[SLEEPING_FRAMES];
    __asm__ volatile("" : : "r"(frames) : "memory");
    call(e);
    __asm__ volatile("" : : "r"(frames) : "memory");
}

static NOINLINE bool run_one(void)
{
    struct mcache *c = mcache_self;
    region_enter(c);
    struct endcall *e = endcalls_take();
    region_leave(c);
    if (!e)
        return false;
    call_deep(e);
    region_enter(c);
    endcalls_drop(e);
    region_leave(c);
    return true;
}

size_t finalizers_run(void)
{
    size_t n = 0;
    while (run_one())
        n++;
    return n;
}

static bool wanted(void) { return mode_is(GC_SPAN_FINALIZE_THREAD) && endcalls_pending() > 0; }

static void sleep_until_woken(void)
{
    uint32_t asleep = WORKER_ASLEEP;
    atomic_store_explicit(&worker, WORKER_ASLEEP, memory_order_seq_cst);
    if (wanted())
        atomic_compare_exchange_strong_explicit(&worker, &asleep, WORKER_AWAKE, memory_order_relaxed,
                                                memory_order_relaxed);
    while (atomic_load_explicit(&worker, memory_order_relaxed) == WORKER_ASLEEP)
        safe_wait(&worker, WORKER_ASLEEP);
}

static _Noreturn void *worker_main(void *unused)
{
    (void)unused;
    for (;;) {
        while (wanted() && run_one())
            ;
        sleep_until_woken();
    }
}

/* Where there can be no thread, what is due waits until there can, or for gc_run_finalizers. */
static void start(void)
{
    uint32_t none = WORKER_NONE;
    if (atomic_compare_exchange_strong_explicit(&worker, &none, WORKER_AWAKE, memory_order_relaxed,
                                                memory_order_relaxed) &&
        !worker_start_large(worker_main, NULL))
        atomic_store_explicit(&worker, WORKER_NONE, memory_order_relaxed);
}

void finalizers_start(void)
{
    if (unlikely(atomic_load_explicit(&worker, memory_order_relaxed) == WORKER_NONE) &&
        mode_is(GC_SPAN_FINALIZE_THREAD))
        start();
}

static void wake(void)
{
    uint32_t asleep = WORKER_ASLEEP;
    if (atomic_compare_exchange_strong_explicit(&worker, &asleep, WORKER_AWAKE, memory_order_seq_cst,
                                                memory_order_seq_cst))
        os_futex_wake_all(&worker);
}

void finalizers_queued(bool first)
{
    if (first || !mode_is(GC_SPAN_FINALIZE_ON_DEMAND))
        atomic_store_explicit(&finalizers_due, true, memory_order_release);
}

/* In a region, by a thread of ours perhaps, that nobody need come out of for a thread that there is. */
static void queue_at_end(struct endcall *e)
{
    finalizers_queued(endcalls_queue(e, NULL));
    if (mode_is(GC_SPAN_FINALIZE_THREAD))
        wake();
}

/* A mark leaves none unmarked that has a finalizer (lifetimes.c). */
void finalizers_end_finalizer(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "lifetimes.kept");
    endcalls_drop_locked((struct endcall *)(void *)sp);
}

void finalizers_end_cleanup(struct special *sp, enum special_end why)
{
    (void)why;
    queue_at_end((struct endcall *)(void *)sp);
}

static void tell_program(void)
{
    struct mcache *c = mcache_self;
    region_enter(c);
    specials_lock();
    gc_finalizer_notify_fn fn = notify;
    void *arg = notify_arg;
    specials_unlock();
    region_leave(c);
    if (fn)
        fn(arg);
}

/* Who raised it queued something before, which is then seen. */
static void forget_due(void) { atomic_exchange_explicit(&finalizers_due, false, memory_order_acq_rel); }

static void run_at_alloc(void)
{
    if (at_alloc)
        return;
    at_alloc = true;
    forget_due();
    finalizers_run();
    at_alloc = false;
}

void finalizers_call(bool allocates)
{
    const struct thread *t = thread_self();
    if (mode_is(GC_SPAN_FINALIZE_THREAD)) {
        forget_due();
        finalizers_start();
        wake();
    } else if (t->internal) {
        return; /* the next thread of the program that allocates sees to it */
    } else if (mode_is(GC_SPAN_FINALIZE_ON_DEMAND)) {
        forget_due();
        tell_program();
    } else if (allocates) {
        run_at_alloc();
    }
}

int finalizers_set_mode(int m)
{
    int old = atomic_exchange_explicit(&mode, m, memory_order_seq_cst);
    if (endcalls_pending() > 0)
        finalizers_queued(true);
    return old;
}

gc_finalizer_notify_fn finalizers_set_notify(gc_finalizer_notify_fn fn, void *arg)
{
    specials_lock();
    gc_finalizer_notify_fn old = notify;
    notify = fn;
    notify_arg = arg;
    specials_unlock();
    return old;
}

void finalizers_fork_child(void)
{
    atomic_store_explicit(&worker, WORKER_NONE, memory_order_relaxed);
    if (endcalls_pending() > 0)
        finalizers_queued(true);
}
