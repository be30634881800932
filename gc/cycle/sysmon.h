/* sysmon.h - a thread that gives idle memory back, and collects when the program has not for long. */
#ifndef CYCLE_SYSMON_H
#define CYCLE_SYSMON_H

#include "base/attr.h"

#include <stdatomic.h>

enum sysmon_state {
    SYSMON_NONE,   /* not started */
    SYSMON_ASLEEP, /* nothing was left to do; to be told when there is again */
    SYSMON_AWAKE   /* at work, asleep until its next pass, or never to be started */
};
extern _Atomic uint32_t sysmon_state;

/* Memory free for so many seconds is given back; 0: never, and there is no thread. */
void sysmon_enable(uint32_t seconds);

/* Start the thread if the heap is large enough to be worth one, or wake it up. */
void sysmon_call(void);

/* Something was allocated, freed or collected. Where a thread holds no lock and is in no region. */
static ALWAYS_INLINE void sysmon_note(void)
{
    if (unlikely(atomic_load_explicit(&sysmon_state, memory_order_relaxed) != SYSMON_AWAKE))
        sysmon_call();
}

/* Give back what has been free since `before` (os_now_ns) or longer, and tell of it; returns bytes. No lock held, not in a
 * region. */
uint64_t sysmon_release(uint64_t before);

/* After fork, in the child. */
void sysmon_fork_child(void);

#endif
