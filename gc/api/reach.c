/* reach.c - would this object survive a collection?
 * Owns:   nothing.
 * Locks:  none held while it marks.
 * Keeps:  .hidden  the argument is no reference: nothing that is scanned holds it from the entry on. Its complement goes
 *                  through the boundary; the register it came in is dead there, and so not scanned
 * Below:  cycle.   Above: the program, mostly its tests. */
#include "api/api.h"
#include "cycle/cycle.h"

#include <errno.h>

static int result_of(enum cycle_answer answer, int saved)
{
    if (answer == CYCLE_NO_OBJECT || answer == CYCLE_NO_ANSWER) {
        errno = answer == CYCLE_NO_OBJECT ? EINVAL : EAGAIN;
        return -1;
    }
    errno = saved;
    return answer == CYCLE_REACHED;
}

static void *ask_at_boundary(uintptr_t hidden, uintptr_t stacks, struct boundary *at)
{
    int saved = errno;
    enum cycle_answer answer = CYCLE_NO_ANSWER;
    if (api_is_zero_object((const void *)~hidden))
        answer = CYCLE_REACHED;
    else if (api_thread_for("gc_is_reachable"))
        answer = cycle_ask(at, (struct word){~hidden}, stacks);
    return (void *)(intptr_t)result_of(answer, saved);
}

/* Without optimization a parameter has a place on the stack: the last one overwrites it. */
#define ASK(p, stacks)                                                                                                 \
    ({                                                                                                                 \
        uintptr_t hidden_ = ~(uintptr_t)(p);                                                                           \
        (p) = NULL;                                                                                                    \
        gc_keep_alive(p);                                                                                              \
        (int)(intptr_t)boundary_call(ask_at_boundary, hidden_, stacks);                                                \
    })

int gc_is_reachable(const void *p) { return ASK(p, true); }
int gc_is_reachable_without_stacks(const void *p) { return ASK(p, false); }
