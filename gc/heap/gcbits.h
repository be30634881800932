/* gcbits.h - zeroed bitmaps for spans: alloc_bits, gcmark_bits, free_bits. */
#ifndef HEAP_GCBITS_H
#define HEAP_GCBITS_H

#include "base/bits.h"

/* A zeroed bitmap for nbits, 1 <= nbits <= SIZECLASS_MAX_OBJECTS; NULL on failure. */
uint64_t *gcbits_alloc(size_t nbits);
void gcbits_free(uint64_t *bits, size_t nbits);

void gcbits_fork_acquire(void);
void gcbits_fork_release(void);

#endif
