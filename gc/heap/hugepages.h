/* hugepages.h - which granules of the heap the kernel is asked to back by huge pages. Page heap's lock throughout. */
#ifndef HEAP_HUGEPAGES_H
#define HEAP_HUGEPAGES_H

#include "heap/arena.h"

/* Whole granules [page, page + npages) are about to be used, for such spans: ask for huge pages where that pays. */
void hugepages_prefer(size_t page, size_t npages, bool large_noscan);

/* Some of these pages, not whole granules, are about to be released: their granules are backed by small ones from now
 * on. */
void hugepages_give_up(size_t page, size_t npages);

#endif
