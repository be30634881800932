/* fixalloc.h - records of one size, never in the collected heap, recycled through a free list. */
#ifndef HEAP_FIXALLOC_H
#define HEAP_FIXALLOC_H

#include "heap/sysmem.h"

struct fixalloc_free;

/* The caller's lock protects every field. */
struct fixalloc {
    size_t size; /* bytes of a record */
    size_t align;
    struct fixalloc_free *free; /* released records */
    char *chunk;                /* what is left of the current chunk */
    size_t left;                /* bytes of it */
    size_t inuse;               /* bytes of records handed out */
    enum sys_kind kind;
};

enum { FIXALLOC_CHUNK = 16 * 1024 };

void fixalloc_init(struct fixalloc *f, size_t size, size_t align, enum sys_kind kind);

/* A record; NULL on failure. Its first 8 bytes are zero and the rest is as fixalloc_free left it, or zero when new:
 * memory of records is type-stable, so a stale pointer still reads a record. */
void *fixalloc_alloc(struct fixalloc *f);
void fixalloc_free(struct fixalloc *f, void *record);

#endif
