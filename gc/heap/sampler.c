/* sampler.c - drawing what is sampled.
 * Owns:   the rate.
 * Locks:  none.
 * Keeps:  .unbiased  of all bytes allocated each is as likely to be sampled as any other     (tests/unit/sampler.c)
 * Below:  base.   Above: mcache, api/slow.c. */
#include "heap/sampler.h"

#include "os/os.h"

_Atomic uint64_t sampler_the_rate;

uint64_t sampler_set_rate(uint64_t rate)
{
    return atomic_exchange_explicit(&sampler_the_rate, rate, memory_order_relaxed);
}

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

static void draw_gap(struct sampler *s) { s->until = s->rate > 1 ? gap(s, s->rate) : s->rate == 1 ? 0 : UINT64_MAX; }

static bool take(struct sampler *s, uint64_t n)
{
    if (s->until >= n) {
        s->until -= n;
        return false;
    }
    draw_gap(s);
    return s->rate != 0; /* which a fresh sampler's is, with no gap drawn */
}

/* A gap that was drawn with another rate is drawn anew. */
static void follow_rate(struct sampler *s)
{
    uint64_t rate = sampler_rate();
    if (s->rate == rate)
        return;
    s->rate = rate;
    draw_gap(s);
}

uint64_t sampler_choose_some(struct sampler *s, uint64_t slots, size_t n)
{
    uint64_t chosen = 0;
    follow_rate(s);
    for (uint64_t left = slots; left; left &= left - 1)
        if (take(s, n))
            chosen |= left & -left;
    return chosen;
}

bool sampler_take_some(struct sampler *s, size_t n)
{
    follow_rate(s);
    return take(s, n);
}
