/* layout.h - which words of an object may hold pointers: what gc_layout_new returns. Never freed. */
#ifndef HEAP_LAYOUT_H
#define HEAP_LAYOUT_H

#include "base/bits.h"
#include "heap/mspan.h"

struct mcentral;

enum {
    LAYOUT_MAX_WORDS = 1 << 16, /* of an element: a place is 16 bits */
    LAYOUT_AHEAD = 8
};

/* Written once, but for `next` and `centrals`. An object of a layout is an array of elements of `size` bytes, up to the
 * end of its slot: one element as well, so that gc_realloc in place finds the words of the next. */
struct gc_layout {
    struct gc_layout *next;              /* in its chain of the table. Lock of layout.c */
    _Atomic(struct mcentral *) centrals; /* one a size class that it was used with. See typed.c */
    uint64_t hash;
    size_t size;        /* bytes */
    const uint16_t *at; /* words of an element that may hold pointers, rising; n of them */
    uint32_t n;
    uint16_t scan;   /* SCAN_NONE, SCAN_ALL: its objects are ordinary ones. Else SCAN_LAYOUT */
    uint16_t single; /* with SCAN_LAYOUT, and size at most SMALL_MAX: the scan kind of gc_malloc_typed's spans */
    uint16_t ahead[LAYOUT_AHEAD]; /* some of `at` that lie in cache lines of their own: nahead of them */
    uint16_t nahead;
    uint64_t bits[]; /* bit i: word i may hold a pointer */
};

static inline size_t layout_words(size_t size) { return (size + sizeof(uintptr_t) - 1) / sizeof(uintptr_t); }

/* 0 until gc_layout_new has it, or a plain layout's. Relaxed: who sees 0 comes to the slow path. */
static ALWAYS_INLINE uint16_t layout_single(const struct gc_layout *l)
{
    return __atomic_load_n(&l->single, __ATOMIC_RELAXED);
}

/* Whether the word so many bytes from the start of an object may hold a pointer. */
static inline bool layout_names(const struct gc_layout *l, size_t offset)
{
    return bits_test(l->bits, offset % l->size / sizeof(uintptr_t));
}

/* The layout of elements of `size` bytes, at most LAYOUT_MAX_WORDS words, with these bits: there is one of each. No bit is
 * set beyond the size, and none where the size is not whole words. NULL when memory cannot be had. In a region. */
struct gc_layout *layout_new(size_t size, const uint64_t *bits);

/* LAYOUT: the table of layouts, their mcentrals, and the allocation of single slots (typedcache.c). In a region. */
void layout_lock(void);
void layout_unlock(void);

/* For fork, which holds other locks of the heap. */
void layout_fork_acquire(void);
void layout_fork_release(void);

#endif
