/* arena.h - the reserved range of addresses that all objects live in, and what is known of each of its pages.
 *
 * A pointer test is one subtraction and one compare; page -> span in use is one load. Both may be done without a lock:
 * `used` only grows, and the table under it is mapped before it does. */
#ifndef HEAP_ARENA_H
#define HEAP_ARENA_H

#include "base/bits.h"
#include "heap/sizeclass.h"

#include <stdatomic.h>

struct mspan;
struct pagemark;

enum {
    GRANULE = 2 << 20, /* the heap grows by these; scannable and noscan spans never share one */
    GRANULE_PAGES = GRANULE >> PAGE_SHIFT
};

/* Whose spans a granule holds. */
enum heap_side { SIDE_SCAN, SIDE_NOSCAN, SIDE_EMPTY, SIDE_COUNT };

struct arena {
    uintptr_t base;         /* start of the range; written once */
    _Atomic size_t used;    /* bytes from base that are mapped; grows under the page heap's lock */
    struct mspan **spans;   /* by page: the span in use that it belongs to, or NULL. Page heap's lock */
    struct pagemark *marks; /* by page: the line that marking reads. See pagemark.h */
    struct mspan **runs;    /* by page: the free run that it is an end of; stale elsewhere. Page heap's lock */
    void **specials;        /* by page: that of a span's first is its index of specials. See specials.c */
    uint64_t *dirty;        /* by page: may hold bytes that are not zero. Page heap's lock */
    uint64_t *released;     /* by page: its memory is with the OS. Page heap's lock */
    uint64_t *huge;         /* by granule: the kernel is asked for huge pages. Page heap's lock */
    size_t reserved;        /* bytes reserved from base */
    size_t max;             /* bytes the tables can describe */
};

extern struct arena arena;

/* Reserve the range: at most `want` bytes, less when the OS refuses; tables for up to `max`. False when not even
 * ARENA_MIN can be had. */
enum { ARENA_MIN = 16 << 20 };
bool arena_init(uint64_t want, uint64_t max);

/* Map `bytes` more, a multiple of GRANULE, right above what is used; returns their address or 0. Page heap's lock. */
uintptr_t arena_grow(size_t bytes);

static ALWAYS_INLINE size_t arena_used(void) { return atomic_load_explicit(&arena.used, memory_order_acquire); }
static ALWAYS_INLINE bool arena_contains(uintptr_t p) { return p - arena.base < arena_used(); }
static ALWAYS_INLINE size_t arena_page(uintptr_t p) { return (p - arena.base) >> PAGE_SHIFT; }
static inline uintptr_t arena_address(size_t page) { return arena.base + (page << PAGE_SHIFT); }

/* The span in use that p, an address in the arena, lies in, or NULL. */
static ALWAYS_INLINE struct mspan *arena_span(uintptr_t p)
{
    return __atomic_load_n(&arena.spans[arena_page(p)], __ATOMIC_ACQUIRE);
}

static inline void arena_set_span(size_t page, struct mspan *s)
{
    __atomic_store_n(&arena.spans[page], s, __ATOMIC_RELEASE);
}

#endif
