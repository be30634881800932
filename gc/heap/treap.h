/* treap.h - free runs of many pages in order of (pages, address): best fit at the lowest address. */
#ifndef HEAP_TREAP_H
#define HEAP_TREAP_H

#include "heap/mspan.h"

struct treap {
    struct mspan *root;
    uint32_t seed; /* of the priorities; any value */
};

void treap_insert(struct treap *t, struct mspan *s);
void treap_remove(struct treap *t, struct mspan *s);

/* The run with the fewest pages that has at least npages, of these the one at the lowest address; or NULL. */
struct mspan *treap_find(const struct treap *t, size_t npages);

/* In order: the first run, and the one after s; NULL at the end. */
struct mspan *treap_first(const struct treap *t);
struct mspan *treap_next(const struct mspan *s);

/* And from the end. */
struct mspan *treap_last(const struct treap *t);
struct mspan *treap_previous(const struct mspan *s);

/* Aborts when the order, the heap property or a parent link is broken; returns the number of runs. */
size_t treap_check(const struct treap *t);

#endif
