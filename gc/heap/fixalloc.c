/* fixalloc.c - one free list over persistent chunks.
 * Owns:   the chunks it takes; they are never given back.
 * Locks:  the caller's.
 * Keeps:  .inuse  inuse is size times the records out  (fixalloc_alloc, fixalloc_free)
 * Below:  persistentalloc.   Above: span and thread records.
 *
 * Go's has a callback for a record's first use, to list all spans; here the page table is that list (pageheap_each). */
#include "heap/fixalloc.h"

#include "base/check.h"
#include "heap/persistentalloc.h"

struct fixalloc_free {
    struct fixalloc_free *next;
};

void fixalloc_init(struct fixalloc *f, size_t size, size_t align, enum sys_kind kind)
{
    CHECK(size >= sizeof(struct fixalloc_free) && size <= FIXALLOC_CHUNK && size % align == 0, "fixalloc.inuse");
    *f = (struct fixalloc){.size = size, .align = align, .kind = kind};
}

static void *take_fresh(struct fixalloc *f)
{
    if (f->left < f->size) {
        char *chunk = persistentalloc(FIXALLOC_CHUNK, f->align, f->kind);
        if (!chunk)
            return NULL;
        f->chunk = chunk;
        f->left = FIXALLOC_CHUNK;
    }
    void *p = f->chunk;
    f->chunk += f->size;
    f->left -= f->size;
    return p;
}

void *fixalloc_alloc(struct fixalloc *f)
{
    struct fixalloc_free *p = f->free;
    if (p) {
        f->free = p->next;
        p->next = NULL;
    } else {
        p = take_fresh(f);
    }
    if (p)
        f->inuse += f->size;
    return p;
}

void fixalloc_free(struct fixalloc *f, void *record)
{
    CHECK(f->inuse >= f->size, "fixalloc.inuse");
    struct fixalloc_free *p = record;
    p->next = f->free;
    f->free = p;
    f->inuse -= f->size;
}
