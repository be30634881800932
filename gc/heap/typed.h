/* typed.h - the mcentrals of layouts: one for each size class that a layout is used with. The number of one is the scan kind
 * of its spans. */
#ifndef HEAP_TYPED_H
#define HEAP_TYPED_H

#include "heap/layout.h"
#include "heap/mcentral.h"

enum { TYPED_CHUNK = 128, TYPED_CHUNKS = (UINT16_MAX + 1) / TYPED_CHUNK };

/* [number / TYPED_CHUNK], written once, before the number is given to anybody. */
extern struct mcentral *typed_chunks[TYPED_CHUNKS];

/* The one with this number: that of a span, or one below typed_end. */
static ALWAYS_INLINE struct mcentral *typed_at(uint16_t scan)
{
    return &__atomic_load_n(&typed_chunks[scan / TYPED_CHUNK], __ATOMIC_ACQUIRE)[scan % TYPED_CHUNK];
}

static ALWAYS_INLINE const struct gc_layout *typed_layout(uint16_t scan) { return typed_at(scan)->layout; }

/* The numbers given out are SCAN_LAYOUT and above, below this. */
uint32_t typed_end(void);

/* That of a layout's objects of this size class, 0 of large ones; made if need be. NULL when memory cannot be had, or no
 * number is left. In a region. */
struct mcentral *typed_central(struct gc_layout *l, unsigned sizeclass);

#endif
