/* unwind.c - libunwind on the calling thread.
 * Owns:   nothing.
 * Locks:  none of ours. libunwind and the dynamic linker take theirs.
 * Keeps:  .safe  the thread is in state SAFE while it is in libunwind, which waits for the dynamic linker's list of
 *                images with all signals blocked: a collection that holds that list does not wait for the thread
 * Below:  libunwind, stop.   Above: watch. */
#define UNW_LOCAL_ONLY
#include "world/unwind.h"

#include "world/boundary.h"
#include "world/mask.h"
#include "world/stop.h"

#include <errno.h>
#include <libunwind.h>

static void *unwind_at(uintptr_t stack, uintptr_t max, struct boundary *at)
{
    struct thread *t = thread_self();
    int saved = errno;
    sigset_t old;
    mask_block(&old);
    safe_enter_at(t, at);
    int n = unw_backtrace((void **)stack, (int)max);
    safe_leave_at(t);
    mask_restore(&old);
    errno = saved;
    return (void *)(intptr_t)(n < 0 ? 0 : n);
}

size_t unwind_self(uintptr_t *stack, size_t max)
{
    return (size_t)(uintptr_t)boundary_call(unwind_at, (uintptr_t)stack, max);
}
