/* unwind.c - walking the calling thread's stack, or knowing it again.
 * Owns:   the walks that are remembered.
 * Locks:  none; who finds a walk taken walks anew. In the child of a fork one may stay taken.
 * Keeps:  .same  a walk is used again where every return address that it found is still in its place
 * Below:  the compiler's unwinder.   Above: watch.
 *
 * The unwinder is libgcc's, linked in. libunwind's unw_backtrace is faster, but libunwind opens a pipe in the process, and
 * from time to time writes a byte of the stack into it and reads it back, to see whether it may read the stack. A program
 * that has closed those descriptors (a daemon does) and opened files of its own under their numbers has bytes written
 * into them and read from them. It also blocks all signals, which a stop then waits for, and gives memory back in a
 * destructor of the thread that ThreadSanitizer does not survive. libgcc's takes no lock with glibc since 2.35
 * (_dl_find_object), has no descriptor and blocks nothing.
 *
 * It takes 0.25 us a frame, and a program that allocates much does so from few places: so a walk is remembered with where
 * each return address was, and compared, a load a frame. (Where a function's frame has no fixed size, an old return
 * address could be left where none is looked for any more: then one sample counts for a stack of a moment before.) */
#include "world/unwind.h"

#include "heap/sysmem.h"
#include "os/os_mem.h"

#include <stdatomic.h>
#include <string.h>
#include <unwind.h>

struct walk {
    atomic_flag taken;
    uintptr_t sp, caller; /* of the frame that asked */
    size_t n;             /* 0: nothing is remembered */
    struct {
        uintptr_t at, ip; /* a return address, and where it is kept */
    } frames[UNWIND_MAX];
};

enum { WALKS_LOG2 = 5, WALKS = 1 << WALKS_LOG2 };
static _Atomic(struct walk *) walks; /* made by the first; not in static memory, which is scanned */

struct walking {
    struct walk *w;  /* to be remembered, or NULL */
    uintptr_t above; /* addresses that return to the frame that asked, and its callers, are kept above it */
    uintptr_t *stack;
    size_t n;
    bool fixed; /* each was where it will be looked for */
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walking *k = arg;
    uintptr_t ip = _Unwind_GetIP(context), at = _Unwind_GetCFA(context) - sizeof ip;
    if (ip == 0 || k->n == UNWIND_MAX)
        return _URC_END_OF_STACK;
    if (at < k->above)
        return _URC_NO_REASON;
    k->fixed &= *(const volatile uintptr_t *)at == ip;
    if (k->w) {
        k->w->frames[k->n].at = at;
        k->w->frames[k->n].ip = ip;
    }
    k->stack[k->n++] = ip;
    return _URC_NO_REASON;
}

static bool is_same(const struct walk *w, uintptr_t sp, uintptr_t caller, uintptr_t end)
{
    if (w->sp != sp || w->caller != caller || w->n == 0 || w->frames[w->n - 1].at >= end)
        return false;
    for (size_t i = 0; i < w->n; i++)
        if (*(const volatile uintptr_t *)w->frames[i].at != w->frames[i].ip)
            return false;
    return true;
}

static size_t recall(const struct walk *w, uintptr_t *stack)
{
    for (size_t i = 0; i < w->n; i++)
        stack[i] = w->frames[i].ip;
    return w->n;
}

static NOINLINE size_t walk(struct walk *w, uintptr_t sp, uintptr_t *stack)
{
    struct walking k = {.w = w, .above = sp, .stack = stack, .fixed = true};
    _Unwind_Backtrace(on_frame, &k);
    if (w)
        w->n = k.fixed ? k.n : 0;
    return k.n;
}

/* Two at once, at the start: one is enough. */
static struct walk *make_walks(void)
{
    const size_t bytes = round_up(WALKS * sizeof(struct walk), os_page_size());
    struct walk *all = sysmem_alloc(bytes, SYS_BUCKHASH), *none = NULL;
    if (!all || atomic_compare_exchange_strong(&walks, &none, all))
        return all;
    sysmem_free(all, bytes, SYS_BUCKHASH);
    return none;
}

/* Taken, until its flag is cleared. NULL when another thread has it, or when memory cannot be had. */
static struct walk *take_walk(uintptr_t sp, uintptr_t caller)
{
    struct walk *all = atomic_load_explicit(&walks, memory_order_acquire);
    if (unlikely(!all) && !(all = make_walks()))
        return NULL;
    uintptr_t hash = (sp ^ caller) * UINT64_C(0x9e3779b97f4a7c15);
    struct walk *w = &all[hash >> (64 - WALKS_LOG2)];
    return atomic_flag_test_and_set_explicit(&w->taken, memory_order_acquire) ? NULL : w;
}

/* Of two callers with the same hash each walks anew. */
static size_t walk_and_remember(struct walk *w, uintptr_t sp, uintptr_t caller, uintptr_t *stack)
{
    w->sp = sp;
    w->caller = caller;
    return walk(w, sp, stack);
}

NOINLINE size_t unwind_self(uintptr_t stack[UNWIND_MAX], uintptr_t caller, uintptr_t end)
{
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
    struct walk *w = take_walk(sp, caller);
    if (!w)
        return walk(NULL, sp, stack);
    size_t n = is_same(w, sp, caller, end) ? recall(w, stack) : walk_and_remember(w, sp, caller, stack);
    atomic_flag_clear_explicit(&w->taken, memory_order_release);
    return n;
}
