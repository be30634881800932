/* stop.c - the stop protocol.
 * Owns:   the stop signal, the epoch, the count of answers.
 * Locks:  WORLD, from world_stop to world_start.
 * Keeps:  .epoch   odd while a stop is on; a parked thread leaves when it changes
 *         .once    a thread answers one stop once                       (park, nothing_to_answer)
 *         .all     a stop is complete when every thread asked has answered this epoch; the count of answers only
 *                  says when to look, since a thread may answer late a stop that was given up (all_answered)
 *         .unknown and only when the process has no other threads than those       (stop_unknown; unknown.counted)
 *         .region  a thread is never parked inside a region                          (stop_handler)
 *         .still   a parked thread runs nothing of the program: every signal is blocked, the C
 *                  library's own too, so that it is not cancelled either                 (stop_init, park_at)
 *         .memory  all a thread wrote before it parked is seen by the collector, and the other way round on start:
 *                  the answer is a release that the stopper acquires; the epoch's change likewise
 * Below:  thread, os.   Above: cycle, memstats.   See doc/design/stopping.md
 *
 * The signal carries the address of the thread's record, so the handler finds it without thread-local storage. A found
 * thread may run on another's, or on none that can be read: the signal says so too, and the handler leaves it alone, with
 * errno, which lies there. A signal may
 * come late, after its stop was given up, even after its thread's record went to another thread: the handler acts only
 * if the record names the thread that it runs on, and parks only while the epoch is odd. */
#include "world/stop.h"

#include "base/check.h"
#include "os/os.h"
#include "os/os_calls.h"
#include "world/boundary.h"
#include "world/deaf.h"
#include "world/interrupts.h"
#include "world/locate.h"
#include "world/mask.h"
#include "world/region.h"
#include "world/unknown.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

enum { SPINS = 200, LOOKS = 2000, POLL_NS = 20 * 1000, QUEUE_NS = 1000 * 1000 };

/* Naps of the stopper, doubled each time. After DEAF_NAP_NS, some 2 ms in all, it looks for those who will not hear it. */
enum { LEAST_NAP_NS = 50 * 1000, DEAF_NAP_NS = 1000 * 1000, NAP_NS = 20 * 1000 * 1000 };

static int stop_sig;
static _Atomic uint32_t epoch;   /* futex of the parked */
static _Atomic uint32_t answers; /* futex of the stopper */
static _Atomic uint32_t wanted;  /* answers that end the stopper's wait; UINT32_MAX until known */
static bool stopped;             /* by the holder of the world lock */
static _Atomic uint32_t looks;   /* of a parked thread at the epoch before it sleeps */
static uint32_t cpus;            /* written once */

/* A stop of a small heap is shorter than falling asleep and waking up, so those that were running look for its end a
 * while first, but only where each has a CPU to look from. */
static void wait_for_start(const struct thread *t, uint32_t e)
{
    bool look = atomic_load_explicit(&t->awaited, memory_order_relaxed);
    uint32_t n = look ? atomic_load_explicit(&looks, memory_order_relaxed) : 0;
    while (n-- > 0 && atomic_load_explicit(&epoch, memory_order_acquire) == e)
        cpu_relax();
    while (atomic_load_explicit(&epoch, memory_order_acquire) == e)
        os_futex_wait(&epoch, e, UINT64_MAX);
}

static void answer(void)
{
    uint32_t n = atomic_fetch_add_explicit(&answers, 1, memory_order_seq_cst) + 1;
    if (n >= atomic_load_explicit(&wanted, memory_order_seq_cst))
        os_futex_wake_all(&answers);
}

/* The thread's registers and stack are published; wait until the world starts. */
static void park(struct thread *t)
{
    uint32_t e = atomic_load_explicit(&epoch, memory_order_acquire);
    if (!(e & 1) || atomic_load_explicit(&t->stopped_epoch, memory_order_relaxed) == e)
        return;
    atomic_store_explicit(&t->stopped_epoch, e, memory_order_release);
    answer();
    wait_for_start(t, e);
}

/* A signal may come when the thread has answered by its flag, and its registers are being read; or after the stop. */
static bool nothing_to_answer(const struct thread *t)
{
    uint32_t e = atomic_load_explicit(&epoch, memory_order_acquire);
    return !(e & 1) || atomic_load_explicit(&t->stopped_epoch, memory_order_relaxed) == e;
}

/* The record may be of a thread that ended unseen, by an exit of its own or in its last destructors, and whose id is this
 * one's now: then the thread pointer is not that thread's. */
static void note_pointer(struct thread *t, uintptr_t pointer)
{
    if (t->found)
        t->self = pointer;
    else if (t->self != pointer)
        thread_become_found(t, pointer);
}

static void answer_signal(struct thread *t, uintptr_t pointer, const void *context)
{
    atomic_store_explicit(&t->deaf, false, memory_order_relaxed);
    if (nothing_to_answer(t))
        return;
    if (t->self == pointer && atomic_load_explicit(&t->mcache.busy, memory_order_relaxed)) {
        atomic_store_explicit(&t->mcache.stop_pending, 1, memory_order_relaxed);
    } else {
        t->context = context;
        note_pointer(t, pointer);
        t->blocked = os_context_blocked(context);
        park(t);
        t->context = NULL;
        atomic_store_explicit(&t->mcache.stop_pending, 0, memory_order_relaxed);
        mask_let_main_first(t);
    }
}

/* Also where the signal came late, for a record that is another's now; and from the timer of a wait. */
static void note_interruption(bool timer, const void *context)
{
    int saved = errno;
    if (timer)
        interrupts_kicked();
    interrupts_note_stop(context);
    errno = saved;
}

static void stop_handler(int sig, siginfo_t *si, void *context)
{
    (void)sig;
    bool timer = si->si_code == SI_TIMER;
    uintptr_t value = (uintptr_t)si->si_value.sival_ptr;
    struct thread *t = (void *)(value & ~(uintptr_t)THREAD_FOUND);
    if (!timer && (si->si_code != SI_QUEUE || si->si_pid != os_pid()))
        return;
    bool bare = value & THREAD_FOUND;
    if (!timer && t && t->tid == os_tid()) {
        uintptr_t pointer = os_thread_pointer();
        bare |= pointer != t->self;
        answer_signal(t, pointer, context);
    }
    if (timer || !bare)
        note_interruption(timer, context);
}

/* The C library's own signals are masked too: a thread that is cancelled must not unwind while it is stopped. */
void stop_init(uint32_t ncpus)
{
    struct sigaction sa = {.sa_sigaction = stop_handler, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    os_fill_signals(&sa.sa_mask);
    stop_sig = os_take_signal();
    cpus = ncpus;
    os_real_sigaction(stop_sig, &sa, NULL);
}

int stop_signal(void) { return stop_sig; }

/* The calling thread will be scanned from this boundary. Running on its alternate signal stack, it says so; that stack
 * may lie within its own. */
static void publish_boundary(struct thread *t, const struct boundary *at)
{
    uintptr_t sp = boundary_stack(at);
    t->boundary = at;
    t->other_lo = t->other_hi = 0;
    struct os_range alt = os_own_altstack();
    if (sp >= alt.lo && sp < alt.hi) {
        t->other_lo = sp;
        t->other_hi = alt.hi;
        t->other_base = alt.lo;
    }
}

/* No handler of the program runs on a parked thread: it could move a pointer from where the mark has not looked yet to
 * where it has. */
static void *park_at(uintptr_t p, uintptr_t unused, struct boundary *at)
{
    (void)unused;
    struct thread *t = thread_self();
    sigset_t old;
    int saved = errno;
    mask_block(&old);
    atomic_store_explicit(&t->mcache.stop_pending, 0, memory_order_relaxed);
    publish_boundary(t, at);
    uintptr_t fresh = mcache_fresh(&t->mcache);
    mcache_set_fresh(&t->mcache, p); /* which that is, where it is not 0 */
    park(t);
    mcache_set_fresh(&t->mcache, fresh);
    t->boundary = NULL;
    mask_restore(&old);
    errno = saved;
    return (void *)p;
}

void *region_park(void *p) { return boundary_call(park_at, (uintptr_t)p, 0); }

/* Dekker: the stopper raises the epoch, then reads the state; the thread leaving changes its state, then reads the
 * epoch. Both in one total order, so at least one sees the other. */
void safe_enter(struct thread *t) { atomic_store_explicit(&t->state, THREAD_SAFE, memory_order_seq_cst); }

void safe_leave(struct thread *t)
{
    for (;;) {
        atomic_store_explicit(&t->state, THREAD_RUNNING, memory_order_seq_cst);
        uint32_t e = atomic_load_explicit(&epoch, memory_order_seq_cst);
        if (!(e & 1))
            return;
        atomic_store_explicit(&t->state, THREAD_SAFE, memory_order_seq_cst);
        wait_for_start(t, e);
    }
}

static void *wait_at(uintptr_t futex, uintptr_t value, struct boundary *at)
{
    struct thread *t = thread_self();
    publish_boundary(t, at);
    safe_enter(t);
    os_futex_wait((_Atomic uint32_t *)futex, (uint32_t)value, UINT64_MAX);
    safe_leave(t);
    t->boundary = NULL;
    return NULL;
}

void safe_wait(_Atomic uint32_t *futex, uint32_t value) { boundary_call(wait_at, (uintptr_t)futex, value); }

/* Ask one thread to stop. OS_RETRY: until the end of the wait the kernel took no more signals (RLIMIT_SIGPENDING). Where
 * there is a tracer that is long enough after a while: the thread counts as one that does not hear. */
static enum os_sent request(struct thread *t, uint64_t end)
{
    uint64_t patience = deaf_enabled() ? os_now_ns() + QUEUE_NS : end;
    for (;;) {
        enum os_sent sent = os_signal_thread(t->tid, stop_sig, thread_signal_value(t));
        if (sent != OS_RETRY)
            return sent;
        uint64_t now = os_now_ns();
        if (now >= end)
            return sent;
        if (now >= patience) {
            atomic_store_explicit(&t->deaf, true, memory_order_relaxed);
            return OS_SENT;
        }
        sched_yield();
    }
}

static bool answered(const struct thread *t, uint32_t e)
{
    return t->held || atomic_load_explicit(&t->stopped_epoch, memory_order_acquire) == e;
}

/* Everyone who is to answer gets the flag, which is seen at the end of the next region: a thread that allocates gets
 * there within a microsecond, and a signal to another CPU takes ten times that. Returns how many such there are. */
static uint32_t raise_flags(const struct thread *self, struct stop_result *r)
{
    uint32_t n = 0;
    for (struct thread *t = thread_list; t; t = t->next) {
        t->asked = t != self && atomic_load_explicit(&t->state, memory_order_seq_cst) != THREAD_SAFE;
        r->threads += t != self;
        uint32_t refills = atomic_load_explicit(&t->mcache.refills, memory_order_relaxed);
        bool awaited = t->asked && refills != t->refills_seen;
        t->refills_seen = refills;
        atomic_store_explicit(&t->awaited, awaited, memory_order_relaxed);
        n += awaited;
        if (t->asked)
            atomic_store_explicit(&t->mcache.stop_pending, 1, memory_order_release);
    }
    return n;
}

static bool awaited_answered(uint32_t e)
{
    for (const struct thread *t = thread_list; t; t = t->next)
        if (atomic_load_explicit(&t->awaited, memory_order_relaxed) && !answered(t, e))
            return false;
    return true;
}

/* Signal those that `which` says and that have not answered. Returns how many are gone, or UINT32_MAX when one could
 * not be asked. */
static uint32_t signal_all(uint32_t e, bool awaited, uint64_t end)
{
    uint32_t gone = 0;
    for (struct thread *t = thread_list, *next; t; t = next) {
        next = t->next;
        if (!t->asked || atomic_load_explicit(&t->awaited, memory_order_relaxed) != awaited || answered(t, e) ||
            deaf_needs_no_signal(t))
            continue;
        switch (request(t, end)) {
        case OS_SENT:
            break;
        case OS_GONE:
            thread_forget_dead(t);
            gone++;
            break;
        case OS_RETRY:
            return UINT32_MAX;
        }
    }
    return gone;
}

static bool all_answered(uint32_t e)
{
    for (const struct thread *t = thread_list; t; t = t->next)
        if (t->asked && !answered(t, e))
            return false;
    return true;
}

/* Those that are waited for. */
static uint32_t count_asked(void)
{
    uint32_t n = 0;
    for (const struct thread *t = thread_list; t; t = t->next)
        n += t->asked && !deaf_needs_no_signal(t);
    return n;
}

/* Whether only those are missing that did not hear the signal before either. */
static bool only_deaf_left(uint32_t e)
{
    for (const struct thread *t = thread_list; t; t = t->next)
        if (t->asked && !answered(t, e) && !deaf_needs_no_signal(t))
            return false;
    return true;
}

/* Ask everybody. False when somebody could not be. */
static bool request_all(const struct thread *self, struct stop_result *r, uint32_t e, uint64_t end)
{
    uint32_t running = raise_flags(self, r);
    atomic_store_explicit(&looks, running < cpus ? LOOKS : 0, memory_order_relaxed);
    uint32_t gone = signal_all(e, false, end);
    if (gone == UINT32_MAX)
        return false;
    r->threads -= gone;
    uint64_t poll_end = running > 0 && running < cpus ? os_now_ns() + POLL_NS : 0;
    while (poll_end && !awaited_answered(e) && os_now_ns() < poll_end)
        cpu_relax();
    gone = signal_all(e, true, end);
    if (gone == UINT32_MAX)
        return false;
    r->threads -= gone;
    return true;
}

/* Ask the threads that were found in this stop. */
static bool request_found(struct stop_result *r, uint64_t end)
{
    for (struct thread *t = thread_list, *next; t; t = next) {
        next = t->next;
        if (!t->found || t->asked)
            continue;
        enum os_sent sent = request(t, end);
        if (sent == OS_RETRY)
            return false;
        t->asked = sent == OS_SENT;
        r->threads += t->asked;
        if (sent == OS_GONE)
            thread_forget_dead(t);
    }
    return true;
}

/* A thread may end between being asked and answering: on its way out the C library blocks all signals, and a destructor
 * that ran after ours may have made it known again. The dead answer nothing and hold nothing. */
static void forget_ended(uint32_t e)
{
    for (struct thread *t = thread_list, *next; t; t = next) {
        next = t->next;
        if (t->asked && !answered(t, e) && !os_thread_alive(t->tid))
            thread_forget_dead(t);
    }
}

/* The store of `wanted` and the load of `answers` are in one order with the two in answer(): no wake-up is lost. */
static bool wait_for_answers(uint32_t e, uint64_t end)
{
    uint32_t n = count_asked();
    uint64_t nap = LEAST_NAP_NS;
    atomic_store_explicit(&wanted, n, memory_order_seq_cst);
    for (int i = 0; i < SPINS && atomic_load_explicit(&answers, memory_order_seq_cst) < n; i++)
        sched_yield();
    for (;;) {
        uint32_t have = atomic_load_explicit(&answers, memory_order_seq_cst);
        if (all_answered(e))
            return true;
        if (os_now_ns() >= end)
            return false;
        if (nap > DEAF_NAP_NS || only_deaf_left(e))
            deaf_hold(e, stop_sig);
        if (all_answered(e))
            return true;
        os_futex_wait(&answers, have, nap);
        nap = nap < NAP_NS ? nap * 2 : NAP_NS;
        if (atomic_load_explicit(&answers, memory_order_seq_cst) == have)
            forget_ended(e);
    }
}

/* Threads that nobody told us of; those found may be making others until they are stopped. */
static bool stop_unknown(const struct thread *self, struct stop_result *r, uint32_t e, uint64_t end)
{
    for (;;) {
        switch (unknown_find(self)) {
        case UNKNOWN_NONE:
            return true;
        case UNKNOWN_BLIND:
            r->blind = true;
            return true;
        case UNKNOWN_FAILED:
            r->why = "the threads of the process cannot be listed (too many open files?)";
            return false;
        case UNKNOWN_NO_MEMORY:
            r->why = "a thread was found that did not make itself known, and there is no memory for its record";
            return false;
        case UNKNOWN_SOME:
            if (!request_found(r, end) || !wait_for_answers(e, end))
                return false;
            break;
        case UNKNOWN_AGAIN:
            if (os_now_ns() >= end)
                return false;
            sched_yield();
        }
    }
}

/* The tracer goes first: it is a child of this process, which a waitpid of the others would find. */
static void resume(void)
{
    deaf_release();
    atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst);
    os_futex_wake_all(&epoch);
}

struct stop_result world_stop(const struct boundary *at, uint64_t wait_ns)
{
    struct stop_result r = {0};
    world_let_comers_first();
    lock_acquire(&world_lock);
    struct thread *self = thread_self();
    CHECK(!self || atomic_load_explicit(&self->mcache.busy, memory_order_relaxed) == 0, "stop.region");
    if (self && at)
        publish_boundary(self, at);
    else if (!self)
        thread_forget_found(os_tid());
    atomic_store_explicit(&answers, 0, memory_order_relaxed);
    atomic_store_explicit(&wanted, UINT32_MAX, memory_order_relaxed);
    uint32_t e = atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst) + 1;
    CHECK(e & 1, "stop.epoch");
    uint64_t end = os_now_ns() + wait_ns;
    r.why = "a thread did not stop (it may block the library's signal, see spangc(7))";
    r.stopped = request_all(self, &r, e, end) && wait_for_answers(e, end) && stop_unknown(self, &r, e, end);
    if (r.stopped && at && !locate_stacks()) {
        r.why = "a thread that did not make itself known runs on an alternate stack, and its own is not known";
        r.stopped = false;
    }
    stopped = r.stopped;
    if (!r.stopped) {
        resume();
        lock_release(&world_lock);
    }
    return r;
}

void world_start_locked(void)
{
    struct thread *self = thread_self();
    CHECK(stopped && lock_held(RANK_WORLD), "stop.epoch");
    if (self)
        self->boundary = NULL;
    stopped = false;
    mask_note_pending(stop_sig);
    resume();
}

void world_unlock(void) { lock_release(&world_lock); }

void world_start(void)
{
    world_start_locked();
    world_unlock();
}

bool world_is_stopped(void) { return stopped; }

void stop_fork_child(void)
{
    stopped = false;
    interrupts_fork_child();
    uint32_t e = atomic_load_explicit(&epoch, memory_order_relaxed);
    atomic_store_explicit(&epoch, (e + 1) & ~UINT32_C(1), memory_order_relaxed);
}
