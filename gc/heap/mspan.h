/* mspan.h - a run of pages cut into objects of one size, or a free run. */
#ifndef HEAP_MSPAN_H
#define HEAP_MSPAN_H

#include "heap/arena.h"

#include <stdatomic.h>

/* Whether there is an index of specials, and whether it may hold any. */
enum mspan_special { SPECIAL_NONE, SPECIAL_EMPTY, SPECIAL_SOME };

enum mspan_state { MSPAN_DEAD, MSPAN_FREE, MSPAN_INUSE };

/* What the marker does with an object of the span. From SCAN_LAYOUT on it is the number of a layout and a size class
 * (typed.h), and only the words that the layout names are read; mark procedures and per-object descriptors will be others. */
enum scan_kind { SCAN_NONE, SCAN_ALL, SCAN_LAYOUT };

struct mcache;

enum { MSPAN_OWN_WORDS = 4 };

/* "owner": the thread whose mcache holds the span, or whoever took it off its mcentral list to sweep or refill.
 * "heap": under the page heap's lock. "central": under the lock of the span's mcentral. */
struct mspan {
    uintptr_t base;        /* address of the first page. heap */
    size_t elemsize;       /* bytes of an object; of a large one, of the whole span. heap */
    uint64_t *alloc_bits;  /* bit a slot: allocated, or claimed by an mcache. Constant while in use; the bits are
                                      the owner's, read relaxed by anyone */
    uint64_t *gcmark_bits; /* bit a slot: found live, see pagemark.h. Constant while in use; the bits are the
                                      marker's, world stopped, and the sweep's */
    _Atomic(uint64_t *) free_bits; /* bit a slot: gc_free was called. Made by the first, any thread, atomically */
    uint32_t npages;               /* heap */
    uint32_t divmul;               /* ceil(2^32 / elemsize); 0 for one object. heap */
    _Atomic uint32_t sweepgen;     /* see sweep.h */
    uint16_t nelems;               /* slots. heap */
    uint16_t scan;                 /* enum scan_kind. heap */
    _Atomic uint16_t freed;        /* bits set in free_bits, or about to be. any thread */
    uint8_t spanclass_;            /* heap */
    _Atomic uint8_t state;         /* enum mspan_state. heap; released when it becomes INUSE */
    bool pinned;                   /* its objects are uncollectable. heap */
    bool exact;                    /* an object may use all of elemsize, so that one past its end is the next slot's
                                     address. owner; or anyone, set only, with the object in hand */
    uint8_t list;                  /* enum mcentral_list it is on; none unless in use and in no mcache. central */
    _Atomic uint8_t special;       /* enum mspan_special. Lock of specials.c */

    struct mspan *next, *prev; /* in a list of the mcentral (central) or of the page heap (heap) */
    union {
        struct { /* in use */
            _Atomic(struct mcache *)
                owner;            /* the mcache that allocates from it. central when set, owner when cleared */
            int32_t alloc_count;  /* popcount of alloc_bits when the span was last out of any mcache, less what
                                     its owner freed since. owner */
            uint16_t groups_done; /* words of alloc_bits that its mcache has claimed: Go's freeindex / 64. owner */
            uint8_t slot;         /* its place in the owner's slots. owner, before it says that it is */
            uint64_t own_bits[MSPAN_OWN_WORDS]; /* alloc_bits, when they fit */
        };
        struct {                                 /* a free run */
            struct mspan *left, *right, *parent; /* in the treap. heap */
            uint32_t priority;                   /* heap */
            uint8_t side;                        /* enum heap_side. heap */
            uint32_t released_pages;             /* of its pages, with the OS. heap */
            uint64_t unused_since; /* CLOCK_MONOTONIC, ns: when its pages were freed, the mean of them. heap */
        };
    };
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct mspan) == 128, "two cache lines a span");

static inline enum mspan_state mspan_state_of(const struct mspan *s)
{
    return (enum mspan_state)atomic_load_explicit(&s->state, memory_order_acquire);
}

static inline size_t mspan_bytes(const struct mspan *s) { return (size_t)s->npages << PAGE_SHIFT; }
static inline uintptr_t mspan_limit(const struct mspan *s) { return s->base + mspan_bytes(s); }
static inline size_t mspan_words(const struct mspan *s) { return bits_words(s->nelems); }
static inline bool mspan_is_large(const struct mspan *s) { return s->spanclass_ <= SPANCLASS_LARGE_NOSCAN; }

/* The slot that address p, base <= p, lies in; nelems or more in the tail that no object uses. */
static ALWAYS_INLINE size_t mspan_index(const struct mspan *s, uintptr_t p)
{
    return (size_t)((uint64_t)(p - s->base) * s->divmul >> 32);
}

static ALWAYS_INLINE uintptr_t mspan_slot(const struct mspan *s, size_t i) { return s->base + i * s->elemsize; }

/* Make pages of a span that is not yet in use objects of the class; false when bitmaps cannot be had. */
bool mspan_init_objects(struct mspan *s, spanclass spc, uint16_t scan, bool pinned);

/* Before a mark, the world stopped: the mark bits of slots that hold no object are set, of the others clear. */
void mspan_begin_mark(struct mspan *s);

/* After a mark that no sweep follows. */
void mspan_forget_marks(struct mspan *s);

/* Give its bitmaps up; the span holds no object. */
void mspan_drop_objects(struct mspan *s);

/* Whether slot i was freed by gc_free and is not yet free for use. */
static ALWAYS_INLINE bool mspan_slot_freed(const struct mspan *s, size_t i)
{
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    return unlikely(f != NULL) && bits_test(f, i);
}

enum mspan_freed { FREED_OK, FREED_TWICE, FREED_NO_MEMORY };

/* Note that gc_free was called on slot i. Any thread, the span swept. */
enum mspan_freed mspan_note_free(struct mspan *s, size_t i);

/* Whether some slot is noted free. `freed` alone may promise one whose bit is not set yet. */
bool mspan_any_freed(const struct mspan *s);

/* Make the slots noted by mspan_note_free free for use; returns how many. Owner. */
size_t mspan_fold_free(struct mspan *s);

/* Aborts when an invariant of an in-use span, out of any mcache, is broken. */
void mspan_check(const struct mspan *s);

#endif
