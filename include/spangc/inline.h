/* inline.h - gc_malloc and gc_malloc_noscan of sizes that the compiler knows, compiled into the program.
 *
 * Worth it in loops that do little but allocate: of the time of gc_malloc(48) a quarter is gone (bench/inline; figures
 * in doc/design/critical-path.md). Everything else about the objects is as spangc.h says, and the two kinds of calls
 * mix. Where the compiler is not GCC or clang, does not optimize, or does not know the size, these are the calls of
 * spangc.h.
 *
 * What is compiled in is the layout of a thread's cache. A library that has another exports another name, so a program
 * made for this one does not start with it, rather than run wrongly: build it again.
 */
#ifndef SPANGC_INLINE_H
#define SPANGC_INLINE_H

#include <spangc.h>

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns what gc_malloc(size) and gc_malloc_noscan(size) return, fails as they do, may be called where they may.
 * Cost: for constant sizes from 1 to GC_SPAN_INLINE_MAX (noscan: from 16) some 15 instructions and the zeroing, while
 * the thread's cached span has a free slot; otherwise theirs. (Go: mallocgc, which its compiler calls; bdwgc:
 * GC_MALLOC_WORDS of gc_inline.h.) */
static inline void *gc_malloc_inline(size_t size);
static inline void *gc_malloc_noscan_inline(size_t size);

/* The largest size that is compiled in, in bytes. */
#define GC_SPAN_INLINE_MAX 256

#if defined __GNUC__ && (defined __OPTIMIZE__ || defined GC_INLINE_ALWAYS)

/* What follows is not for programs: the thread's cache, as the library has it. */

struct gc_inline_slot {
    uint64_t free;    /* bit i: slot i of the group is free */
    uintptr_t group;  /* address of the group's slot 0 */
    void *span;       /* the library's */
    uint32_t bytes;   /* of a slot */
    uint16_t unused;  /* the library's */
    uint16_t is_full; /* an object uses all of its slot */
};

struct gc_inline_cache {
    uint8_t busy; /* the thread may not be stopped: its cache is half changed */
    uint8_t stop; /* it is to stop now */
    uint8_t unused[54];
    struct gc_inline_slot slots[2 * (GC_SPAN_INLINE_MAX / 16 + 2)]; /* a size class: scanned, noscan */
};

/* Of the library, which every program has from its start or takes into the same block of thread-local storage. */
GC_SPAN_API extern __thread struct gc_inline_cache *gc_inline_cache_1 __attribute__((__tls_model__("initial-exec")));

/* Stops the calling thread, which holds the object p, until the world goes on; returns p. */
GC_SPAN_API void *gc_inline_stop_1(void *p);

typedef uint64_t gc_inline_pair __attribute__((__vector_size__(16), __may_alias__));

/* GCC makes of a memset of 65 bytes and more, of a size that it knows, a `rep stos`, which takes twice the time. */
static inline __attribute__((__always_inline__)) void *gc_inline_zero(void *p, size_t bytes)
{
    gc_inline_pair *at = (gc_inline_pair *)p;
    const gc_inline_pair zero = {0, 0};
    if (bytes == 8)
        return memset(p, 0, 8);
    if (bytes > 128) {
        __asm__("" : "+r"(bytes));
        return memset(p, 0, bytes);
    }
    at[0] = zero;
    if (bytes > 16)
        at[1] = zero;
    if (bytes > 32)
        at[2] = zero;
    if (bytes > 48)
        at[3] = zero;
    if (bytes > 64)
        at[4] = zero;
    if (bytes > 80)
        at[5] = zero;
    if (bytes > 96)
        at[6] = zero;
    if (bytes > 112)
        at[7] = zero;
    return p;
}

static inline __attribute__((__always_inline__)) void *gc_inline_take(size_t size, int noscan)
{
    const size_t sizeclass = size <= 8 ? 1 : (size + 15) / 16 + 1, bytes = size <= 8 ? 8 : (size + 15) / 16 * 16;
    struct gc_inline_cache *c = gc_inline_cache_1;
    struct gc_inline_slot *s = &c->slots[2 * sizeclass + (size_t)noscan];
    uint64_t free;
    void *p;
    __atomic_store_n(&c->busy, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    free = s->free;
    if (__builtin_expect(free == 0, 0)) {
        __atomic_store_n(&c->busy, 0, __ATOMIC_RELAXED); /* the call looks whether to stop */
        return noscan ? gc_malloc_noscan(size) : gc_malloc(size);
    }
    __atomic_store_n(&s->free, free & (free - 1), __ATOMIC_RELAXED);
    if (size == bytes)
        s->is_full = 1;
    p = (void *)(s->group + (size_t)__builtin_ctzll(free) * bytes);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&c->busy, 0, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(__atomic_load_n(&c->stop, __ATOMIC_RELAXED) != 0, 0))
        p = gc_inline_stop_1(p);
    return noscan ? p : gc_inline_zero(p, bytes);
}

static inline __attribute__((__always_inline__)) void *gc_malloc_inline(size_t size)
{
    if (__builtin_constant_p(size) && size >= 1 && size <= GC_SPAN_INLINE_MAX)
        return gc_inline_take(size, 0);
    return gc_malloc(size);
}

static inline __attribute__((__always_inline__)) void *gc_malloc_noscan_inline(size_t size)
{
    if (__builtin_constant_p(size) && size >= 16 && size <= GC_SPAN_INLINE_MAX)
        return gc_inline_take(size, 1);
    return gc_malloc_noscan(size);
}

#else

static inline void *gc_malloc_inline(size_t size) { return gc_malloc(size); }
static inline void *gc_malloc_noscan_inline(size_t size) { return gc_malloc_noscan(size); }

#endif

#ifdef __cplusplus
}
#endif

#endif
