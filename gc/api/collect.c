/* collect.c - collecting on request, allowing and forbidding it, giving memory back.
 * Owns:   the depth of gc_disable.
 * Locks:  none of its own.
 * Below:  cycle, pageheap.   Above: the program. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "cycle/sysmon.h"
#include "os/os.h"
#include "world/stacks.h"

#include <errno.h>
#include <string.h>

static _Atomic int disabled;

static void *collect_at_boundary(uintptr_t stacks, uintptr_t unused, struct boundary *at)
{
    (void)unused;
    cycle_run(at, CYCLE_FORCED, stacks);
    return NULL;
}

void api_collect(bool stacks)
{
    int saved = errno;
    if (api_thread_for("gc_collect"))
        boundary_call(collect_at_boundary, stacks, 0);
    errno = saved;
}

void gc_collect(void) { api_collect(true); }
void gc_collect_without_stacks(void) { api_collect(false); }

bool api_collections_enabled(void) { return atomic_load_explicit(&disabled, memory_order_relaxed) == 0; }

int gc_disable(void) { return atomic_fetch_add_explicit(&disabled, 1, memory_order_relaxed) + 1; }

int gc_enable(void)
{
    int depth = atomic_load_explicit(&disabled, memory_order_relaxed);
    while (depth > 0 && !atomic_compare_exchange_weak_explicit(&disabled, &depth, depth - 1, memory_order_relaxed,
                                                               memory_order_relaxed))
        ;
    sysmon_note(); /* there may be garbage from meanwhile */
    return depth > 0 ? depth - 1 : 0;
}

int gc_disabled_depth(void) { return atomic_load_explicit(&disabled, memory_order_relaxed); }

/* The pages cleared lie below this frame; a piece at a time, so that no guard page is jumped over. */
static NOINLINE void clear_below(uintptr_t end)
{
    enum { PIECE = 1024 };
    char piece[PIECE];
    memset(piece, 0, sizeof piece);
    __asm__ volatile("" : : "r"(piece) : "memory");
    if ((uintptr_t)piece > end)
        clear_below(end);
    __asm__ volatile("" : : "r"(piece) : "memory");
}

/* Where the stack that the calling thread runs on begins; its address `here` when that is not known. An alternate signal
 * stack may lie within the thread's own, with frames in use below it. */
static uintptr_t stack_begin(struct thread *t, uintptr_t here)
{
    struct os_range alt = os_own_altstack();
    if (here >= alt.lo && here < alt.hi)
        return alt.lo;
    region_enter(&t->mcache);
    lock_acquire(&stacks_lock);
    const struct stack *s = stacks_around(here);
    uintptr_t own = t->main ? os_main_stack_begin(t->stack_lo, t->stack_hi) : t->stack_lo;
    uintptr_t lo = s ? s->lo : here >= own && here < t->stack_hi ? own : here;
    lock_release(&stacks_lock);
    region_leave(&t->mcache);
    return lo;
}

void gc_clear_stack(size_t bytes)
{
    enum { MARGIN = 16 * 1024 }; /* for the frames of this call and of a signal handler */
    struct thread *t = api_thread();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    size_t room = t ? here - stack_begin(t, here) : 0;
    room = room > MARGIN ? room - MARGIN : 0;
    if (bytes > room)
        bytes = room;
    if (bytes > 0)
        clear_below(here - bytes);
}

size_t gc_release_memory(void)
{
    int saved = errno;
    struct thread *t = api_thread();
    if (!t)
        return 0;
    api_collect(true);
    api_stacks_release();
    size_t n = sysmon_release(UINT64_MAX);
    errno = saved;
    return n;
}
