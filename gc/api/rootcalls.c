/* rootcalls.c - registering ranges, callbacks and threads.
 * Owns: nothing. Locks: ROOTS, WORLD, inside world/. Below: world. Above: the program. */
#include "api/api.h"
#include "world/roots.h"

#include <errno.h>

typedef int (*roots_fn)(enum roots_kind kind, uintptr_t lo, uintptr_t hi);

static int change(const char *call, roots_fn fn, enum roots_kind kind, const void *lo, const void *hi)
{
    struct thread *t = api_thread_for(call);
    if (!t)
        return -1;
    region_enter(&t->mcache);
    int e = fn(kind, (uintptr_t)lo, (uintptr_t)hi);
    region_leave(&t->mcache);
    if (e == 0)
        return 0;
    errno = e;
    return -1;
}

int gc_add_roots(const void *lo, const void *hi) { return change(__func__, roots_add, ROOTS_ADDED, lo, hi); }
int gc_remove_roots(const void *lo, const void *hi) { return change(__func__, roots_remove, ROOTS_ADDED, lo, hi); }
int gc_exclude_roots(const void *lo, const void *hi) { return change(__func__, roots_add, ROOTS_EXCLUDED, lo, hi); }

static int change_callback(const char *call, roots_fn change_table, gc_root_fn fn, void *arg)
{
    if (fn)
        return change(call, change_table, ROOTS_CALLBACKS, (const void *)(uintptr_t)fn, arg);
    errno = EINVAL;
    return -1;
}

int gc_add_root_callback(gc_root_fn fn, void *arg) { return change_callback(__func__, roots_add, fn, arg); }
int gc_remove_root_callback(gc_root_fn fn, void *arg) { return change_callback(__func__, roots_remove, fn, arg); }

int gc_thread_attach(void)
{
    bool known = thread_self();
    struct thread *t = api_thread();
    if (!t)
        return -1;
    t->stays |= known && t->attached == 0;
    t->attached++;
    return 0;
}

/* A thread that was known before it attached stays known: other code in it relies on that. */
int gc_thread_detach(void)
{
    struct thread *t = thread_self();
    if (!t || t->attached == 0) {
        errno = EINVAL;
        return -1;
    }
    if (--t->attached == 0 && !t->stays)
        thread_unregister();
    return 0;
}
