/* workbuf.c - blocks for grey objects.
 * Owns:   the free blocks; they are kept from one cycle to the next.
 * Locks:  none: the one marker runs while the world is stopped.
 * Keeps:  .nonempty  a block in a stack holds at least one object      (workstack_pop)
 * Below:  sysmem.   Above: scan.
 *
 * The depth follows the shape of the graph, not its size: a list of any length needs one entry. */
#include "mark/workbuf.h"

#include "heap/sysmem.h"

_Static_assert(sizeof(struct workbuf) <= WORKBUF_BYTES, "a block is a page");

static struct workbuf *free_blocks;
static size_t blocks, limit = SIZE_MAX;

void workbuf_set_limit(size_t n) { limit = n; }

static bool take_slab(void)
{
    char *slab = blocks < limit ? sysmem_alloc(WORKBUF_SLAB, SYS_GC) : NULL;
    if (!slab)
        return false;
    for (size_t at = 0; at < WORKBUF_SLAB; at += WORKBUF_BYTES) {
        struct workbuf *b = (struct workbuf *)(void *)(slab + at);
        b->below = free_blocks;
        free_blocks = b;
        blocks++;
    }
    return true;
}

bool workstack_grow(struct workstack *w)
{
    if (!free_blocks && !take_slab())
        return false;
    struct workbuf *b = free_blocks;
    free_blocks = b->below;
    b->below = w->top;
    b->n = 0;
    w->top = b;
    return true;
}

void workstack_shrink(struct workstack *w)
{
    struct workbuf *b = w->top;
    w->top = b->below;
    b->below = free_blocks;
    free_blocks = b;
}
