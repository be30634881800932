/* ephemerons.c - the fixed point of "a value is held while its ephemeron and its key are".
 * Owns:   nothing but the count of what is left open.
 * Locks:  none, the world is stopped; SPECIAL to drop what is dead.
 * Keeps:  .held    when ephemerons_mark returns no marked ephemeron with a marked key has a value that is not
 *                  (checkmark.c traces again and compares)
 *         .linear  each ephemeron is looked at a bounded number of times: by each pass, of which there are two (and one more
 *                  each time that memory for grey objects runs out), when it is marked, and when its key is
 * Below:  heap/ephemeron.c, scan, markers.   Above: cycle, lifetimes.   See doc/design/lifetimes.md
 *
 * The first pass is shared out among the markers: most keys are held by others, and most of what hangs on values is
 * found by it. What is left open, chains in which a value leads to the next key, is one marker's work, which looks at
 * each object that it marks for ephemerons that wait for it: they are specials of its slot. So the index by key that
 * chains need is there before the collection, and no memory is asked for while the world is stopped. */
#include "mark/ephemerons.h"

#include "heap/ephemeron.h"
#include "heap/pageheap.h"
#include "heap/pagemark.h"

static _Atomic size_t left_open; /* ephemerons that the first pass found not marked, or their key not */
static _Atomic uint64_t looked;

uint64_t ephemerons_looked_at(void) { return atomic_load_explicit(&looked, memory_order_relaxed); }

/* Those of word w that hold objects. */
static uint64_t held_of(const struct mspan *s, size_t w)
{
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    return s->alloc_bits[w] & ~(f ? bits_load(&f[w]) : 0);
}

static struct gc_ephemeron *ephemeron_at(const struct mspan *s, size_t w, uint64_t bits)
{
    return (struct gc_ephemeron *)mspan_slot(s, w * WORD_BITS + (size_t)__builtin_ctzll(bits));
}

/* Those of word w that have a key, whose line in the table of pages is on its way from here on. */
static uint64_t with_key(const struct mspan *s, size_t w)
{
    uint64_t found = 0;
    for (uint64_t left = held_of(s, w); left; left &= left - 1) {
        uintptr_t key = ephemeron_key(ephemeron_at(s, w, left));
        if (!key)
            continue;
        __builtin_prefetch(pagemark_of(key));
        found |= left & -left;
    }
    return found;
}

static size_t find_values(const struct mspan *s, size_t w, uint64_t marked, uintptr_t values[WORD_BITS])
{
    size_t n = 0;
    for (; marked; marked &= marked - 1) {
        const struct gc_ephemeron *e = ephemeron_at(s, w, marked);
        if (ephemeron_key_marked(e))
            values[n++] = atomic_load_explicit(&e->value, memory_order_relaxed);
    }
    return n;
}

static void look_at_word(struct marker *m, const struct mspan *s, size_t w)
{
    uintptr_t values[WORD_BITS];
    uint64_t all = with_key(s, w);
    size_t n = find_values(s, w, all & bits_load(&s->gcmark_bits[w]), values);
    if (n)
        mark_roots(m, (uintptr_t)values, (uintptr_t)(values + n), false);
    if (bits_ones(all) > n)
        atomic_fetch_add_explicit(&left_open, bits_ones(all) - n, memory_order_relaxed);
    if (all)
        atomic_fetch_add_explicit(&looked, bits_ones(all), memory_order_relaxed);
}

static void look_at_span(struct mspan *s, void *m)
{
    if (mspan_state_of(s) != MSPAN_INUSE || !ephemeron_is(s))
        return;
    for (size_t w = 0; w < mspan_words(s); w++)
        look_at_word(m, s, w);
}

void ephemerons_look(struct marker *m) { pageheap_each(look_at_span, m); }

/* The spans that begin in granule i. */
static uint64_t look_at_granule(struct marker *m, size_t i)
{
    for (size_t page = i * GRANULE_PAGES; page < (i + 1) * GRANULE_PAGES; page++) {
        struct mspan *s = arena.spans[page];
        if (s && s->base == arena_address(page))
            look_at_span(s, m);
    }
    return 0;
}

static void look_again(struct marker *m, void *unused)
{
    (void)unused;
    ephemerons_look(m);
}

void ephemerons_mark(struct mark_counts *n, uint64_t expected)
{
    if (ephemerons_count() == 0)
        return;
    atomic_store_explicit(&left_open, 0, memory_order_relaxed);
    uint64_t left = expected > n->marked_bytes ? expected - n->marked_bytes : 0;
    mark_counts_add(n, markers_share(arena_used() / GRANULE, look_at_granule, left));
    if (atomic_load_explicit(&left_open, memory_order_relaxed) > 0)
        mark_counts_add(n, markers_more(look_again, NULL));
}

static void drop_dead_of_span(struct mspan *s, void *unused)
{
    (void)unused;
    if (mspan_state_of(s) != MSPAN_INUSE || !ephemeron_is(s))
        return;
    for (size_t w = 0; w < mspan_words(s); w++)
        for (uint64_t dead = held_of(s, w) & ~s->gcmark_bits[w]; dead; dead &= dead - 1)
            ephemeron_drop_dead(ephemeron_at(s, w, dead));
}

void ephemerons_drop_dead(void)
{
    if (ephemerons_count() > 0)
        pageheap_each(drop_dead_of_span, NULL);
}
