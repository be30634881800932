/* specials.h - what is known of single objects beside their bytes: where a sampled one was allocated, who refers to it
 * weakly, what is to be called at its end.
 *
 * A special belongs to a slot from specials_add until its object is no more; then its kind's hook is called, once. */
#ifndef HEAP_SPECIALS_H
#define HEAP_SPECIALS_H

#include "heap/mspan.h"

enum special_kind {
    SPECIAL_SAMPLE = 1,
    SPECIAL_WEAK,
    SPECIAL_CLEANUP,
    SPECIAL_FINALIZER,
    SPECIAL_EPHEMERON,
    SPECIAL_LINK_TARGET,
    SPECIAL_LINK_HOLDER,
    SPECIAL_LINK_TABLE,
    SPECIAL_KINDS
};

/* The first member of each kind's record. */
struct special {
    struct special *next; /* of the same object; lock of specials.c */
    enum special_kind kind;
    uint32_t own; /* the kind's, see there; lock of specials.c */
};

enum special_end { SPECIAL_SWEPT, SPECIAL_FREED };

/* What api/init.c fills in: the special is out of the index and its object gone; in a region, with
 * the lock of specials.c: until it returns nobody finds the record neither in the index nor ended. */
typedef void (*special_end_fn)(struct special *sp, enum special_end why);
extern special_end_fn specials_hooks[SPECIAL_KINDS];

/* With check=1, else NULL: a sweep looks at the slots of word w that hold objects before it ends what is dead; returns those
 * of the dead that stay allocated, with their specials, until the next sweep. In a region. */
extern uint64_t (*specials_inspect)(struct mspan *s, size_t w, uint64_t held, uint64_t dead);

/* Give slot i of s, an object that the caller holds, one more. In a region. False when memory cannot be had. */
bool specials_add(struct mspan *s, size_t i, struct special *sp);

/* For what must be done in one piece. In a region, or the world stopped. */
void specials_lock(void);
void specials_unlock(void);

/* With the lock: add; the slot's list, to be walked; take one out of it, and no hook is called. */
bool specials_add_locked(struct mspan *s, size_t i, struct special *sp);
struct special *specials_list(const struct mspan *s, size_t i);
void specials_remove(struct mspan *s, size_t i, struct special *sp);

/* With the lock: take all out of the slot's list that `test` says yes to, going through it once, and call `ended` for
 * each when it is out; no hook. */
void specials_filter(struct mspan *s, size_t i, bool (*test)(const struct special *sp),
                     void (*ended)(struct special *sp));

/* How many there are that are no samples. */
size_t specials_lifetimes(void);

/* Call fn for each slot of s that has such, with `dead` only where nothing marked it; it may remove. The world is stopped,
 * and if `dead` marking is over. */
void specials_each(struct mspan *s, bool dead, void (*fn)(struct mspan *s, size_t i, void *arg), void *arg);

/* The slot's special of this kind, or NULL. Its object is held by the caller, or the world is stopped; for others than a
 * sample with the lock. */
struct special *specials_find(const struct mspan *s, size_t i, enum special_kind kind);

/* The object in slot i is no more: nobody but the caller knows of it. In a region. */
void specials_end(struct mspan *s, size_t i, enum special_end why);

/* The same for all but its sample: with check=1 the object is dead, and its memory is kept for a while. */
void specials_end_lifetimes(struct mspan *s, size_t i, enum special_end why);

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
