/* sampler.c - drawing what is sampled.
 * Owns:   the rate.
 * Locks:  none.
 * Keeps:  .unbiased  of all bytes allocated each is as likely to be sampled as any other     (tests/unit/sampler.c)
 * Below:  base.   Above: mcache, api/slow.c. */
#include "heap/sampler.h"

#include "os/os.h"

static _Atomic uint64_t the_rate;

uint64_t sampler_rate(void) { return atomic_load_explicit(&the_rate, memory_order_relaxed); }
uint64_t sampler_set_rate(uint64_t rate) { return atomic_exchange_explicit(&the_rate, rate, memory_order_relaxed); }

/* Sebastiano Vigna's splitmix64, in the public domain. */
static uint64_t draw(struct sampler *s)
{
    if (s->random == 0)
        s->random = (uintptr_t)s ^ os_now_ns();
    uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The logarithm of x, at least 1, to base 2: the exponent, and of the mantissa m from 1 to 2 a polynomial that is right
 * to 1 in 5,000 (log2(1+t) by its values at 0, 1/4, 1/2, 3/4 and 1). */
static double log_2(uint64_t x)
{
    int exponent = 63 - __builtin_clzll(x);
    double t = (double)(x << (63 - exponent) << 1) / 0x1p64;
    double p = t * (1.4371924 + t * (-0.6711149 + t * (0.3123979 - t * 0.0784753)));
    return exponent + p;
}

/* -ln(u) times the mean, of a u from 0 to 1. The greatest is 44 means: it fits. */
static uint64_t gap(struct sampler *s, uint64_t mean)
{
    const double ln_2 = 0.6931471805599453;
    double bits = 64 - log_2(draw(s) | 1);
    return (uint64_t)(bits * ln_2 * (double)mean);
}

static bool pass_over(struct sampler *s, uint64_t n)
{
    if (s->until < n)
        return false;
    s->until -= n;
    return true;
}

/* The rate in force; a gap that was drawn with another one is drawn anew. */
static uint64_t begin(struct sampler *s)
{
    uint64_t rate = sampler_rate();
    if (unlikely(s->rate != rate)) {
        s->rate = rate;
        s->until = gap(s, rate);
    }
    return rate;
}

static bool take(struct sampler *s, uint64_t n, uint64_t rate)
{
    if (pass_over(s, n))
        return false;
    s->until = gap(s, rate);
    return true;
}

uint64_t sampler_choose(struct sampler *s, uint64_t slots, size_t n)
{
    uint64_t rate = begin(s), chosen = 0;
    if (rate <= 1)
        return rate ? slots : 0;
    if (likely(pass_over(s, (uint64_t)__builtin_popcountll(slots) * n)))
        return 0;
    for (uint64_t left = slots; left; left &= left - 1)
        if (take(s, n, rate))
            chosen |= left & -left;
    return chosen;
}

bool sampler_take(struct sampler *s, size_t n)
{
    uint64_t rate = begin(s);
    return rate <= 1 ? rate == 1 : take(s, n, rate);
}
