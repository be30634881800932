/* mask.c - signals are blocked around a stop; those to the process go to the main thread first when it is over.
 * Owns:   the set of such signals.
 * Locks:  none; the stopper writes under WORLD.
 * Keeps:  .first  a signal to the process that came during a stop is taken by the main thread, if that takes it at all
 * Below:  os, thread.   Above: stop, cycle, memstats.
 *
 * A signal to the process that comes while all its threads are stopped is taken by the first of them that runs again.
 * Without a stop the kernel gives it to the main thread, if that does not block it, and many programs wait in that
 * thread for the handler to interrupt them. So the other threads hold back until it is taken. */
#include "world/mask.h"

#include "os/os.h"

#include <sched.h>

enum { PATIENCE_NS = 100 * 1000 * 1000, RETURN_NS = 2 * 1000 * 1000 };

static _Atomic uint64_t for_main; /* came during the last stop, and the main thread does not block them */
static _Atomic uint64_t main_ran; /* when it then went on, or 0 */

void mask_block(sigset_t *old)
{
    struct thread *t = thread_self();
    os_block_signals(old);
    if (t)
        t->blocked = os_signal_bits(old);
}

void mask_restore(const sigset_t *old)
{
    mask_let_main_first(thread_self());
    os_restore_signals(old);
}

void mask_note_pending(int stop_sig)
{
    uint64_t pending = os_pending_signals() & ~os_signal_bit(stop_sig);
    const struct thread *t = pending ? thread_list : NULL;
    while (t && !t->main)
        t = t->next;
    atomic_store_explicit(&main_ran, 0, memory_order_relaxed);
    atomic_store_explicit(&for_main, t ? pending & ~t->blocked : 0, memory_order_relaxed);
}

/* Of signals that this thread would take. The main thread takes them as it returns from its handler, a moment after it
 * says here that it runs. One that is for this thread alone looks the same, so the wait ends soon after that moment. */
static void hold_back(uint64_t signals, uint64_t now)
{
    uint64_t end = now + PATIENCE_NS;
    while (os_pending_signals() & signals && now < end) {
        sched_yield();
        uint64_t ran = atomic_load_explicit(&main_ran, memory_order_relaxed);
        if (ran && ran + RETURN_NS < end)
            end = ran + RETURN_NS;
        now = os_now_ns();
    }
}

void mask_let_main_first(const struct thread *t)
{
    uint64_t signals = atomic_load_explicit(&for_main, memory_order_relaxed);
    if (likely(signals == 0))
        return;
    if (t && t->main)
        atomic_store_explicit(&main_ran, os_now_ns(), memory_order_relaxed);
    else
        hold_back(t ? signals & ~t->blocked : signals, os_now_ns());
}
