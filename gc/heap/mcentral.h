/* mcentral.h - the spans of one spanclass that no mcache holds, by how full and whether they are swept. */
#ifndef HEAP_MCENTRAL_H
#define HEAP_MCENTRAL_H

#include "base/lock.h"
#include "heap/sweep.h"

/* Two sets of lists, of which one has the swept spans: which alternates with heap_sweepgen, so that the end of a mark
 * makes every span unswept without touching one. In a set, spans with a free slot are by how many quarters are used:
 * what is nearly full is filled first, so that what is nearly empty has a chance to become so. */
enum {
    QUARTERS = 4,
    LIST_NONE = 0,
    LIST_PARTIAL,                            /* [parity * QUARTERS + quarters used, rounded down] */
    LIST_FULL = LIST_PARTIAL + 2 * QUARTERS, /* [parity] */
    LIST_KINDS = LIST_FULL + 2
};

struct gc_layout;

struct mcentral {
    struct lock lock; /* every field below; each span's next, prev and list while it is here */
    struct mspan *lists[LIST_KINDS];
    uint64_t mallocs, frees; /* objects, as far as mcaches have told */
    spanclass spc;
    bool pinned;
    uint16_t scan; /* of a layout: its number, see typed.h; else 0. Written once, as are the two below */
    struct gc_layout *layout;
    struct mcentral *next_of_layout; /* of another size class */
} __attribute__((aligned(128)));

void mcentral_init(void);

/* One that holds nothing yet. */
void mcentral_start(struct mcentral *c, spanclass spc, bool pinned);

/* The mcentral of a span, and of a class. */
struct mcentral *mcentral_of(const struct mspan *s);
struct mcentral *mcentral_get(spanclass spc, bool pinned);

/* What an mcache has of one mcentral beside the span that it allocates from, so that several spans go each way under
 * one lock. The owner of the mcache, or the collector while the world is stopped. Spans linked by `next`, in no list,
 * swept. */
struct span_batch {
    struct mspan *ready; /* each with a free slot, which heap_live counts as used */
    struct mspan *spent; /* to be given back */
    uint64_t mallocs;    /* objects, not yet told to the mcentral */
    uint64_t frees;      /* objects let go by gc_free or found dead by a sweep, not yet told */
    uint16_t size;       /* spans asked for last time: twice as many the next, so that who needs one takes one */
};

/* A swept span with at least one free slot, in no list; NULL when memory cannot be had. Sweeps for it before it takes
 * memory from the OS. Called in a region, no lock held. Adds the free slots to heap_live. */
struct mspan *mcentral_cache_span(struct mcentral *c, struct span_batch *b);

/* Take a span back from its mcache, whose claims are put back already. No lock is taken. */
void mcentral_uncache_span(struct span_batch *b, struct mspan *s);

/* All spans of the batch, and its counts, to the mcentral; empty spans to the page heap. */
void mcentral_return_batch(struct mcentral *c, struct span_batch *b);

/* A span of its own for one large object; NULL as above. */
struct mspan *mcentral_alloc_large(size_t npages, size_t align_pages, bool noscan, bool pinned);

/* The same of a layout, whose mcentral for large objects this is. */
struct mspan *mcentral_alloc_large_typed(const struct mcentral *c, size_t npages);

/* Give the pages of a large object back at once. The span is swept. False when another thread did so meanwhile. */
bool mcentral_free_large(struct mspan *s);

/* So many slots of a full span have been noted free that it is worth allocating from it again. */
void mcentral_offer_freed(struct mspan *s);

/* Make sure that a span in use is swept, by sweeping it or by waiting for who does. In a region. False when the span
 * turned out to hold nothing and is gone. */
bool mcentral_ensure_swept(struct mspan *s);

/* Sweep some unswept span; false when none is left to begin with. *pages grows by the pages that came free. */
bool mcentral_sweep_one(size_t *pages);

/* The mark is over: every span is unswept. The world is stopped. */
void mcentral_begin_sweep(void);

/* Whether sweeping is done, as far as lists tell. */
bool mcentral_all_swept(void);

/* Every span that holds uncollectable objects. The world is stopped and the caches are flushed. */
void mcentral_each_pinned(void (*fn)(struct mspan *s, void *arg), void *arg);

/* Objects of the class allocated and freed so far, pinned ones included, and not those of layouts: what gc_free let go of
 * those counts here, what a sweep found dead there. */
void mcentral_read_counts(spanclass spc, uint64_t *mallocs, uint64_t *frees);

/* Calls fn with the counts of every mcentral of a layout. */
typedef void (*mcentral_counts_fn)(spanclass spc, uint64_t mallocs, uint64_t frees, void *arg);
void mcentral_each_typed(mcentral_counts_fn fn, void *arg);

void mcentral_fork_acquire(void);
void mcentral_fork_release(void);

#endif
