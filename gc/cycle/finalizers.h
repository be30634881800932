/* finalizers.h - making the calls of finalizers and cleanups that are due: on a thread for it, or where the program says. */
#ifndef CYCLE_FINALIZERS_H
#define CYCLE_FINALIZERS_H

#include "base/attr.h"
#include "heap/endcalls.h"

#include <stdatomic.h>

/* Something is to be done that cannot be done in a region: see finalizers_call. */
extern _Atomic bool finalizers_due;

/* Report each call that takes more than a second. Once, at the start. */
void finalizers_report_slow(bool on);

/* One that is still being made, once: after a cycle, no lock held. */
void finalizers_tell_running(void);

/* Something was registered: have the thread, if one is to make the calls. No lock held, not in a region. */
void finalizers_start(void);

/* One more stands in the queue, which was empty before or not: in the stop. */
void finalizers_queued(bool first);

/* The hooks of both kinds: gc_free drops a finalizer, and whatever ends its object makes a cleanup due. */
void finalizers_end_finalizer(struct special *sp, enum special_end why);
void finalizers_end_cleanup(struct special *sp, enum special_end why);

/* Start or wake the thread, tell the program, or make the calls if the calling thread `allocates`: as the mode has it.
 * For a known thread; no lock held, not in a region. */
void finalizers_call(bool allocates);
static ALWAYS_INLINE void finalizers_note(bool allocates)
{
    if (unlikely(atomic_load_explicit(&finalizers_due, memory_order_relaxed)))
        finalizers_call(allocates);
}

/* Make all calls that are due, here; returns how many. As above. */
size_t finalizers_run(void);

/* Return the old one. The second in a region. */
int finalizers_set_mode(int mode);
gc_finalizer_notify_fn finalizers_set_notify(gc_finalizer_notify_fn fn, void *arg);

/* After fork, in the child: there is no thread. */
void finalizers_fork_child(void);

#endif
