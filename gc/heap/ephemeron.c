/* ephemeron.c - ephemerons and the slots of their keys.
 * Owns:   the contents of spans of SPANCLASS_EPHEMERON.
 * Locks:  SPECIAL.
 * Keeps:  .attached  one with a key is in the list of the key's slot, once, and its key is a live object
 *         .dead      none is in a list when its own slot is free: the sweep finds only such as have no key
 * Below:  specials.   Above: mark/ephemerons.c, cycle/lifetimes.c, gc_free, api/ephemeron.c.
 *
 * A list of specials lies in memory of the heap here. It is not scanned, and nothing in it holds anything. */
#include "heap/ephemeron.h"

#include "base/check.h"

static _Atomic size_t with_key; /* lock of specials; read by anyone */

size_t ephemerons_count(void) { return atomic_load_explicit(&with_key, memory_order_relaxed); }

static struct gc_ephemeron *of(const struct special *sp) { return (struct gc_ephemeron *)(uintptr_t)sp; }

/* Lock held, here and below. */
static void count(size_t by) { atomic_store_explicit(&with_key, ephemerons_count() + by, memory_order_relaxed); }

/* The key goes first: who still sees it, with the key in hand, gets what the value was or nothing. */
static void forget(struct special *sp)
{
    struct gc_ephemeron *e = of(sp);
    atomic_store_explicit(&e->key, 0, memory_order_release);
    atomic_store_explicit(&e->value, 0, memory_order_release);
    count((size_t)-1);
}

bool ephemeron_set(struct gc_ephemeron *e, struct mspan *s, size_t i, uintptr_t key, uintptr_t value)
{
    CHECK(ephemeron_key(e) == 0, "ephemeron.attached");
    specials_lock();
    e->special = (struct special){.kind = SPECIAL_EPHEMERON};
    bool added = specials_add_locked(s, i, &e->special);
    if (added) {
        count(1);
        atomic_store_explicit(&e->value, value, memory_order_relaxed);
        atomic_store_explicit(&e->key, key, memory_order_release);
    }
    specials_unlock();
    return added;
}

void ephemeron_drop(struct gc_ephemeron *e)
{
    specials_lock();
    uintptr_t key = ephemeron_key(e);
    if (key) {
        struct mspan *s = arena_span(key);
        specials_remove(s, mspan_index(s, key), &e->special);
        forget(&e->special);
    }
    specials_unlock();
}

void ephemeron_end(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "ephemeron.attached"); /* a mark clears those of the keys that it leaves dead */
    forget(sp);
}

static bool is_one(const struct special *sp) { return sp->kind == SPECIAL_EPHEMERON; }

void ephemeron_clear(struct mspan *s, size_t i)
{
    specials_lock();
    specials_filter(s, i, is_one, forget);
    specials_unlock();
}

static bool is_dead(const struct special *sp) { return is_one(sp) && !ephemeron_marked((uintptr_t)sp); }

/* All of this key that are dead at once: as many walks through its list would take the square of their number. */
void ephemeron_drop_dead(struct gc_ephemeron *e)
{
    specials_lock();
    uintptr_t key = ephemeron_key(e);
    if (key) {
        struct mspan *s = arena_span(key);
        specials_filter(s, mspan_index(s, key), is_dead, forget);
        CHECK(ephemeron_key(e) == 0, "ephemeron.dead");
    }
    specials_unlock();
}
