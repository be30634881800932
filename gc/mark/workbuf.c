/* workbuf.c - blocks for grey objects.
 * Owns:   the free blocks; they are kept from one cycle to the next.
 * Locks:  WORKBUF, for the free blocks. A stack is its marker's.
 * Keeps:  .nonempty  a block in a closed stack holds at least one object, as does every block but the newest in an open
 *                    one                                                                             (workstack_close)
 *         .reserve    there are blocks for the first mark, if it comes only when memory has run out: with none at all, each
 *                     pass over the heap finds the next object of a list, and no end is in sight     (unit/workbuf.c)
 * Below:  sysmem.   Above: scan, workpool.
 *
 * The depth follows the shape of the graph, not its size: a list of any length needs one entry. */
#include "mark/workbuf.h"

#include "base/lock.h"
#include "heap/sysmem.h"

#include <string.h>

_Static_assert(sizeof(struct workbuf) <= WORKBUF_BYTES, "a block is a page");

enum { SPLIT_LEAST = 4 };

static struct lock lock = LOCK_INIT(RANK_WORKBUF);
static struct workbuf *free_blocks;
static size_t blocks, limit = SIZE_MAX;

void workbuf_set_limit(size_t n) { limit = n; }

/* Cut into blocks one by one: what no mark has needed is not touched. */
static char *slab, *slab_end;

static bool take_slab(void)
{
    slab = blocks < limit ? sysmem_alloc(WORKBUF_SLAB, SYS_GC) : NULL;
    slab_end = slab ? slab + WORKBUF_SLAB : NULL;
    blocks += slab ? WORKBUF_SLAB / WORKBUF_BYTES : 0;
    return slab;
}

static struct workbuf *cut_block(void)
{
    if (limit == 0 || (slab == slab_end && !take_slab()))
        return NULL;
    struct workbuf *b = (struct workbuf *)(void *)slab;
    slab += WORKBUF_BYTES;
    return b;
}

void workbuf_reserve(void)
{
    lock_acquire(&lock);
    if (slab == slab_end)
        take_slab();
    lock_release(&lock);
}

static struct workbuf *get_block(struct workstack *w)
{
    struct workbuf *b = w->spare;
    w->spare = NULL;
    if (b)
        return b;
    lock_acquire(&lock);
    b = free_blocks;
    if (b)
        free_blocks = b->below;
    else
        b = cut_block();
    lock_release(&lock);
    return b;
}

static void put_block(struct workbuf *b)
{
    lock_acquire(&lock);
    b->below = free_blocks;
    free_blocks = b;
    lock_release(&lock);
}

static void drop_top(struct workstack *w)
{
    struct workbuf *b = w->top;
    w->top = b->below;
    if (w->spare)
        put_block(b);
    else
        w->spare = b;
}

void workstack_close(struct workstack *w, const struct grey *at)
{
    if (!w->top)
        return;
    w->top->n = (size_t)(at - w->top->items);
    if (w->top->n == 0)
        drop_top(w);
}

struct greytop workstack_more(struct workstack *w, struct greytop t)
{
    struct workbuf *b = get_block(w);
    if (!b)
        return t;
    if (w->top)
        w->top->n = (size_t)(t.at - t.begin);
    b->below = w->top;
    b->n = 0;
    w->top = b;
    return workstack_open(w);
}

struct greytop workstack_less(struct workstack *w)
{
    drop_top(w);
    return workstack_open(w);
}

struct workbuf *workstack_split(struct workstack *w)
{
    struct workbuf *top = w->top;
    if (!top)
        return NULL;
    struct workbuf *b = top->below;
    if (b) {
        top->below = b->below;
        return b;
    }
    if (top->n < SPLIT_LEAST || !(b = get_block(w)))
        return NULL;
    b->n = top->n / 2;
    top->n -= b->n;
    memcpy(b->items, top->items, b->n * sizeof *b->items);
    memmove(top->items, top->items + b->n, top->n * sizeof *top->items);
    return b;
}

void workstack_add(struct workstack *w, struct workbuf *b)
{
    b->below = w->top;
    w->top = b;
}

void workstack_finish(struct workstack *w)
{
    if (w->spare)
        put_block(w->spare);
    w->spare = NULL;
}

void workbuf_fork_child(void) { lock_init(&lock, RANK_WORKBUF); }
