/* pagemark.h - what marking needs to know of a page, in one cache line that is reached by address arithmetic.
 *
 * From a word that may be a pointer to the mark bit that it may set there are no loads but from this line, so one
 * prefetch is enough. While a mark runs, the bit of a slot that holds no object is set like that of an object that was
 * reached: such a word ends there as well, and neither alloc_bits nor free_bits are read.  See doc/design/marking.md */
#ifndef HEAP_PAGEMARK_H
#define HEAP_PAGEMARK_H

#include "heap/mspan.h"

enum { PAGEMARK_OWN_WORDS = 4 };

/* Of a page without a span in use nelems is 0. Written under the page heap's lock; the bits by who marks, the world
 * stopped, and by the sweep. */
struct pagemark {
    uintptr_t base; /* the span's, as are the six that follow */
    uint64_t *bits; /* gcmark_bits: `own` of its first page, or elsewhere when it has more slots */
    uint64_t elemsize : 48;
    uint64_t scan : 16;
    uint32_t divmul;
    uint16_t nelems;
    uint16_t grey; /* words to scan of an object: none, as many, those with GREY_TYPED too, or GREY_IN_PIECES */
    uint64_t own[PAGEMARK_OWN_WORDS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct pagemark) == 64, "one cache line a page");

/* GREY_TYPED: of these words only the ones that the layout names. */
enum { GREY_NONE = 0, GREY_MAX = SMALL_MAX / sizeof(uintptr_t), GREY_TYPED = 0x8000, GREY_IN_PIECES = UINT16_MAX };

static ALWAYS_INLINE struct pagemark *pagemark_of(uintptr_t p) { return &arena.marks[arena_page(p)]; }

/* The slot that address p of the page lies in; nelems or more if it lies in none. */
static ALWAYS_INLINE size_t pagemark_index(const struct pagemark *m, uintptr_t p)
{
    return (size_t)((uint64_t)(p - m->base) * m->divmul >> 32);
}

/* Describe the pages of a span, or forget them. */
void pagemark_set(const struct mspan *s);
void pagemark_clear(const struct mspan *s);

/* Aborts when what the entries say of the span is not so. */
void pagemark_check(const struct mspan *s);

#endif
