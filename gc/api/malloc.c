/* malloc.c - the fast paths of allocation: straight down, no lock, no atomic instruction.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .zero   a scanned object is all zeros, its slack up to the class size too, when the program gets it
 *         .align  the slot's address is a multiple of what C promises for the size    (tests/api/alignment.c)
 * Below:  mcache.   Above: the program.   See doc/design/critical-path.md
 *
 * One test catches every rare event: alloc_cache == 0 is an exhausted group, a class not used yet, size 0, and a thread
 * that the library has not seen. Everything else is api_alloc_slow. */
#include "api/api.h"
#include "heap/layout.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { ZERO_INLINE = 128 };

typedef uint64_t pair __attribute__((vector_size(16)));

/* Zero an object and return it. n is a class size: 8, or a multiple of 16. The empty assembly keeps the compiler from
 * making the loop a memset again, which would be a `rep stos` of some 30 cycles for 16 bytes. */
static ALWAYS_INLINE void *zero_object(void *p, size_t n)
{
    if (unlikely(n > ZERO_INLINE))
        return memset(p, 0, n);
    if (n == 8) {
        *(uint64_t *)p = 0;
        return p;
    }
    char *at = p, *end = at + n;
    do {
        *(pair *)(void *)at = (pair){0, 0};
        at += sizeof(pair);
        __asm__("" : "+r"(at));
    } while (at < end);
    return p;
}

/* A stop came while the thread took the object. */
static NOINLINE void *park_with(void *p, size_t n, unsigned flags)
{
    p = region_park(p);
    return flags & ALLOC_NOSCAN ? p : memset(p, 0, n);
}

/* Every call in here is a tail call, so the fast path has no frame. */
static ALWAYS_INLINE void *take_small(struct mcache *c, size_t spc, size_t size, unsigned flags)
{
    struct mcache_slot *sl = &c->slots[spc];
    region_enter(c);
    if (unlikely(sl->alloc_cache == 0)) {
        region_leave_quick(c); /* api_alloc_slow looks for a pending stop itself */
        return api_alloc_slow(size, flags);
    }
    size_t n = sl->elemsize;
    void *p = mcache_take_sized(sl, size, n);
    if (region_leave_quick(c))
        return park_with(p, n, flags);
    return flags & ALLOC_NOSCAN ? p : zero_object(p, n);
}

void *gc_malloc(size_t size)
{
    if (unlikely(size > SMALL_MAX))
        return api_alloc_slow(size, 0);
    return take_small(mcache_self, spanclass_make(sizeclass_of(size), false), size, 0);
}

/* In the region: a handler of the program may give the line to another layout before. Slot 0 is always empty. */
void *gc_malloc_typed(const struct gc_layout *layout)
{
    struct mcache *c = mcache_self;
    if (unlikely(!layout)) {
        errno = EINVAL;
        return NULL;
    }
    region_enter(c);
    struct mcache_slot *sl = &c->slots[mcache_line(c, layout_single(layout))];
    if (unlikely(sl->alloc_cache == 0)) {
        region_leave_quick(c);
        return api_alloc_typed(layout, layout->size);
    }
    size_t n = sl->elemsize;
    void *p = mcache_take_sized(sl, layout->size, n);
    return region_leave_quick(c) ? park_with(p, n, 0) : zero_object(p, n);
}

/* A part of the thread's tiny block at the alignment of its size, or NULL when none is left. */
static ALWAYS_INLINE void *take_tiny(struct mcache *c, size_t size)
{
    uintptr_t p = round_up(c->tiny_end - c->tiny_left, sizeclass_alignment(size));
    if (unlikely(p + size > c->tiny_end))
        return NULL;
    c->tiny_left = (uint32_t)(c->tiny_end - p - size);
    return (void *)p;
}

static ALWAYS_INLINE void *malloc_tiny(struct mcache *c, size_t size)
{
    region_enter(c);
    void *p = take_tiny(c, size);
    if (!p && c->slots[SPANCLASS_TINY].alloc_cache)
        p = mcache_start_tiny(c, mcache_take(&c->slots[SPANCLASS_TINY], TINY_SIZE), size);
    bool park = region_leave_quick(c);
    if (unlikely(!p))
        return api_alloc_slow(size, ALLOC_NOSCAN);
    return unlikely(park) ? park_with(p, size, ALLOC_NOSCAN) : p;
}

void *gc_malloc_noscan(size_t size)
{
    if (unlikely(size > SMALL_MAX || size == 0))
        return api_alloc_slow(size, ALLOC_NOSCAN);
    if (size < TINY_SIZE)
        return malloc_tiny(mcache_self, size);
    return take_small(mcache_self, spanclass_make(sizeclass_of(size), true), size, ALLOC_NOSCAN);
}

static bool product(size_t n, size_t size, size_t *bytes)
{
    if (likely(!__builtin_mul_overflow(n, size, bytes)))
        return true;
    errno = ENOMEM;
    return false;
}

void *gc_calloc(size_t n, size_t size)
{
    size_t bytes;
    return product(n, size, &bytes) ? gc_malloc(bytes) : NULL;
}

void *gc_calloc_noscan(size_t n, size_t size)
{
    size_t bytes;
    if (!product(n, size, &bytes))
        return NULL;
    if (bytes > SMALL_MAX)
        return api_alloc_slow(bytes, ALLOC_NOSCAN | ALLOC_ZERO);
    void *p = gc_malloc_noscan(bytes);
    return p ? memset(p, 0, bytes) : NULL;
}
