/* pacer.h - how large the heap may grow before the next collection. Pure arithmetic. */
#ifndef CYCLE_PACER_H
#define CYCLE_PACER_H

#include "base/options.h"

struct pacer_input {
    uint64_t live;                /* bytes of objects that the last mark found */
    uint64_t unread;              /* of these, bytes that it had no need to look at: buffers, text */
    uint64_t fresh;               /* bytes by which that is more than the mark before found */
    uint64_t roots;               /* bytes of roots that it scanned */
    uint64_t overhead;            /* bytes that objects cannot use: metadata, and what spans waste */
    uint64_t limit;               /* the memory limit, or OPTIONS_LIMIT_NONE */
    uint64_t allocated;           /* bytes, between the last two cycles */
    uint64_t gc_cpu, program_cpu; /* CPU time, ns: of a cycle, and of the program from it to the mark */
    int percent;                  /* or OPTIONS_PERCENT_OFF */
    uint32_t threads;             /* of the program that can run at once; 0 counts as 1 */
};

enum {
    PACER_MINIMUM = 4 << 20, /* the least goal at 100 percent */
    PACER_THREAD = 2 << 20,  /* more for each thread but one that can run at once */
};

/* The heap size at which the next collection starts; UINT64_MAX is never. */
uint64_t pacer_goal(const struct pacer_input *in);

/* The least goal: below it no limit is reason to collect. */
uint64_t pacer_floor(const struct pacer_input *in);

#endif
