/* buckets.h - who allocated: a table of stacks with what was sampled there, kept for the life of the program.
 *
 * Figures are as of the last mark that ended: what was allocated before it, less what it found dead or the program had
 * freed by then. So nothing that is garbage already is shown as in use. */
#ifndef WATCH_BUCKETS_H
#define WATCH_BUCKETS_H

#include "heap/specials.h"

enum { BUCKET_DEPTH = 64 };

struct bucket_counts {
    uint64_t allocs;    /* objects */
    uint64_t freed;     /* of these, by gc_free */
    uint64_t collected; /* of these, found dead by a sweep */
};

/* Constant but for the counts, which are under the table's lock. */
struct bucket {
    struct bucket *next;  /* in its chain */
    struct bucket *older; /* in the list of all */
    uint64_t hash;
    uint64_t object_bytes;  /* of each object, its class's size */
    uint64_t rate;          /* with which they were sampled */
    uint32_t pending_since; /* heap_sweepgen when `pending` was last added to */
    uint32_t depth;
    struct bucket_counts known;   /* as of the last mark, or of the one before `pending_since` */
    struct bucket_counts pending; /* since */
    uintptr_t stack[];            /* return addresses, innermost first */
};

/* One sampled object, from its allocation to its end: what specials.h keeps with it. */
enum sample_state { SAMPLE_LIVE, SAMPLE_FREED, SAMPLE_COLLECTED };

struct sample {
    struct special special;
    struct bucket *bucket;
    size_t asked;            /* bytes that the program asked for; with check=1 alone */
    enum sample_state state; /* with check=1: no longer LIVE while it is in custody, see guard.h */
};

/* The sample of slot i, or NULL; as specials_find. */
static inline struct sample *sample_of(const struct mspan *s, size_t i)
{
    return (struct sample *)(void *)specials_find(s, i, SPECIAL_SAMPLE);
}

/* A sample in the bucket of this stack, size and rate; NULL when memory cannot be had. In a region. */
struct sample *buckets_alloc(const uintptr_t *stack, size_t depth, uint64_t object_bytes, uint64_t rate);

/* Its object is no more: the sweep found it dead, or the program freed it. The first only counts that. In a region. */
void buckets_count_end(struct sample *s, enum special_end why);
void buckets_end(struct sample *s, enum special_end why);

/* It was never told to anybody, for want of memory. In a region. */
void buckets_take_back(struct sample *s);

/* A copy of what is known, with everything swept: *n entries, newest stack first; NULL when memory cannot be had. For
 * free(); the buckets stay. `c` is the calling thread's, in no region. */
struct bucket_figures {
    const struct bucket *bucket;
    struct bucket_counts counts;
};
struct bucket_figures *buckets_read(struct mcache *c, size_t *n);

void buckets_fork_acquire(void);
void buckets_fork_release(void);

#endif
