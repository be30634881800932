/* events.c - telling the program's handler.
 * Owns:   the handler and its argument.
 * Locks:  none. The pair is changed under a sequence count, so that an event never sees a handler with the argument of
 *         another; setters are serialised by the same count's low bit.
 * Keeps:  .pair  a handler is called with the argument that it was set with
 * Below:  os (clock).   Above: api. */
#include "watch/events.h"

#include "os/os.h"

#include <sched.h>

static _Atomic uint32_t seq; /* odd while a setter writes */
static _Atomic(gc_event_fn) handler;
static _Atomic(void *) handler_arg;
static _Atomic uint64_t mapped_told;

static gc_event_fn read_pair(void **arg)
{
    for (;;) {
        uint32_t s = atomic_load_explicit(&seq, memory_order_acquire);
        gc_event_fn fn = atomic_load_explicit(&handler, memory_order_relaxed);
        *arg = atomic_load_explicit(&handler_arg, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (!(s & 1) && s == atomic_load_explicit(&seq, memory_order_relaxed))
            return fn;
        if (!fn)
            return NULL;
        sched_yield();
    }
}

void events_emit(enum gc_event_kind kind, uint32_t cycle, uint64_t value)
{
    void *arg;
    if (!atomic_load_explicit(&handler, memory_order_relaxed))
        return;
    gc_event_fn fn = read_pair(&arg);
    struct gc_event e = {kind, cycle, os_now_ns(), value};
    if (fn)
        fn(&e, arg);
}

gc_event_fn events_set(gc_event_fn fn, void *arg)
{
    uint32_t s = atomic_load_explicit(&seq, memory_order_relaxed);
    while ((s & 1) ||
           !atomic_compare_exchange_weak_explicit(&seq, &s, s + 1, memory_order_acquire, memory_order_relaxed))
        s = atomic_load_explicit(&seq, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    gc_event_fn old = atomic_load_explicit(&handler, memory_order_relaxed);
    atomic_store_explicit(&handler, fn, memory_order_relaxed);
    atomic_store_explicit(&handler_arg, arg, memory_order_relaxed);
    atomic_store_explicit(&seq, s + 2, memory_order_release);
    return old;
}

/* Another thread was setting the pair: which handler counts is open, so none does. */
void events_fork_child(void)
{
    uint32_t s = atomic_load_explicit(&seq, memory_order_relaxed);
    if (s & 1) {
        atomic_store_explicit(&handler, NULL, memory_order_relaxed);
        atomic_store_explicit(&seq, s + 1, memory_order_release);
    }
}

gc_event_fn events_get(void **arg)
{
    void *a;
    gc_event_fn fn = read_pair(&a);
    if (arg)
        *arg = a;
    return fn;
}

void events_scavenged(uint64_t bytes, uint64_t ns)
{
    (void)ns;
    if (bytes > 0)
        events_emit(GC_SPAN_EVENT_SCAVENGED, 0, bytes);
}

void events_heap_growth(uint64_t mapped)
{
    uint64_t told = atomic_load_explicit(&mapped_told, memory_order_relaxed);
    if (mapped != told && atomic_compare_exchange_strong_explicit(&mapped_told, &told, mapped, memory_order_relaxed,
                                                                  memory_order_relaxed))
        events_emit(GC_SPAN_EVENT_HEAP_GROWN, 0, mapped);
}
