/* mcache.h - a thread's own free slots: a span a spanclass, allocated from with no lock and no atomic instruction. */
#ifndef HEAP_MCACHE_H
#define HEAP_MCACHE_H

#include "heap/mcentral.h"
#include "heap/sampler.h"

/* Go keeps alloc_cache and freeindex in the span; here they are in the cache, so that the fast path loads no span. A
 * group is the 64 slots of one word of alloc_bits; its free ones are claimed together, their alloc bits set at once,
 * and put back when the span leaves. Owner thread only, or the collector while the world is stopped. */
struct mcache_slot {
    uint64_t alloc_cache; /* bit i: slot i of the current group is free; 0 also without a span */
    uintptr_t group_base; /* address of the group's slot 0 */
    struct mspan *span;   /* or NULL */
    uint32_t elemsize;    /* bytes */
    uint16_t again;       /* slots of earlier groups were freed by this thread: go round once more */
    uint16_t exact;       /* an object was taken with a size of all its slot: see struct mspan */
};

/* Slots of the current group that are free and not in alloc_cache: those that are to be sampled, and what comes after
 * the first of them. So the test for an empty alloc_cache finds them too. Owner, or the collector. */
struct mcache_hidden {
    uint64_t rest;   /* not 0 only while some slot of it is chosen */
    uint64_t chosen; /* within rest */
};

/* The slots above those of the spanclasses are lines: each serves one mcentral of a layout at a time, whichever the thread
 * allocates from much. Which lines one may have follows from its number: those of its way. See typedcache.c */
enum {
    MCACHE_WAYS = 8,
    MCACHE_WAY_LINES = 4,
    MCACHE_LINES = MCACHE_WAYS * MCACHE_WAY_LINES,
    MCACHE_SLOTS = SPANCLASS_COUNT + MCACHE_LINES
};

_Static_assert(MCACHE_SLOTS <= UINT8_MAX, "a slot is named in 8 bits");

/* Owner. */
struct mcache_way {
    uint16_t scan[MCACHE_WAY_LINES]; /* the number of the mcentral that each line serves; 0: none yet */
    uint16_t waits;                  /* the number of the last one that no line served, and how often it was */
    uint8_t times;
    uint8_t oldest; /* line that is given to another next */
};

struct mcache {
    _Atomic uint8_t busy; /* depth of regions the thread is in: it may not be stopped while > 0. Owner */
    _Atomic uint8_t
        stop_pending;   /* park on leaving the next region. Set by the stopper, or by the handler on this thread */
    bool pinned;        /* its spans hold uncollectable objects. Written once */
    uint32_t tiny_left; /* bytes left at the end of the tiny block */
    uintptr_t tiny_end; /* its end; 0 without one */
    _Atomic uint32_t refills; /* groups claimed: who allocates is seen by it. Owner; read by the stopper */
    uint64_t lookups;         /* pointers looked up, for memstats. Owner */
    uint64_t used[(MCACHE_SLOTS + 63) / 64]; /* bit a slot: it or its batch may hold something to give back */
    struct mcache_slot slots[MCACHE_SLOTS];  /* by spanclass; then the lines */
    struct span_batch batches[MCACHE_SLOTS];
    struct mcache_hidden hidden[MCACHE_SLOTS];
    struct mcache_way ways[MCACHE_WAYS];
    struct sampler sampler;
    _Atomic uintptr_t fresh; /* the object taken last, if it is to be sampled and has not been yet: a root. Owner */
};

/* The calling thread's cache: never NULL. Threads unknown yet share one that holds nothing, so that first use is found
 * by the test for an empty alloc_cache that every allocation makes anyway. Another such is in place while a signal
runs that interrupted the library: what the handler may not do is found by the same test. Programs that include
 * spangc/inline.h allocate from it themselves, by the name given here: see api/inline.c before changing the layout. */
extern _Thread_local struct mcache *mcache_self INITIAL_EXEC;
extern struct mcache mcache_none, mcache_interrupted;

static inline bool mcache_is_shared(const struct mcache *c) { return c == &mcache_none || c == &mcache_interrupted; }

/* Take one free slot, elemsize n, for `size` bytes; the group is not empty. */
static ALWAYS_INLINE void *mcache_take_sized(struct mcache_slot *sl, size_t size, size_t n)
{
    uint64_t cache = sl->alloc_cache;
    unsigned i = (unsigned)__builtin_ctzll(cache);
    __atomic_store_n(&sl->alloc_cache, cache & (cache - 1), __ATOMIC_RELAXED); /* mcache_slot_unused reads it */
    if (size == n)
        sl->exact = 1;
    return (void *)(sl->group_base + i * n);
}

static ALWAYS_INLINE void *mcache_take(struct mcache_slot *sl, size_t size)
{
    return mcache_take_sized(sl, size, sl->elemsize);
}

/* A part of `size` bytes at the front of a fresh tiny block. The last part of a block may end where the block does: to
 * a pointer one past an object, a tiny block is an object that uses all of its slot, and is taken as one. */
static ALWAYS_INLINE void *mcache_start_tiny(struct mcache *c, void *block, size_t size)
{
    c->tiny_end = (uintptr_t)block + TINY_SIZE;
    c->tiny_left = (uint32_t)(TINY_SIZE - size);
    return block;
}

static inline void mcache_set_fresh(struct mcache *c, uintptr_t p)
{
    atomic_store_explicit(&c->fresh, p, memory_order_relaxed);
}

static inline uintptr_t mcache_fresh(const struct mcache *c)
{
    return atomic_load_explicit(&c->fresh, memory_order_relaxed);
}

/* The slot that serves this mcentral of a layout; 0, which is no line, when none does. In a region, or nobody is sure that it
 * still does. */
static ALWAYS_INLINE unsigned mcache_line(const struct mcache *c, uint16_t scan)
{
    unsigned way = scan % MCACHE_WAYS, first = SPANCLASS_COUNT + way * MCACHE_WAY_LINES;
    const struct mcache_way *w = &c->ways[way];
    for (unsigned i = 0; i < MCACHE_WAY_LINES; i++)
        if (w->scan[i] == scan)
            return first + i;
    return 0;
}

/* From here on a slot is named by its number: a spanclass, or a line.
 *
 * Make the slot's group not empty, but for hidden slots: the next group of its span, or another span. False when memory
 * cannot be had. In a region. */
bool mcache_refill(struct mcache *c, uint8_t slot);

/* A free slot for `size` bytes, refilled if need be, and c->fresh if it is one to be sampled; NULL when memory cannot be
 * had. In a region. */
void *mcache_alloc(struct mcache *c, uint8_t slot, size_t size);

/* Give back all that a line has, so that it may serve another. In a region. */
void mcache_empty_line(struct mcache *c, uint8_t slot);

/* Give everything back: spans, the tiny block, counts. Owner, or the collector while the world is stopped. */
void mcache_flush(struct mcache *c);

/* Whether it holds no span. */
bool mcache_is_empty(const struct mcache *c);

/* Count an object of the class, of whatever span, that gc_free let go. In a region. */
void mcache_count_free(struct mcache *c, spanclass spc);

enum mcache_free { MCACHE_FREED, MCACHE_FREED_TWICE };

/* gc_free of slot i of a span that this cache holds. In a region. */
enum mcache_free mcache_free_local(struct mcache *c, struct mspan *s, size_t i);

/* Whether slot i of a span in an mcache is claimed but not handed out. Exact for the owner; for others, true means a
 * slot that nobody may hold. */
bool mcache_slot_unused(const struct mspan *s, size_t i);

#endif
