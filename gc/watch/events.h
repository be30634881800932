/* events.h - the program's event handler. */
#ifndef WATCH_EVENTS_H
#define WATCH_EVENTS_H

#include <spangc.h>

void events_emit(enum gc_event_kind kind, uint32_t cycle, uint64_t value);
gc_event_fn events_set(gc_event_fn fn, void *arg);
gc_event_fn events_get(void **arg);

/* Emit GC_SPAN_EVENT_SCAVENGED, if anything was. */
void events_scavenged(uint64_t bytes, uint64_t ns);

/* Emit GC_SPAN_EVENT_HEAP_GROWN if the heap was mapped further since the last call. */
void events_heap_growth(uint64_t mapped);

/* After fork, in the child. */
void events_fork_child(void);

#endif
