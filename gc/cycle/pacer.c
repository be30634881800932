/* pacer.c - the goal of a cycle.
 * Owns:   nothing. Locks: none.
 * Keeps:  .progress  the goal is at least a sixteenth (and PACER_LEAST) above what is live, whatever the limit: a heap
 *                    that does not fit its limit is collected often, not all the time
 *         .minimum   and at least PACER_MINIMUM x percent / 100, and PACER_THREAD for each further thread that can run at
 *                    once, so that a small heap is not collected all the time, whoever allocates
 *         .unread    of the bytes that marking need not look at an eighth counts
 * Below:  nothing.   Above: cycle.
 *
 * Go: goal = live + (live + stacks + globals) * GOGC / 100. Marking here is done with the world stopped, so it starts
 * at the goal and not ahead of it. */
#include "cycle/pacer.h"

enum { PACER_LEAST = 1 << 20 };

static uint64_t add_sat(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

static uint64_t percent_of(uint64_t n, uint64_t percent)
{
    uint64_t whole = n / 100;
    return percent && whole > UINT64_MAX / percent ? UINT64_MAX : whole * percent + n % 100 * percent / 100;
}

/* The bytes that the percentage is of: room pays for marking, and what marking need not look at costs it next to nothing.
 * But a heap that holds more should not get less room than the smallest one has. */
static uint64_t earning(const struct pacer_input *in)
{
    uint64_t earns = in->live - in->unread / 8 * 7;
    uint64_t least = in->live < PACER_MINIMUM ? in->live : PACER_MINIMUM;
    return earns > least ? earns : least;
}

static uint64_t goal_for_percent(const struct pacer_input *in)
{
    if (in->percent == OPTIONS_PERCENT_OFF)
        return UINT64_MAX;
    uint64_t percent = (uint64_t)in->percent;
    uint64_t goal = add_sat(in->live, percent_of(add_sat(earning(in), in->roots), percent));
    uint64_t more = in->threads > 1 ? (uint64_t)PACER_THREAD * (in->threads - 1) : 0;
    uint64_t least = percent_of(PACER_MINIMUM + more, percent);
    return goal > least ? goal : least;
}

static uint64_t goal_for_limit(const struct pacer_input *in)
{
    if (in->limit == OPTIONS_LIMIT_NONE)
        return UINT64_MAX;
    return in->limit > in->overhead ? in->limit - in->overhead : 0;
}

uint64_t pacer_goal(const struct pacer_input *in)
{
    uint64_t goal = goal_for_percent(in), limited = goal_for_limit(in);
    uint64_t step = in->live / 16 > PACER_LEAST ? in->live / 16 : PACER_LEAST;
    uint64_t floor = add_sat(in->live, step);
    goal = goal < limited ? goal : limited;
    return goal > floor ? goal : floor;
}
