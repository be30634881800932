/* os_filter_x86_64.c - eight words at a time with AVX2, where the processor has it.
 * Owns:   nothing. Locks: none.
 * Keeps:  .same  what is passed over is what the test of one word refuses       (unit/os_filter.c)
 * Below:  nothing.   Above: mark/scan.c.
 *
 * Of a process's static data few words are pointers into the heap: the scan of 180 KB of it (libc, libunwind and this
 * library have as much) was a third of a collection of an empty heap. */
#include "os/os_filter.h"

#include <immintrin.h>

enum { STEP = 8 * sizeof(uintptr_t) };

struct lanes {
    __m256i base, size, mask, low, sign;
};

/* All ones where a word passes. AVX2 compares signed numbers only, so both sides have their highest bit turned. */
__attribute__((target("avx2"))) static ALWAYS_INLINE __m256i test_four(const struct lanes *l, __m256i v)
{
    __m256i outside = _mm256_cmpgt_epi64(_mm256_xor_si256(_mm256_sub_epi64(v, l->base), l->sign), l->size);
    __m256i mangled = _mm256_cmpeq_epi64(_mm256_and_si256(v, l->mask), l->low);
    return _mm256_or_si256(_mm256_xor_si256(outside, _mm256_set1_epi64x(-1)), mangled);
}

__attribute__((target("avx2"))) NO_SANITIZE static uintptr_t next_avx2(const struct os_filter *f, uintptr_t at,
                                                                       uintptr_t end)
{
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    const struct lanes l = {_mm256_set1_epi64x((long long)f->base),
                            _mm256_xor_si256(_mm256_set1_epi64x((long long)f->size), sign),
                            _mm256_set1_epi64x((long long)f->low_mask), _mm256_set1_epi64x((long long)f->low), sign};
    for (; end - at >= STEP; at += STEP) {
        const __m256i *p = (const __m256i *)at;
        __m256i a = test_four(&l, _mm256_loadu_si256(p)), b = test_four(&l, _mm256_loadu_si256(p + 1));
        unsigned bits = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(a)) |
                        (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(b)) << 4;
        if (bits)
            return at + (unsigned)__builtin_ctz(bits) * sizeof(uintptr_t);
    }
    return at;
}

NO_SANITIZE uintptr_t os_filter_next(const struct os_filter *f, uintptr_t at, uintptr_t end)
{
    if (at < end && end - at >= STEP && __builtin_cpu_supports("avx2"))
        at = next_avx2(f, at, end);
    while (at < end && !os_filter_passes(f, *(const volatile uintptr_t *)at))
        at += sizeof(uintptr_t);
    return at;
}
