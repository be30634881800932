/* settings.c - setters and getters.
 * Owns: nothing. Locks: CYCLE, inside cycle.c. Below: cycle, report, events. Above: the program. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "heap/sysmem.h"
#include "watch/events.h"

#include <errno.h>

int gc_set_frozen(int frozen) { return sysmem_set_frozen(frozen != 0); }
int gc_get_frozen(void) { return sysmem_frozen(); }

int gc_set_percent(int percent)
{
    if (percent != GC_SPAN_PERCENT_OFF && (percent < 0 || percent > GC_SPAN_PERCENT_MAX)) {
        errno = EINVAL;
        return GC_SPAN_PERCENT_INVALID;
    }
    api_thread();
    return cycle_set_percent(percent);
}

int gc_get_percent(void)
{
    api_thread();
    return cycle_percent();
}

uint64_t gc_set_memory_limit(uint64_t bytes)
{
    api_thread();
    return cycle_set_limit(bytes ? bytes : GC_SPAN_LIMIT_NONE);
}

uint64_t gc_get_memory_limit(void)
{
    api_thread();
    return cycle_limit();
}

gc_warn_fn gc_set_warn_handler(gc_warn_fn fn) { return report_set_warn(fn); }
gc_warn_fn gc_get_warn_handler(void) { return report_get_warn(); }

/* In a region: stopped half-way through the pair, the setter would make the collector wait for it. */
gc_event_fn gc_set_event_handler(gc_event_fn fn, void *arg)
{
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    gc_event_fn old = events_set(fn, arg);
    region_leave(&t->mcache);
    return old;
}

gc_event_fn gc_get_event_handler(void **arg) { return events_get(arg); }
