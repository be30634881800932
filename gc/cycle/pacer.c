/* pacer.c - the goal of a cycle.
 * Owns:   nothing. Locks: none.
 * Keeps:  .progress  the goal is at least a sixteenth (and PACER_LEAST) above what is live, whatever the limit: a heap
 *                    that does not fit its limit is collected often, not all the time
 *         .half      and, where the limit leaves less than that, far enough that collecting takes about half of the CPU
 *                    time: a heap that does not fit grows
 *         .minimum   and at least PACER_MINIMUM x percent / 100, and PACER_THREAD for each further thread that can run at
 *                    once, so that a small heap is not collected all the time, whoever allocates
 *         .unread    of the bytes that marking need not look at an eighth counts, while collections take less than a fifth
 *                    of the CPU time
 *         .proven    what has outlived one mark only buys a quarter of its room, beyond PACER_PROVEN
 * Below:  nothing.   Above: cycle.
 *
 * Go: goal = live + (live + stacks + globals) * GOGC / 100. Marking here is done with the world stopped, so it starts
 * at the goal and not ahead of it. */
#include "cycle/pacer.h"

enum { PACER_LEAST = 1 << 20, PACER_PROVEN = 12 << 20 };

static uint64_t add_sat(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

static uint64_t percent_of(uint64_t n, uint64_t percent)
{
    uint64_t whole = n / 100;
    return percent && whole > UINT64_MAX / percent ? UINT64_MAX : whole * percent + n % 100 * percent / 100;
}

/* The bytes for whose allocation the program runs so many times as long as a cycle takes, by the last one; but never
 * more than are live. */
static uint64_t bytes_between(const struct pacer_input *in, unsigned times)
{
    uint64_t most = greatest_of(in->live, PACER_MINIMUM);
    if (in->gc_cpu == 0)
        return 0;
    double program = in->program_cpu ? (double)in->program_cpu : 1;
    double bytes = (double)in->allocated * (double)in->gc_cpu * times / program;
    return bytes < (double)most ? (uint64_t)bytes : most;
}

/* The bytes that the percentage is of: room pays for marking, and what marking need not look at costs it next to nothing.
 * But a heap that holds more should not get less room than the smallest one has; nor should collections that are cheap
 * take more than a fifth of the time for being many. */
static uint64_t earning(const struct pacer_input *in)
{
    uint64_t earns = in->live - in->unread / 8 * 7;
    uint64_t least = greatest_of(least_of(in->live, PACER_MINIMUM), least_of(in->live, bytes_between(in, 4)));
    return greatest_of(earns, least);
}

/* What has outlived one mark only is often about to die: a tree half built when the mark came, and dropped soon after.
 * Three quarters of it buy no room until it has outlived another; in small heaps all does. */
static uint64_t proven(const struct pacer_input *in, uint64_t bytes)
{
    uint64_t large = in->live > PACER_PROVEN ? in->live - PACER_PROVEN : 0;
    uint64_t fresh = least_of(in->fresh, large);
    return bytes - (uint64_t)((double)bytes * (double)fresh / (double)greatest_of(in->live, 1) * 0.75);
}

static uint64_t goal_for_percent(const struct pacer_input *in)
{
    if (in->percent == OPTIONS_PERCENT_OFF)
        return UINT64_MAX;
    uint64_t percent = (uint64_t)in->percent;
    uint64_t goal = add_sat(in->live, percent_of(add_sat(proven(in, earning(in)), in->roots), percent));
    uint64_t more = in->threads > 1 ? (uint64_t)PACER_THREAD * (in->threads - 1) : 0;
    uint64_t least = percent_of(PACER_MINIMUM + more, percent);
    return greatest_of(goal, least);
}

static uint64_t goal_for_limit(const struct pacer_input *in)
{
    if (in->limit == OPTIONS_LIMIT_NONE)
        return UINT64_MAX;
    return in->limit > in->overhead ? in->limit - in->overhead : 0;
}

uint64_t pacer_floor(const struct pacer_input *in)
{
    uint64_t progress = add_sat(in->live, greatest_of(in->live / 16, PACER_LEAST));
    if (goal_for_limit(in) >= progress)
        return progress;
    return greatest_of(progress, least_of(add_sat(in->live, bytes_between(in, 1)), goal_for_percent(in)));
}

uint64_t pacer_goal(const struct pacer_input *in)
{
    return greatest_of(least_of(goal_for_percent(in), goal_for_limit(in)), pacer_floor(in));
}
