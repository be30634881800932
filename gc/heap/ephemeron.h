/* ephemeron.h - a value that is held while another object, the key, is: what gc_ephemeron_new returns.
 *
 * An ephemeron is an object of the heap in spans of its own class, which are not scanned: it holds neither key nor value
 * by itself. It is also a special of its key's slot, so that whoever marks a key finds the ephemerons that wait for it. */
#ifndef HEAP_EPHEMERON_H
#define HEAP_EPHEMERON_H

#include "heap/pagemark.h"
#include "heap/specials.h"

/* Zero: it has no key (yet, or any more), and is in no list. A record of the key's slot as long as it has one. */
struct gc_ephemeron {
    struct special special;
    _Atomic uintptr_t key; /* an address in the key, a live object; 0: there is none. Lock of specials.c; read by anyone
                                in a region, or the world stopped */
    _Atomic uintptr_t value; /* any word; 0 without a key. As above */
};

_Static_assert(sizeof(struct gc_ephemeron) <= 32, "fits the class of ephemerons");

static inline bool ephemeron_is(const struct mspan *s) { return s->spanclass_ == SPANCLASS_EPHEMERON; }

static inline uintptr_t ephemeron_key(const struct gc_ephemeron *e)
{
    return atomic_load_explicit(&e->key, memory_order_acquire);
}

/* During a mark: whether p, an address in a live object, is in one that is marked; whether e holds its value, if it is
 * marked itself. The world is stopped. */
static ALWAYS_INLINE bool ephemeron_marked(uintptr_t p)
{
    const struct pagemark *page = pagemark_of(p);
    return bits_test(page->bits, pagemark_index(page, p));
}

static ALWAYS_INLINE bool ephemeron_key_marked(const struct gc_ephemeron *e)
{
    uintptr_t key = ephemeron_key(e);
    return key && ephemeron_marked(key);
}

/* In a region, in which the value is not yet held; the caller holds e and key. */
static ALWAYS_INLINE void *ephemeron_load(const struct gc_ephemeron *e, const void *key)
{
    if (!key || ephemeron_key(e) != (uintptr_t)key)
        return NULL;
    return (void *)atomic_load_explicit(&e->value, memory_order_relaxed);
}

/* Give e, which is zero, a key, an address in slot i of s, and a value; the caller holds all three. False when memory
 * cannot be had. In a region. */
bool ephemeron_set(struct gc_ephemeron *e, struct mspan *s, size_t i, uintptr_t key, uintptr_t value);

/* How many have a key. */
size_t ephemerons_count(void);

/* gc_free of e itself: it is zero again. In a region. */
void ephemeron_drop(struct gc_ephemeron *e);

/* Its key is no more: the hook, for gc_free. Lock of specials.c. */
void ephemeron_end(struct special *sp, enum special_end why);

/* The same for all of slot i, which nothing marked. The world is stopped. */
void ephemeron_clear(struct mspan *s, size_t i);

/* e is not marked, nor will be: those of its key that are not leave the key's slot. The world is stopped. */
void ephemeron_drop_dead(struct gc_ephemeron *e);

#endif
