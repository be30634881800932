/* pageheap.h - pages: free runs, spans made of them, growth, and giving memory back. */
#ifndef HEAP_PAGEHEAP_H
#define HEAP_PAGEHEAP_H

#include "heap/mspan.h"

enum { LIST_PAGES = 128 }; /* runs of fewer pages are in lists by length, longer ones in a treap */

struct pageheap_stats {
    uint64_t mapped, inuse, released;    /* bytes; mapped - inuse is free, and released or not yet touched in part */
    uint64_t large_mallocs, large_frees; /* objects */
    uint64_t large_malloc_bytes, large_free_bytes;
    uint64_t span_records; /* bytes of span records in use */
};

/* Address space for the heap; false when there is none. */
bool pageheap_init(uint64_t want, uint64_t max);

struct pageheap_request {
    size_t npages;
    size_t align_pages; /* the span starts at a multiple of so many pages; a power of two, usually 1 */
    spanclass spc;
    uint16_t layout; /* the span's scan kind, where it is of a layout; else 0, and the spanclass says what it is */
    bool pinned;
    bool may_grow; /* take memory from the OS if no free run fits */
};

/* A span cut into objects, in no list; NULL when no run fits and none may or can be had. */
struct mspan *pageheap_alloc(const struct pageheap_request *rq);

/* The pages of a span in use, in no list and holding no object, become free. */
void pageheap_free(struct mspan *s);

/* Fill with zeros what is not known to be zero among the first n bytes of a span that was just allocated. */
void pageheap_zero(const struct mspan *s, size_t n);

/* Give the memory of free runs that have been unused since `before` (os_now_ns) back to the OS, about `bytes` of it, of
 * the longest first. Returns how much; 0 when nothing is left. */
size_t pageheap_scavenge(uint64_t before, size_t bytes);

/* Since when the longest unused free memory has been so that is not with the OS; UINT64_MAX when all is. */
uint64_t pageheap_oldest_unused(void);

/* Whether more is held than may be, metadata included; give free memory back until it is not. */
void pageheap_set_limit(uint64_t bytes);
bool pageheap_over_limit(void);
void pageheap_release_over_limit(void);

void pageheap_read_stats(struct pageheap_stats *st);

/* Bytes mapped so far: rises when the heap grows. */
uint64_t pageheap_mapped(void);

/* Bytes that the library has from the OS, metadata included, and that it has not given back. */
uint64_t pageheap_footprint(void);

/* Every run of pages in order of address, in use or free. The world is stopped, or the lock is held. */
void pageheap_each(void (*fn)(struct mspan *s, void *arg), void *arg);

/* Aborts when the free runs, the page table and the counters do not agree. The world is stopped. */
void pageheap_check(void);

void pageheap_fork_acquire(void);
void pageheap_fork_release(void);

#endif
