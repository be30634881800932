/* interrupts.c - which system calls a stop interrupted, and making it as if it had not.
 * Owns:   the calling thread's `interrupts`, and a timer of it while one is needed.
 * Locks:  none.
 * Keeps:  .never  a stop alone fails no call that is wrapped                                        (wait_again)
 *         .seen   a call that a handler of the program interrupted is not entered again for a stop  (wait_again), nor
 *                 restarted by the kernel for it if that handler has no SA_RESTART     (interrupts_note_handler)
 * Below:  os.   Above: stop (the handler), api/wrap_*.c.   See doc/design/stopping.md */
#include "world/interrupts.h"

#include "os/os_calls.h"
#include "world/stop.h"

#include <errno.h>

enum { FIRST_SHOT_NS = 1000000, SHOTS = 10 };

_Thread_local struct interrupts interrupts INITIAL_EXEC;

static uint32_t stops(void) { return atomic_load_explicit(&interrupts.stops, memory_order_relaxed); }
static uint32_t handlers(void) { return atomic_load_explicit(&interrupts.handlers, memory_order_relaxed); }

bool wait_only_stopped(const struct wait *w) { return stops() != w->stops && handlers() == w->handlers; }

/* Between the test and the kernel a handler of the program may run unseen. So `again` is raised first, and the handler
 * sees to it that the call is interrupted once more (kick). */
bool wait_again_after(struct wait *w, int error)
{
    if (error == 0)
        return false;
    w->again = false;
    if (error != EINTR || stops() == w->stops)
        return false;
    w->entered_again = true;
    atomic_store_explicit(&interrupts.again, w, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (handlers() != w->handlers)
        return false;
    w->stops = stops();
    w->again = true;
    return true;
}

bool wait_again(struct wait *w) { return wait_again_after(w, errno); }

static void end_kick(void)
{
    if (atomic_exchange_explicit(&interrupts.shots, 0, memory_order_relaxed) > 0)
        os_timer_delete(atomic_load_explicit(&interrupts.timer, memory_order_relaxed));
}

/* Not after a failure, the wait succeeded: then errno is as it was, and not what the stop made of it.
 * A handler inside this wait may have waited in its turn, and its end cleared `again`; but then this one was kicked. */
void wait_end_again(struct wait *w)
{
    int saved = errno;
    atomic_store_explicit(&interrupts.again, NULL, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&interrupts.kicked, memory_order_relaxed) == w)
        end_kick();
    errno = w->again ? w->error : saved;
}

void interrupts_note_stop(const void *ucontext)
{
    struct os_restarted at = os_context_restarted(ucontext);
    atomic_store_explicit(&interrupts.stops, stops() + 1, memory_order_relaxed);
    atomic_store_explicit(&interrupts.restarted_ip, at.ip, memory_order_relaxed);
    atomic_store_explicit(&interrupts.restarted_sp, at.sp, memory_order_relaxed);
}

/* A timer sends the stop signal again and again, at growing distances, as the first may come too early for the system
 * call. Where no timer can be had, the program's signal counts as one that came before the call. */
static void kick(const struct wait *w)
{
    int none = 0, id;
    if (!atomic_compare_exchange_strong_explicit(&interrupts.shots, &none, SHOTS, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    if (!os_timer_create(stop_signal(), &id)) {
        atomic_store_explicit(&interrupts.shots, 0, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&interrupts.timer, id, memory_order_relaxed);
    atomic_store_explicit(&interrupts.kicked, w, memory_order_relaxed);
    os_timer_set(id, FIRST_SHOT_NS);
}

/* It ends by itself too: the program's handler may leave the wait by siglongjmp, or the thread be cancelled in it. */
void interrupts_kicked(void)
{
    int shots = atomic_load_explicit(&interrupts.shots, memory_order_relaxed);
    if (shots > 1) {
        atomic_store_explicit(&interrupts.shots, shots - 1, memory_order_relaxed);
        os_timer_set(atomic_load_explicit(&interrupts.timer, memory_order_relaxed),
                     (uint64_t)FIRST_SHOT_NS << (SHOTS - shots + 1));
    } else {
        end_kick();
    }
}

/* The stop has SA_RESTART, and was taken first: the kernel saw no handler that wants the call to fail. */
static void undo_restart(int sig, void *ucontext)
{
    struct os_restarted at = os_context_restarted(ucontext);
    struct sigaction act;
    if (at.ip != atomic_load_explicit(&interrupts.restarted_ip, memory_order_relaxed) ||
        at.sp != atomic_load_explicit(&interrupts.restarted_sp, memory_order_relaxed))
        return;
    if (os_real_sigaction(sig, NULL, &act) == 0 && !(act.sa_flags & SA_RESTART))
        os_context_interrupt(ucontext);
}

void interrupts_note_handler(int sig, void *ucontext)
{
    int saved = errno;
    const struct wait *w = atomic_load_explicit(&interrupts.again, memory_order_relaxed);
    atomic_store_explicit(&interrupts.handlers, handlers() + 1, memory_order_relaxed);
    if (unlikely(w != NULL))
        kick(w);
    if (unlikely(atomic_load_explicit(&interrupts.restarted_ip, memory_order_relaxed) != 0)) {
        undo_restart(sig, ucontext);
        atomic_store_explicit(&interrupts.restarted_ip, 0, memory_order_relaxed);
    }
    errno = saved;
}

void interrupts_fork_child(void)
{
    atomic_store_explicit(&interrupts.shots, 0, memory_order_relaxed);
    atomic_store_explicit(&interrupts.again, NULL, memory_order_relaxed);
}
