/* unwind.c - libunwind on the calling thread.
 * Owns:   nothing.
 * Locks:  none of ours. libunwind and the dynamic linker take theirs.
 * Keeps:  .safe  the thread is in state SAFE while it is in libunwind, which waits for the dynamic linker's list of
 *                images with all signals blocked: a collection that holds that list does not wait for the thread
 * Below:  libunwind, stop.   Above: watch. */
#define UNW_LOCAL_ONLY
#include "world/unwind.h"

#include "os/os_memtool.h"
#include "world/boundary.h"
#include "world/mask.h"
#include "world/stop.h"

#include <errno.h>
#include <libunwind.h>
#include <unwind.h>

/* Weak, so that the archive pulls no part of libunwind's archive in for it, which need not be position-independent
 * (Debian 12's is not): then no static-pie program could be linked. */
extern __typeof__(unw_backtrace) unw_backtrace __attribute__((weak));

/* ThreadSanitizer's runtime, when the program has it. */
void __tsan_init(void) __attribute__((weak));

struct walk {
    uintptr_t *stack;
    size_t n, max;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *w = arg;
    uintptr_t ip = _Unwind_GetIP(context);
    if (w->n == w->max || ip == 0)
        return _URC_END_OF_STACK;
    w->stack[w->n++] = ip;
    return _URC_NO_REASON;
}

/* The compiler's interface is in every program, but five times slower. unw_backtrace gives what it remembers of a thread
 * back in a destructor of the thread, with a mutex, after ThreadSanitizer has done with that thread. */
static size_t walk(uintptr_t *stack, size_t max)
{
    struct walk w = {.stack = stack, .max = max};
    if (unw_backtrace && !__tsan_init) {
        int n = unw_backtrace((void **)stack, (int)max);
        return n < 0 ? 0 : (size_t)n;
    }
    _Unwind_Backtrace(on_frame, &w);
    return w.n;
}

static void *unwind_at(uintptr_t stack, uintptr_t max, struct boundary *at)
{
    struct thread *t = thread_self();
    int saved = errno;
    sigset_t old;
    mask_block(&old);
    safe_enter_at(t, at);
    os_memtool_quiet(true); /* libunwind asks the kernel what can be read, and reads what Valgrind calls undefined */
    size_t n = walk((uintptr_t *)stack, max);
    os_memtool_quiet(false);
    safe_leave_at(t);
    mask_restore(&old);
    errno = saved;
    return (void *)n;
}

size_t unwind_self(uintptr_t *stack, size_t max)
{
    return (size_t)(uintptr_t)boundary_call(unwind_at, (uintptr_t)stack, max);
}
