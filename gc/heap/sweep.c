/* sweep.c - what is marked of what was allocated stays allocated.
 * Owns:   heap_sweepgen.
 * Locks:  none; a claimed span is the claimer's.
 * Keeps:  .claim   a span is swept once a cycle, by the one that moved its sweepgen        (sweep_claim)
 * Below:  mspan, specials.   Above: mcentral, the sweeper. */
#include "heap/sweep.h"

#include "base/check.h"
#include "heap/specials.h"

_Atomic uint32_t heap_sweepgen = SWEEPGEN_FIRST;

bool sweep_claim(struct mspan *s)
{
    uint32_t unswept = sweepgen_now() - 2;
    return atomic_compare_exchange_strong_explicit(&s->sweepgen, &unswept, unswept + 1, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

size_t sweep_span(struct mspan *s)
{
    CHECK(atomic_load_explicit(&s->sweepgen, memory_order_relaxed) == sweepgen_now() - 1, "sweep.claim");
    uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    size_t live = 0, dead = 0;
    for (size_t w = 0; w < mspan_words(s); w++) {
        uint64_t freed = f ? bits_load(&f[w]) : 0, held = s->alloc_bits[w] & ~freed, marked = s->gcmark_bits[w];
        CHECK((held | marked) == bits_valid(w, s->nelems), "mspan.preset");
        if (mspan_is_special(s))
            marked |= specials_sweep(s, w, held, held & ~marked);
        live += bits_ones(held & marked);
        dead += bits_ones(held & ~marked);
        bits_store(&s->alloc_bits[w], held & marked);
        s->gcmark_bits[w] = 0;
        if (freed)
            bits_store(&f[w], 0);
    }
    atomic_store_explicit(&s->freed, 0, memory_order_relaxed);
    s->groups_done = 0;
    s->alloc_count = (int32_t)live;
    atomic_store_explicit(&s->sweepgen, sweepgen_now(), memory_order_release);
    return dead;
}
