/* roots.c - arrays of ranges, and of callbacks.
 * Owns:   the arrays, in memory of the library.
 * Locks:  ROOTS; readers have the world stopped instead.
 * Keeps:  .order  ranges are sorted by lo, so that one pass cuts a segment              (roots_each_included)
 *         .alone  a callback that calls the library is caught: in it the thread has no cache, so that every call asks
 *                 who it is, and roots_in_callback tells                                (api_thread)
 * Below:  sysmem, mcache.   Above: mark/rootjobs.c, api/rootcalls.c. */
#include "world/roots.h"

#include "base/lock.h"
#include "heap/mcache.h"
#include "heap/sysmem.h"
#include "os/os_mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct lock lock = LOCK_INIT(RANK_ROOTS);
static struct table {
    struct roots_range *at;
    size_t n, bytes;
} tables[ROOTS_KINDS];

static bool make_room(struct table *t)
{
    if ((t->n + 1) * sizeof *t->at <= t->bytes)
        return true;
    size_t bytes = t->bytes ? t->bytes * 2 : os_page_size();
    struct roots_range *more = sysmem_alloc(bytes, SYS_OTHER);
    if (!more)
        return false;
    if (t->bytes) {
        memcpy(more, t->at, t->n * sizeof *t->at);
        sysmem_free(t->at, t->bytes, SYS_OTHER);
    }
    t->at = more;
    t->bytes = bytes;
    return true;
}

static void insert(struct table *t, uintptr_t lo, uintptr_t hi, bool sorted)
{
    size_t i = t->n++;
    for (; sorted && i > 0 && t->at[i - 1].lo > lo; i--)
        t->at[i] = t->at[i - 1];
    t->at[i] = (struct roots_range){lo, hi};
}

int roots_add(enum roots_kind kind, uintptr_t lo, uintptr_t hi)
{
    if (hi < lo && kind != ROOTS_CALLBACKS)
        return EINVAL;
    lock_acquire(&lock);
    bool ok = make_room(&tables[kind]);
    if (ok)
        insert(&tables[kind], lo, hi, kind != ROOTS_CALLBACKS);
    lock_release(&lock);
    return ok ? 0 : ENOMEM;
}

int roots_remove(enum roots_kind kind, uintptr_t lo, uintptr_t hi)
{
    struct table *t = &tables[kind];
    size_t i = 0;
    lock_acquire(&lock);
    while (i < t->n && (t->at[i].lo != lo || t->at[i].hi != hi))
        i++;
    bool found = i < t->n;
    if (found) {
        t->n--;
        memmove(&t->at[i], &t->at[i + 1], (t->n - i) * sizeof *t->at);
    }
    lock_release(&lock);
    return found ? 0 : EINVAL;
}

void roots_fork_acquire(void) { lock_acquire(&lock); }
void roots_fork_release(void) { lock_release(&lock); }

const struct roots_range *roots_ranges(enum roots_kind kind, size_t *n)
{
    *n = tables[kind].n;
    return tables[kind].at;
}

void roots_each_included(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t, uintptr_t, void *), void *arg)
{
    const struct table *t = &tables[ROOTS_EXCLUDED];
    for (size_t i = 0; i < t->n && lo < hi; i++) {
        const struct roots_range *x = &t->at[i];
        if (x->hi <= lo || x->lo >= hi)
            continue;
        if (x->lo > lo)
            fn(lo, x->lo, arg);
        lo = x->hi;
    }
    if (lo < hi)
        fn(lo, hi, arg);
}

static _Atomic(uintptr_t) in_callback; /* pthread_self() of the thread that is in a callback; 0 */

bool roots_in_callback(void)
{
    return atomic_load_explicit(&in_callback, memory_order_relaxed) == (uintptr_t)pthread_self();
}

void roots_call_callbacks(struct gc_root_report *report)
{
    const struct table *t = &tables[ROOTS_CALLBACKS];
    struct mcache *own = mcache_self;
    if (t->n == 0)
        return;
    atomic_store_explicit(&in_callback, (uintptr_t)pthread_self(), memory_order_relaxed);
    mcache_self = &mcache_none;
    for (size_t i = 0; i < t->n; i++)
        ((gc_root_fn)t->at[i].lo)(report, (void *)t->at[i].hi);
    mcache_self = own;
    atomic_store_explicit(&in_callback, 0, memory_order_relaxed);
}
