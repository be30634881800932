/* specials.h - what is known of single objects beside their bytes: where a sampled one was allocated, and more to come.
 *
 * A special belongs to a slot from specials_add until its object is no more; then its kind's hook is called, once. */
#ifndef HEAP_SPECIALS_H
#define HEAP_SPECIALS_H

#include "heap/mspan.h"

enum special_kind { SPECIAL_SAMPLE, SPECIAL_KINDS };

/* The first member of each kind's record. */
struct special {
    struct special *next; /* of the same object; lock of specials.c, or alone with a dead object */
    enum special_kind kind;
};

enum special_end { SPECIAL_SWEPT, SPECIAL_FREED };

/* What api/init.c fills in: the special is out of the index and its object gone; in a region, no lock held. */
typedef void (*special_end_fn)(struct special *sp, enum special_end why);
extern special_end_fn specials_hooks[SPECIAL_KINDS];

/* With check=1, else NULL: a sweep looks at the slots of word w that hold objects before it ends what is dead; returns those
 * of the dead that stay allocated, with their specials, until the next sweep. In a region. */
extern uint64_t (*specials_inspect)(struct mspan *s, size_t w, uint64_t held, uint64_t dead);

/* Give slot i of s, an object that the caller holds, one more. In a region. False when memory cannot be had. */
bool specials_add(struct mspan *s, size_t i, struct special *sp);

/* The slot's special of this kind, or NULL. Its object is held by the caller, or the world is stopped. */
struct special *specials_find(const struct mspan *s, size_t i, enum special_kind kind);

/* The object in slot i is no more: nobody but the caller knows of it. In a region. */
void specials_end(struct mspan *s, size_t i, enum special_end why);

/* The same for the `dead` slots of word w, by the sweep. Of those slots that hold objects, `held`, they are a part; returns
 * those that stay. */
uint64_t specials_sweep(struct mspan *s, size_t w, uint64_t held, uint64_t dead);

static ALWAYS_INLINE bool mspan_is_special(const struct mspan *s)
{
    return unlikely(atomic_load_explicit(&s->special, memory_order_relaxed) == SPECIAL_SOME);
}

/* Take back the index of a span that holds no object. Page heap's lock. */
void specials_drop(struct mspan *s);

void specials_fork_acquire(void);
void specials_fork_release(void);

#endif
