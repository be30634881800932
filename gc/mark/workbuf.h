/* workbuf.h - the grey objects of one marker: found, not yet scanned. A stack in chained blocks. */
#ifndef MARK_WORKBUF_H
#define MARK_WORKBUF_H

#include "base/attr.h"

/* Words still to be scanned: an object, or a piece of a large one. Address and count in one machine word, written and
 * read whole: this stack is where marking spends what it does not wait, and a bit-field is stored in parts, which the
 * load that follows then waits for. Addresses of the arena fit in 48 bits (asserted in scan.c). */
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

bool workstack_grow(struct workstack *w);
void workstack_shrink(struct workstack *w);

/* A part of what is grey, to be given away: a block that is not the newest, or the older half of the only one. NULL
 * when there is little, or no memory. */
struct workbuf *workstack_split(struct workstack *w);

/* Put such a part on a stack. */
void workstack_add(struct workstack *w, struct workbuf *b);

/* Give the spare block back; the stack is empty. */
void workstack_finish(struct workstack *w);

static ALWAYS_INLINE void workstack_push(struct workstack *w, struct grey g)
{
    enum { CAPACITY = sizeof w->top->items / sizeof *w->top->items };
    if (unlikely(!w->top || w->top->n == CAPACITY) && !workstack_grow(w)) {
        w->overflowed = true;
        return;
    }
    w->top->items[w->top->n++] = g;
}

static ALWAYS_INLINE bool workstack_pop(struct workstack *w, struct grey *g)
{
    if (!w->top)
        return false;
    *g = w->top->items[--w->top->n];
    if (w->top->n == 0)
        workstack_shrink(w);
    return true;
}

/* After fork, in the child. */
void workbuf_fork_child(void);

/* For tests: let at most n blocks exist; SIZE_MAX is no bound. */
void workbuf_set_limit(size_t n);

#endif
