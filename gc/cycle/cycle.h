/* cycle.h - one collection from start to end. */
#ifndef CYCLE_CYCLE_H
#define CYCLE_CYCLE_H

#include "base/options.h"
#include "mark/find_object.h"
#include "mark/markers.h"

#include <spangc.h>

struct boundary;

enum cycle_reason {
    CYCLE_DUE,      /* the heap reached its goal; nothing is done if another thread's collection dealt with that */
    CYCLE_FORCED,   /* the program asked: done in any case, and the sweep is finished */
    CYCLE_MEMORY,   /* memory ran out: the same, but not counted as asked for */
    CYCLE_PERIODIC, /* there was none for long: the same */
};

/* What a collection did, for the trace and the statistics. Times in nanoseconds. */
struct cycle_report {
    uint32_t number;
    bool forced;
    uint64_t start, stop_start;   /* when it began, and when it asked for the stop; from the library's start */
    uint64_t stop, mark, restart; /* how long each phase took */
    uint64_t pause, cpu;          /* world stopped; CPU time of the collecting thread in it */
    uint64_t before, live, goal;  /* heap bytes */
    uint64_t goal_before;         /* what it was collected for */
    uint64_t objects_scanned, roots_scanned; /* bytes */
    uint64_t unread;                         /* bytes of what is live that marking need not look at */
    uint64_t footprint;                      /* bytes from the OS that it has not got back, after the cycle */
    uint32_t threads;
    uint32_t nhelpers; /* that took part in the mark, and when */
    struct marker_time helpers[MARKERS_MAX];
};

/* Since the start of the program. Written under the cycle lock. */
struct cycle_totals {
    uint64_t cycles, forced, pause_ns, cpu_ns, start_ns;
    uint64_t last_end;                     /* ns since 1970 */
    uint64_t pauses[256], pause_ends[256]; /* ring: the newest at (cycles + 255) % 256 */
};

/* What api/init.c fills in: calls upwards. Any may be NULL. */
struct cycle_hooks {
    void (*event)(enum gc_event_kind kind, uint32_t cycle, uint64_t value);
    void (*done)(const struct cycle_report *r);     /* after the cycle, no lock held */
    void (*scavenged)(uint64_t bytes, uint64_t ns); /* free memory was looked at; no lock held */
    bool (*enabled)(void);                          /* whether the program allows collections */
};
extern struct cycle_hooks cycle_hooks;

void cycle_init(const struct options *o, uint32_t ncpus);

/* Collect. The calling thread is known, holds no lock of ours, is not in a region; it is scanned from the boundary `at`.
 * With stacks false no stack and no register is looked at. Returns false when nothing was done, or given up. */
bool cycle_run(const struct boundary *at, enum cycle_reason reason, bool stacks);

/* Mark as a collection does, and see whether the object around the word was reached; nothing is freed, counted or told.
 * CYCLE_NO_ANSWER: it was given up. For the calling thread, as for cycle_run. */
enum cycle_answer { CYCLE_NO_ANSWER, CYCLE_NO_OBJECT, CYCLE_NOT_REACHED, CYCLE_REACHED };
enum cycle_answer cycle_ask(const struct boundary *at, struct word asked, bool stacks);

/* Call fn with the world stopped, all swept, the caches empty and the list of roots made, for it to trace the heap: it may
 * only read, and take memory from sysmem. False: it was given up, and fn not called. For the calling thread, as for
 * cycle_run. */
bool cycle_look(const struct boundary *at, void (*fn)(void *arg), void *arg);

/* Set one setting and pace anew; returns the old. */
int cycle_set_percent(int percent);
int cycle_percent(void);
uint64_t cycle_set_limit(uint64_t limit);
uint64_t cycle_limit(void);

/* With SPANGC_MEMLIMIT=auto, what the control group allows by now. No lock held. */
void cycle_reread_limit(void);

/* Whether something was allocated since the last cycle, and may be collected; when that ended (os_now_ns). */
bool cycle_garbage_since(uint64_t *ns);

/* A copy of the totals, and keep collections away meanwhile: between the two calls none starts. */
void cycle_lock_acquire(void);
void cycle_lock_release(void);

/* The same, with every span swept and the caches of all threads empty; the figures of what lives and died are whole. The
 * world is stopped for a moment. For the calling thread, as for cycle_run. */
void cycle_lock_swept(const struct boundary *at);

/* Around fork: no thread but the caller is on its way into a collection, where it would hold the dynamic linker's list
 * of images, which the child would inherit locked for ever. */
void cycle_fork_acquire(void);
void cycle_fork_release(void);
void cycle_fork_child(void);
const struct cycle_totals *cycle_totals(void);

/* The wait that a stop is given. */
uint64_t cycle_stop_wait_ns(void);

#endif
