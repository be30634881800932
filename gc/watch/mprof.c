/* mprof.c - noting a sampled allocation.
 * Owns:   where the library's own code is.
 * Locks:  none while it walks; SPECIAL and BUCKETS after that, in a region.
 * Keeps:  .gate   no thread forks while this one walks: with older C libraries it takes the dynamic linker's lock, which a
 *                 child would inherit                                                     (forkgate.c)
 *         .ends   a coroutine's stack, which may end in a return address that is none, is not walked: there the caller
 *                 is all that is known
 *         .fresh  the object is held meanwhile, also by a collection that looks at no stack   (rootjobs)
 *         .inside  a handler of the program that interrupts it does not enter the library, where it would wait for the
 *                  gate with this thread inside
 * Below:  buckets, unwind.   Above: api/slow.c. */
#include "watch/mprof.h"

#include "base/inside.h"
#include "cycle/forkgate.h"
#include "os/os.h"
#include "watch/guard.h"
#include "world/region.h"
#include "world/thread.h"
#include "world/unwind.h"

_Static_assert(UNWIND_MAX >= BUCKET_DEPTH + 16, "the library's frames beside the program's");

static struct os_range own_text; /* written once */

void mprof_init(void) { own_text = os_own_text(); }

/* Where the C library began the stack, it ends as the unwinder expects. The main thread's may have no limit, and other
 * mappings far below. */
static bool on_own_stack(const struct thread *t, uintptr_t sp)
{
    const uintptr_t deepest = UINT64_C(1) << 30;
    return sp >= t->stack_lo && sp < t->stack_hi && t->stack_hi - sp < deepest && !t->found;
}

static size_t unwind(const struct thread *t, uintptr_t stack[UNWIND_MAX], uintptr_t caller)
{
    if (!on_own_stack(t, (uintptr_t)stack)) {
        stack[0] = caller;
        return 1;
    }
    inside_enter();
    forkgate_enter();
    size_t n = unwind_self(stack, caller, t->stack_hi);
    forkgate_leave();
    inside_leave();
    return n;
}

/* How many of the innermost frames are the library's: as far as `caller`, and those of a function that it has in turn
 * been called by (gc_strdup), where the library has a range of addresses of its own. */
static size_t own_frames(const uintptr_t *stack, size_t n, uintptr_t caller)
{
    size_t i = 0;
    while (i < n && stack[i] != caller)
        i++;
    if (i == n)
        i = 0;
    while (i < n && stack[i] >= own_text.lo && stack[i] < own_text.hi)
        i++;
    return i;
}

/* False: for want of memory it is not noted. */
static bool note(struct mspan *s, size_t i, size_t size, const uintptr_t *stack, size_t depth)
{
    struct sample *sample = buckets_alloc(stack, depth, s->elemsize, sampler_rate());
    if (!sample)
        return false;
    sample->asked = size;
    if (!specials_add(s, i, &sample->special)) {
        buckets_take_back(sample);
        return false;
    }
    if (unlikely(guard_on))
        guard_arm(s, i, sample);
    return true;
}

void mprof_alloc(struct thread *t, const void *p, size_t size, uintptr_t caller)
{
    uintptr_t stack[UNWIND_MAX];
    size_t n = unwind(t, stack, caller), own = own_frames(stack, n, caller), depth = n - own;
    region_enter(&t->mcache);
    mcache_set_fresh(&t->mcache, 0);
    struct mspan *s = arena_span((uintptr_t)p);
    note(s, mspan_index(s, (uintptr_t)p), size, stack + own, depth < BUCKET_DEPTH ? depth : BUCKET_DEPTH);
    region_leave(&t->mcache);
}
