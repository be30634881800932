/* workbuf.h - the grey objects of one marker: found, not yet scanned. A stack in chained blocks. */
#ifndef MARK_WORKBUF_H
#define MARK_WORKBUF_H

#include "base/attr.h"

/* Words still to be scanned: an object, or a piece of a large one; with GREY_TYPED (pagemark.h) in the count, of these the
 * ones that a layout names. Address and count in one machine word, written and read whole: this stack is where marking spends
 * what it does not wait, and a bit-field is stored in parts, which the load that follows then waits for. Addresses of the arena fit in 48 bits (asserted in scan.c). */
struct grey {
    uint64_t bits;
};

enum { GREY_SHIFT = 48 };

static ALWAYS_INLINE struct grey grey_make(uintptr_t base, size_t words)
{
    return (struct grey){(uint64_t)words << GREY_SHIFT | base};
}
static ALWAYS_INLINE uintptr_t grey_base(struct grey g) { return g.bits & ((UINT64_C(1) << GREY_SHIFT) - 1); }
static ALWAYS_INLINE size_t grey_words(struct grey g) { return g.bits >> GREY_SHIFT; }

enum { WORKBUF_BYTES = 4096, WORKBUF_SLAB = 64 * 1024 };

struct workbuf {
    struct workbuf *below;
    size_t n;
    struct grey items[(WORKBUF_BYTES - 2 * sizeof(void *)) / sizeof(struct grey)];
};

/* One marker's. `overflowed`: a push failed for want of memory; its object is marked and must be found again. */
struct workstack {
    struct workbuf *top;
    struct workbuf *spare; /* an empty block at hand, or NULL */
    bool overflowed;
};

/* The newest block while a marker works on it, in three registers. Meanwhile the stack is open: the number of objects in
 * that block is not written down, and nothing but what takes a greytop may be called. */
struct greytop {
    struct grey *at, *begin, *end; /* at: above the newest object */
};

static ALWAYS_INLINE struct greytop workstack_open(const struct workstack *w)
{
    enum { CAPACITY = sizeof w->top->items / sizeof *w->top->items };
    struct workbuf *b = w->top;
    return b ? (struct greytop){b->items + b->n, b->items, b->items + CAPACITY} : (struct greytop){NULL, NULL, NULL};
}

/* at: of the greytop. (A struct of three words would go by memory, in halves that the processor waits for.) */
void workstack_close(struct workstack *w, const struct grey *at);

/* The block has not enough room: an empty one on top, or no change when there is no memory. It is empty: the one below, which there is. */
struct greytop workstack_more(struct workstack *w, struct greytop t);
struct greytop workstack_less(struct workstack *w);

/* These are for a closed stack. A part of what is grey, to be given away: a block that is not the newest, or the older half of the only one. NULL
 * when there is little, or no memory. */
struct workbuf *workstack_split(struct workstack *w);

/* Put such a part on a stack. */
void workstack_add(struct workstack *w, struct workbuf *b);

/* Give the spare block back; the stack is empty. */
void workstack_finish(struct workstack *w);

/* False: there was no memory, and the object is not on the stack. */
static ALWAYS_INLINE bool workstack_push(struct workstack *w, struct greytop *t, struct grey g)
{
    if (unlikely(t->at == t->end)) {
        *t = workstack_more(w, *t);
        if (t->at == t->end) {
            w->overflowed = true;
            return false;
        }
    }
    *t->at++ = g;
    return true;
}

static ALWAYS_INLINE bool workstack_pop(struct workstack *w, struct greytop *t, struct grey *g)
{
    if (t->at == t->begin) {
        if (!w->top || !w->top->below)
            return false;
        *t = workstack_less(w);
    }
    *g = *--t->at;
    return true;
}

/* Have a slab of blocks, untouched, before the first mark. */
void workbuf_reserve(void);

/* After fork, in the child. */
void workbuf_fork_child(void);

/* For tests: let at most n blocks exist; SIZE_MAX is no bound. */
void workbuf_set_limit(size_t n);

#endif
