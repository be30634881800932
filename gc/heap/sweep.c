/* sweep.c - gcmark_bits become alloc_bits.
 * Owns:   heap_sweepgen.
 * Locks:  none; a claimed span is the claimer's.
 * Keeps:  .claim   a span is swept once a cycle, by the one that moved its sweepgen        (sweep_claim)
 *         .subset  what is marked was allocated and not freed                              (sweep_span)
 * Below:  mspan.   Above: mcentral, the sweeper. */
#include "heap/sweep.h"

#include "base/check.h"

_Atomic uint32_t heap_sweepgen = 2;

bool sweep_claim(struct mspan *s)
{
    uint32_t unswept = sweepgen_now() - 2;
    return atomic_compare_exchange_strong_explicit(&s->sweepgen, &unswept, unswept + 1, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* Objects neither marked nor let go by gc_free. */
static size_t count_dead(const struct mspan *s)
{
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    size_t n = 0;
    for (size_t w = 0; w < mspan_words(s); w++) {
        uint64_t held = s->alloc_bits[w] & ~(f ? bits_load(&f[w]) : 0);
        CHECK((s->gcmark_bits[w] & ~held) == 0, "sweep.subset");
        n += (size_t)__builtin_popcountll(held & ~s->gcmark_bits[w]);
    }
    return n;
}

static void clear_free_bits(struct mspan *s)
{
    uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_relaxed);
    for (size_t w = 0; f && w < mspan_words(s); w++)
        bits_store(&f[w], 0);
    atomic_store_explicit(&s->freed, 0, memory_order_relaxed);
}

size_t sweep_span(struct mspan *s)
{
    CHECK(atomic_load_explicit(&s->sweepgen, memory_order_relaxed) == sweepgen_now() - 1, "sweep.claim");
    size_t dead = count_dead(s);
    uint64_t *was = s->alloc_bits;
    __atomic_store_n(&s->alloc_bits, s->gcmark_bits, __ATOMIC_RELEASE);
    s->gcmark_bits = was;
    for (size_t w = 0; w < mspan_words(s); w++)
        bits_store(&was[w], 0);
    clear_free_bits(s);
    s->groups_done = 0;
    s->alloc_count = (int32_t)bits_count(s->alloc_bits, mspan_words(s));
    atomic_store_explicit(&s->sweepgen, sweepgen_now(), memory_order_release);
    return dead;
}
