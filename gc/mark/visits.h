/* visits.h - a breadth-first trace from the roots over a plain queue, which remembers who found whom. For looking at the
 * heap, not for collecting: it takes ten times as long as a mark, and memory for each object. */
#ifndef MARK_VISITS_H
#define MARK_VISITS_H

#include "mark/find_object.h"

enum { VISIT_ROOT = UINT32_MAX };

struct visit {
    uintptr_t base;  /* of the object */
    uintptr_t at;    /* address of the word that refers to it; 0: it is a root itself, an uncollectable object */
    uint32_t parent; /* index of the visit of the object that the word is in, or VISIT_ROOT */
    uint32_t root;   /* with VISIT_ROOT: the root job that the word is in */
};

struct visits {
    struct visit *queue; /* in the order in which they were found; n of them */
    size_t n;
    /* Called for each reference to an object that is not in the queue. With false it stays out of it. */
    bool (*take)(struct visits *v, struct ref r, const struct visit *how);
    /* Of a visited ephemeron's key: whether its object is live. NULL: it is when it was visited, and the ephemeron waits
     * for that. */
    bool (*live)(struct ref key);
    void *arg;   /* for `take` */
    bool end;    /* set by `take`: the trace goes no further */
    bool failed; /* memory for the queue could not be had, and it went no further */
    uint64_t *seen;
    uint32_t *waiting; /* visits of ephemerons whose key was not; n_waiting of them */
    size_t n_waiting;
    size_t seen_bytes, queue_bytes, waiting_bytes, next;
};

/* The world is stopped from begin to end, and the root jobs are made. False when memory cannot be had. */
bool visits_begin(struct visits *v);
void visits_root(struct visits *v, uint32_t job);

/* What is reached from what is in the queue. */
void visits_drain(struct visits *v);
void visits_end(struct visits *v);

/* The live object that the word's value points into. */
bool visits_resolve(uintptr_t value, struct ref *r);

#endif
