/* bits.h - bitmaps of 64-bit words. Bit i is bit i % 64 of word i / 64. The plain forms need an owner or a stopped
 * world; the atomic ones may meet each other and relaxed readers. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include "base/attr.h"

enum { WORD_BITS = 64 };

static inline size_t bits_words(size_t nbits) { return (nbits + WORD_BITS - 1) / WORD_BITS; }
static inline uint64_t bits_mask(size_t i) { return UINT64_C(1) << (i % WORD_BITS); }

/* The low n bits set, 0 <= n <= 64. */
static inline uint64_t bits_low(size_t n) { return n >= WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1; }

/* Which bits of word w exist in a bitmap of nbits. */
static inline uint64_t bits_valid(size_t w, size_t nbits)
{
    size_t first = w * WORD_BITS;
    return nbits <= first ? 0 : bits_low(nbits - first);
}

static inline uint64_t bits_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void bits_store(uint64_t *word, uint64_t v) { __atomic_store_n(word, v, __ATOMIC_RELAXED); }
static inline bool bits_test(const uint64_t *b, size_t i) { return bits_load(&b[i / WORD_BITS]) & bits_mask(i); }

static inline void bits_set(uint64_t *b, size_t i)
{
    bits_store(&b[i / WORD_BITS], bits_load(&b[i / WORD_BITS]) | bits_mask(i));
}

static inline void bits_clear(uint64_t *b, size_t i)
{
    bits_store(&b[i / WORD_BITS], bits_load(&b[i / WORD_BITS]) & ~bits_mask(i));
}

/* Set bit i and return what it was. Acquire and release: the loser sees what the winner did before. */
static inline bool bits_test_and_set_atomic(uint64_t *b, size_t i)
{
    return __atomic_fetch_or(&b[i / WORD_BITS], bits_mask(i), __ATOMIC_ACQ_REL) & bits_mask(i);
}

/* How many are set. Where the processor need not have an instruction for it the compiler calls a function of a table; this
 * adds neighbours up instead. */
static ALWAYS_INLINE size_t bits_ones(uint64_t v)
{
    const uint64_t pairs = UINT64_C(0x5555555555555555), fours = UINT64_C(0x3333333333333333);
    v -= v >> 1 & pairs;
    v = (v & fours) + (v >> 2 & fours);
    v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (size_t)(v * UINT64_C(0x0101010101010101) >> 56);
}

static inline size_t bits_count(const uint64_t *b, size_t nwords)
{
    size_t n = 0;
    for (size_t i = 0; i < nwords; i++)
        n += bits_ones(bits_load(&b[i]));
    return n;
}

/* The part of word w that lies in [lo, hi). */
static inline uint64_t bits_range_mask(size_t w, size_t lo, size_t hi)
{
    uint64_t m = bits_valid(w, hi);
    return w == lo / WORD_BITS ? m & ~bits_low(lo % WORD_BITS) : m;
}

static inline void bits_set_range(uint64_t *b, size_t lo, size_t hi)
{
    for (size_t w = lo / WORD_BITS; lo < hi && w <= (hi - 1) / WORD_BITS; w++)
        bits_store(&b[w], bits_load(&b[w]) | bits_range_mask(w, lo, hi));
}

static inline void bits_clear_range(uint64_t *b, size_t lo, size_t hi)
{
    for (size_t w = lo / WORD_BITS; lo < hi && w <= (hi - 1) / WORD_BITS; w++)
        bits_store(&b[w], bits_load(&b[w]) & ~bits_range_mask(w, lo, hi));
}

static inline size_t bits_count_range(const uint64_t *b, size_t lo, size_t hi)
{
    size_t n = 0;
    for (size_t w = lo / WORD_BITS; lo < hi && w <= (hi - 1) / WORD_BITS; w++)
        n += bits_ones(bits_load(&b[w]) & bits_range_mask(w, lo, hi));
    return n;
}

/* The first bit in [lo, hi) that equals `value`, or hi. */
static inline size_t bits_next(const uint64_t *b, size_t lo, size_t hi, bool value)
{
    for (size_t w = lo / WORD_BITS; lo < hi && w <= (hi - 1) / WORD_BITS; w++) {
        uint64_t v = value ? bits_load(&b[w]) : ~bits_load(&b[w]);
        v &= bits_range_mask(w, lo, hi);
        if (v)
            return w * WORD_BITS + (size_t)__builtin_ctzll(v);
    }
    return hi;
}

#endif
