/* pagerun.h - the pools of free runs: put in with coalescing, best fit out. Page heap's lock throughout. */
#ifndef HEAP_PAGERUN_H
#define HEAP_PAGERUN_H

#include "heap/mspan.h"

/* A record for a run, or NULL; and back. */
struct mspan *pagerun_record_new(void);
void pagerun_record_free(struct mspan *s);
uint64_t pagerun_record_bytes(void);

/* Describe [page, page + npages) as a free run of a side. */
void pagerun_describe(struct mspan *s, size_t page, size_t npages, enum heap_side side, uint64_t unused_since);

/* Put a described run in its pool, merged with free neighbours of the same side; whole granules of the result become
 * a run of SIDE_EMPTY when records for that can be had. */
void pagerun_insert(struct mspan *s);
void pagerun_remove(struct mspan *s);

/* The shortest run of the side with at least npages, at the lowest address among treap runs; or NULL. */
struct mspan *pagerun_find(enum heap_side side, size_t npages);

/* Every run, longer ones of a pool first, while fn returns true. fn may not change the pools. */
void pagerun_each(bool (*fn)(struct mspan *s, void *arg), void *arg);

/* Free pages in the pools, all sides; and aborts when a pool is broken. */
size_t pagerun_check(void);

#endif
