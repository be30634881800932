/* sampler.h - which allocations the heap profile looks at: one in `rate` bytes on average, each byte as likely as any.
 *
 * The bytes from one sampled one to the next are drawn from an exponential distribution, so an object of n bytes is
 * sampled with probability 1 - exp(-n / rate), whatever was allocated before. That distribution has no memory: what was
 * looked at and not allocated in the end (slots that a thread gave back) need not be reckoned with. */
#ifndef HEAP_SAMPLER_H
#define HEAP_SAMPLER_H

#include "base/bits.h"

#include <stdatomic.h>

/* Of one mcache: its owner's, or the collector's while the world is stopped. */
struct sampler {
    uint64_t random; /* state; 0: not yet drawn from */
    uint64_t rate;   /* that `until` was drawn with */
    uint64_t until;  /* bytes that are still passed over; with rate 0 more than there will ever be, with rate 1 none */
};

/* Bytes between two samples on average; 1: each object; 0: none. */
extern _Atomic uint64_t sampler_the_rate;
static inline uint64_t sampler_rate(void) { return atomic_load_explicit(&sampler_the_rate, memory_order_relaxed); }
uint64_t sampler_set_rate(uint64_t rate);

static ALWAYS_INLINE bool sampler_pass_over(struct sampler *s, uint64_t bytes)
{
    if (unlikely(s->rate != sampler_rate() || s->until < bytes))
        return false;
    s->until -= bytes;
    return true;
}

/* Where there is one among them, or the rate has changed. */
uint64_t sampler_choose_some(struct sampler *s, uint64_t slots, size_t n);
bool sampler_take_some(struct sampler *s, size_t n);

/* Of the `slots`, each of n bytes, those to be sampled. */
static ALWAYS_INLINE uint64_t sampler_choose(struct sampler *s, uint64_t slots, size_t n)
{
    return sampler_pass_over(s, bits_ones(slots) * n) ? 0 : sampler_choose_some(s, slots, n);
}

/* Whether one object of n bytes is. */
static ALWAYS_INLINE bool sampler_take(struct sampler *s, size_t n)
{
    return !sampler_pass_over(s, n) && sampler_take_some(s, n);
}

#endif
