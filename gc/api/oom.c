/* oom.c - the last resort of an allocation.
 * Owns:   the program's handler.
 * Locks:  none; the handler is one atomic word, called outside every lock and region.
 * Below:  heap figures.   Above: slow.c. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "heap/heaplive.h"
#include "heap/sysmem.h"

#include <stdio.h>

static _Atomic(gc_oom_fn) handler;

static void *report_and_fail(size_t bytes)
{
    uint64_t limit = cycle_limit();
    char text[32] = "none";
    if (limit != UINT64_MAX)
        snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    report_line(
        "out of memory: %zu bytes asked, %llu in use, %llu from the system, memory limit %s%s; raise ulimit -v or "
        "the cgroup's limit, or set a handler with gc_set_oom_handler",
        bytes, (unsigned long long)atomic_load_explicit(&heap_live, memory_order_relaxed),
        (unsigned long long)sysmem_total(), text, sysmem_frozen() ? ", frozen" : "");
    return NULL;
}

void *api_out_of_memory(size_t size)
{
    gc_oom_fn fn = atomic_load_explicit(&handler, memory_order_acquire);
    return fn ? fn(size) : report_and_fail(size);
}

gc_oom_fn gc_set_oom_handler(gc_oom_fn fn) { return atomic_exchange_explicit(&handler, fn, memory_order_acq_rel); }
gc_oom_fn gc_get_oom_handler(void) { return atomic_load_explicit(&handler, memory_order_acquire); }
