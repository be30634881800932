/* sizeclass.h - from a size to its class; a class with the noscan bit is a spanclass. */
#ifndef HEAP_SIZECLASS_H
#define HEAP_SIZECLASS_H

#include "base/attr.h"
#include "heap/sizeclass_tables.h"

enum {
    PAGE_SHIFT = 13, /* the heap's page, Go's 8 KiB; a multiple of the kernel's */
    HEAP_PAGE = 1 << PAGE_SHIFT,
    SMALL_MAX = 32768, /* larger objects have a span each */
    TINY_SIZE = 16,    /* noscan objects below this share a block of this size */
    SPANCLASS_EPHEMERON = SIZECLASS_COUNT * 2,
    SPANCLASS_COUNT
};

/* class << 1 | noscan; or SPANCLASS_EPHEMERON, whose objects are ephemerons: see ephemeron.h. */
typedef uint8_t spanclass;

/* Noscan objects under 16 bytes are tiny, so noscan class 1 (8 bytes) is free to name spans of tiny blocks. */
enum { SPANCLASS_TINY = 1 << 1 | 1, SPANCLASS_LARGE = 0, SPANCLASS_LARGE_NOSCAN = 1 };

static inline spanclass spanclass_make(unsigned sizeclass, bool noscan)
{
    return (spanclass)(sizeclass << 1 | (unsigned)noscan);
}

static inline bool spanclass_noscan(spanclass spc) { return (spc & 1) || spc == SPANCLASS_EPHEMERON; }

/* The size class that the spanclass's objects count under. */
static inline unsigned spanclass_sizeclass(spanclass spc)
{
    enum { OF_TINY = 2, OF_EPHEMERON = 3 };
    return spc == SPANCLASS_TINY ? OF_TINY : spc == SPANCLASS_EPHEMERON ? OF_EPHEMERON : spc >> 1;
}

static inline size_t spanclass_size(spanclass spc) { return sizeclass_sizes[spanclass_sizeclass(spc)]; }

/* The class of a size from 0 to SMALL_MAX; 0 for size 0. */
static ALWAYS_INLINE unsigned sizeclass_of(size_t size)
{
    if (likely(size <= 1024))
        return sizeclass_by8[(size + 7) >> 3];
    return sizeclass_by128[(size - 1024 + 127) >> 7];
}

/* Alignment that C promises for an object of this size, n >= 1: the largest power of two not above it, at most 16. */
static inline size_t sizeclass_alignment(size_t size)
{
    return size >= 16 ? 16 : (size_t)1 << (31 - __builtin_clz((unsigned)size));
}

static inline size_t pages_for(size_t bytes) { return (bytes + HEAP_PAGE - 1) >> PAGE_SHIFT; }

#endif
