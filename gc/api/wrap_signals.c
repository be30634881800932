/* wrap_signals.c - the program's signal handlers: noted as they begin, kept out of the library where they interrupted
 * it; and waits for signals.
 * Owns:   the table of the program's handlers.
 * Locks:  `holder`, with all signals blocked, so that a handler may install handlers; never held across anything else.
 * Keeps:  .handler  the kernel has one of two functions of ours in place of each handler that the program installed
 *                   through these names; what the program asks for, and what it is told, is its own
 *         .flags    flags and masks are the program's, but that no mask names the stop signal, which it cannot take
 *         .inside   a handler that interrupted a region or a collection finds a cache that sends all its calls of the
 *                   library to one place, where the program is ended                     (api_thread_for)
 * Below:  interrupts, os_calls.   Above: the program, and every library that it loads.
 *
 * There are two functions of ours so that handler, flags and mask change at one moment, as the program sees it: a new
 * handler goes to the place in the table that the kernel does not use, then the kernel is told to use that. Each is a
 * jump to the program's handler: no frame of ours is on the stack. */
#include "api/waits.h"
#include "base/inside.h"
#include "world/thread.h"

#include <errno.h>
#include <sched.h>

enum { PLACES = 2 };

typedef void (*full_handler)(int sig, siginfo_t *info, void *context);

/* Of a handler, the kernel and this file look at no more than its address. */
static _Atomic(os_handler) handlers[NSIG][PLACES];
static _Atomic uint32_t holder; /* the process that changes a handler, or 0 */

/* ---- running a handler ---- */

static NOINLINE void run_inside(full_handler fn, int sig, siginfo_t *info, void *context)
{
    struct mcache *c = mcache_self;
    mcache_self = &mcache_interrupted;
    fn(sig, info, context);
    mcache_self = c;
}

static bool interrupted_library(void)
{
    const struct thread *t = thread_self();
    return inside() || (t && atomic_load_explicit(&t->mcache.busy, memory_order_relaxed) != 0);
}

static ALWAYS_INLINE void run(int place, int sig, siginfo_t *info, void *context)
{
    full_handler fn = (full_handler)(void *)atomic_load_explicit(&handlers[sig][place], memory_order_acquire);
    interrupts_note_handler(sig, context);
    if (unlikely(interrupted_library()))
        run_inside(fn, sig, info, context);
    else
        fn(sig, info, context);
}

static void run_0(int sig, siginfo_t *info, void *context) { run(0, sig, info, context); }
static void run_1(int sig, siginfo_t *info, void *context) { run(1, sig, info, context); }

static os_handler runner(int place) { return (os_handler)(void *)(place == 0 ? run_0 : run_1); }

/* ---- installing one ---- */

/* By a child of _Fork or clone it may be found held for ever, by a thread that the child has not got. */
static void acquire(sigset_t *old)
{
    uint32_t self = (uint32_t)os_pid();
    os_block_signals(old);
    for (;;) {
        uint32_t seen = 0;
        if (atomic_compare_exchange_strong(&holder, &seen, self) ||
            (seen != self && atomic_compare_exchange_strong(&holder, &seen, self)))
            return;
        sched_yield();
    }
}

static void release(const sigset_t *old)
{
    atomic_store(&holder, 0);
    os_restore_signals(old);
}

/* Where the kernel has one of ours, that place; else -1. */
static int place_of(os_handler fn) { return fn == runner(0) ? 0 : fn == runner(1) ? 1 : -1; }

static bool is_function(os_handler fn)
{
    return fn != SIG_DFL && fn != SIG_IGN && fn != SIG_ERR && fn != SIG_HOLD && place_of(fn) < 0;
}

static bool is_signal(int sig) { return sig > 0 && sig < NSIG; }

/* What the kernel is to have instead of the program's fn. */
static os_handler place(int sig, os_handler fn)
{
    struct sigaction now;
    if (!is_function(fn) || os_real_sigaction(sig, NULL, &now) != 0)
        return fn;
    int free = place_of(now.sa_handler) == 0 ? 1 : 0;
    atomic_store_explicit(&handlers[sig][free], fn, memory_order_release);
    return runner(free);
}

/* What the program had asked for. */
static os_handler own(int sig, os_handler fn)
{
    int at = place_of(fn);
    return at < 0 ? fn : atomic_load_explicit(&handlers[sig][at], memory_order_acquire);
}

/* The stop signal is like those that the C library keeps for itself. */
static bool refuse(int sig)
{
    if (is_signal(sig) && sig != stop_signal())
        return false;
    errno = EINVAL;
    return true;
}

static int change(int sig, const struct sigaction *act, struct sigaction *old)
{
    sigset_t mask;
    struct sigaction ours;
    if (refuse(sig))
        return -1;
    if (act) {
        ours = *act;
        waits_open(&act->sa_mask, &ours.sa_mask);
    }
    acquire(&mask);
    if (act)
        ours.sa_handler = place(sig, act->sa_handler);
    int r = os_real_sigaction(sig, act ? &ours : NULL, old);
    if (r == 0 && old)
        old->sa_handler = own(sig, old->sa_handler);
    release(&mask);
    return r;
}

int OS_WRAPPED(sigaction)(int sig, const struct sigaction *restrict act, struct sigaction *restrict old)
{
    return change(sig, act, old);
}

static os_handler install(os_handler (*real)(int, os_handler), int sig, os_handler fn)
{
    sigset_t mask;
    if (refuse(sig))
        return SIG_ERR;
    acquire(&mask);
    os_handler old = real(sig, place(sig, fn));
    old = old == SIG_ERR ? old : own(sig, old);
    release(&mask);
    return old;
}

os_handler OS_WRAPPED(signal)(int sig, os_handler fn) { return install(os_real_signal, sig, fn); }
os_handler OS_WRAPPED(bsd_signal)(int sig, os_handler fn) { return install(os_real_bsd_signal, sig, fn); }
os_handler OS_WRAPPED(ssignal)(int sig, os_handler fn) { return install(os_real_ssignal, sig, fn); }
os_handler OS_WRAPPED(sysv_signal)(int sig, os_handler fn) { return install(os_real_sysv_signal, sig, fn); }
os_handler OS_WRAPPED(__sysv_signal)(int sig, os_handler fn) { return install(os_real___sysv_signal, sig, fn); }

/* As POSIX has it, of the two below: the real one would meet the mask that acquire set. */
os_handler OS_WRAPPED(sigset)(int sig, os_handler fn);
os_handler OS_WRAPPED(sigset)(int sig, os_handler fn)
{
    struct sigaction old, act = {.sa_handler = fn};
    sigset_t one, before;
    if (change(sig, fn == SIG_HOLD ? NULL : &act, &old) != 0)
        return SIG_ERR;
    sigemptyset(&one);
    sigaddset(&one, sig);
    os_real_pthread_sigmask(fn == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &one, &before);
    return sigismember(&before, sig) ? SIG_HOLD : old.sa_handler;
}

/* ---- waiting for one ---- */

int OS_WRAPPED(sigsuspend)(const sigset_t *mask)
{
    struct wait w = wait_begin();
    sigset_t copy;
    int r;
    mask = waits_open(mask, &copy);
    do
        r = os_real_sigsuspend(mask);
    while (wait_again(&w));
    wait_end(&w);
    return r;
}

int OS_WRAPPED(sigwait)(const sigset_t *restrict set, int *restrict sig)
{
    struct wait w = wait_begin();
    sigset_t copy;
    int e;
    set = waits_open(set, &copy);
    do
        e = os_real_sigwait(set, sig);
    while (wait_again_after(&w, e));
    wait_end(&w);
    return e;
}

int OS_WRAPPED(sigwaitinfo)(const sigset_t *restrict set, siginfo_t *restrict info)
{
    struct wait w = wait_begin();
    sigset_t copy;
    int r;
    set = waits_open(set, &copy);
    do
        r = os_real_sigwaitinfo(set, info);
    while (r < 0 && wait_again(&w));
    wait_end(&w);
    return r;
}

int OS_WRAPPED(sigtimedwait)(const sigset_t *restrict set, siginfo_t *restrict info, const struct timespec *restrict t)
{
    struct wait w = wait_begin();
    sigset_t copy;
    set = waits_open(set, &copy);
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real_sigtimedwait(set, info, t);
    while (r < 0 && wait_again(&w)) {
        struct timespec left = t ? waits_left(waits_end(start, t)) : (struct timespec){0, 0};
        r = os_real_sigtimedwait(set, info, t ? &left : NULL);
    }
    wait_end(&w);
    return r;
}

int OS_WRAPPED(signalfd)(int fd, const sigset_t *mask, int flags)
{
    sigset_t copy;
    return os_real_signalfd(fd, waits_open(mask, &copy), flags);
}
