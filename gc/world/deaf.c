/* deaf.c - threads that keep the stop signal blocked, in a handler's sa_mask, in sigsuspend or ppoll, or for good: they are
 * held by a tracer for the time of the stop.
 * Owns:   the tracer's memory; `held` and `deaf` of every thread, but that the handler clears `deaf`.
 * Locks:  none of its own; called by the holder of WORLD.
 * Keeps:  .region  a thread in a region is not held: it is let go, and answers by its flag as it leaves the region
 *         .one     a thread has at most one signal of ours waiting                  (deaf_needs_no_signal)
 * Below:  os, sysmem, thread.   Above: stop.   See doc/design/stopping.md
 *
 * There is one tracer at a time. When there is one more to hold, all are let go and held anew. */
#include "world/deaf.h"

#include "heap/sysmem.h"
#include "os/os.h"
#include "os/os_mem.h"

enum { PATIENCE_NS = 100 * 1000 * 1000 };

static bool enabled;
static struct os_holder *holder; /* while it holds */
static void *memory;
static size_t bytes;
static uint32_t refused; /* the stop in which the kernel said no */

void deaf_enable(bool on) { enabled = on && os_hold_bytes(1) > 0; }
bool deaf_enabled(void) { return enabled; }

bool deaf_needs_no_signal(const struct thread *t)
{
    return enabled && atomic_load_explicit(&t->deaf, memory_order_relaxed);
}

static bool silent(const struct thread *t, uint32_t e)
{
    return t->asked && atomic_load_explicit(&t->stopped_epoch, memory_order_acquire) != e;
}

/* A signal that was waiting may have been taken by the program, with sigwaitinfo say: then the thread would wait for one
 * that does not come. Or none could be queued, and still cannot. */
static bool blocks(struct thread *t, int sig)
{
    bool b = os_task_blocks(t->tid, sig) != 0;
    if (!b && atomic_exchange_explicit(&t->deaf, false, memory_order_relaxed))
        b = os_signal_thread(t->tid, sig, thread_signal_value(t)) == OS_RETRY;
    return b;
}

/* How many there are, those held already included; *more says that one is not. */
static size_t count(uint32_t e, int sig, bool *more)
{
    size_t n = 0;
    *more = false;
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!silent(t, e) || (!t->held && !blocks(t, sig)))
            continue;
        *more |= !t->held;
        atomic_store_explicit(&t->deaf, true, memory_order_relaxed);
        n++;
    }
    return n;
}

static bool make_room(size_t n)
{
    size_t need = round_up(os_hold_bytes(n), os_page_size());
    if (need <= bytes)
        return true;
    if (memory)
        sysmem_free(memory, bytes, SYS_GC);
    memory = sysmem_alloc(need, SYS_GC);
    bytes = memory ? need : 0;
    return memory;
}

/* The tracer stopped it somewhere: outside of a region it is as good as parked. */
static bool is_at_rest(const struct thread *t, uint32_t e)
{
    return silent(t, e) && atomic_load_explicit(&t->mcache.busy, memory_order_acquire) == 0;
}

/* False when one must run on. */
static bool take(struct os_holder *h, size_t n, uint32_t e)
{
    for (size_t i = 0; i < n; i++) {
        const struct os_held *held = os_hold_at(h, i);
        struct thread *t = thread_find(held->tid);
        if (held->state != OS_HELD_STOPPED)
            continue;
        if (!is_at_rest(t, e))
            return false;
        t->held = held;
        uintptr_t pointer = os_held_thread_pointer(held);
        if (t->found)
            t->self = pointer;
        else if (t->self != pointer)
            thread_become_found(t, pointer);
    }
    return true;
}

static struct os_holder *prepare(size_t n, uint32_t e)
{
    size_t i = 0;
    if (!make_room(n))
        return NULL;
    struct os_holder *h = os_hold_layout(memory, n);
    for (const struct thread *t = thread_list; t; t = t->next)
        if (i < n && silent(t, e) && atomic_load_explicit(&t->deaf, memory_order_relaxed))
            os_hold_at(h, i++)->tid = t->tid;
    return h;
}

void deaf_hold(uint32_t e, int sig)
{
    bool more;
    if (!enabled || refused == e)
        return;
    size_t n = count(e, sig, &more);
    if (!more)
        return;
    deaf_release();
    struct os_holder *h = prepare(n, e);
    enum os_hold done = h ? os_hold(h, os_now_ns() + PATIENCE_NS) : OS_HOLD_REFUSED;
    if (done == OS_HOLD_REFUSED)
        refused = e;
    if (done != OS_HOLD_DONE)
        return;
    holder = h;
    if (!take(h, n, e))
        deaf_release();
}

void deaf_release(void)
{
    if (!holder)
        return;
    for (struct thread *t = thread_list; t; t = t->next)
        t->held = NULL;
    os_hold_end(holder);
    holder = NULL;
}
