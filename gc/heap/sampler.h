/* sampler.h - which allocations the heap profile looks at: one in `rate` bytes on average, each byte as likely as any.
 *
 * The bytes from one sampled one to the next are drawn from an exponential distribution, so an object of n bytes is
 * sampled with probability 1 - exp(-n / rate), whatever was allocated before. That distribution has no memory: what was
 * looked at and not allocated in the end (slots that a thread gave back) need not be reckoned with. */
#ifndef HEAP_SAMPLER_H
#define HEAP_SAMPLER_H

#include "base/attr.h"

#include <stdatomic.h>

/* Of one mcache: its owner's, or the collector's while the world is stopped. */
struct sampler {
    uint64_t random; /* state; 0: not yet drawn from */
    uint64_t rate;   /* that `until` was drawn with */
    uint64_t until;  /* bytes that are still passed over */
};

/* Bytes between two samples on average; 1: each object; 0: none. */
uint64_t sampler_rate(void);
uint64_t sampler_set_rate(uint64_t rate);

/* Of the `slots`, each of n bytes, those to be sampled. */
uint64_t sampler_choose(struct sampler *s, uint64_t slots, size_t n);

/* Whether one object of n bytes is. */
bool sampler_take(struct sampler *s, size_t n);

#endif
