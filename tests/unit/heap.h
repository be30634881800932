/* heap.h - what tests of the heap share. Nothing here starts the library: a test starts as much of the heap as it needs,
 * on the simulated operating system, in a process of its own. */
#ifndef UNIT_HEAP_H
#define UNIT_HEAP_H

#include "../check_main.h"

#include "heap/heaplive.h"
#include "heap/mcache.h"
#include "heap/pageheap.h"
#include "heap/sysmem.h"
#include "os/os_mem_null.h"

#include <string.h>

#define MIB        ((size_t)1 << 20)
#define HEAP_RANGE (UINT64_C(16) << 30)

static inline void heap_start(void)
{
    ck_assert_uint_eq(arena.reserved, 0);
    ck_assert(pageheap_init(HEAP_RANGE, HEAP_RANGE));
    mcentral_init();
}

/* The nth fallible call of the operating system from here fails, and with `on` all later ones; n 0: none. */
static inline void os_fail(uint64_t n, bool on)
{
    os_null.fail_at = n ? os_null_fallible_calls() + n : 0;
    os_null.fail_on = on;
}

/* Marsaglia's xorshift: the same sequence in every run. */
static inline uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static inline uint64_t live_bytes(void) { return atomic_load(&heap_live); }

/* A span in use and in no list. */
static inline struct mspan *pages(size_t npages, spanclass spc)
{
    struct pageheap_request rq = {.npages = npages, .align_pages = 1, .spc = spc, .may_grow = true};
    return pageheap_alloc(&rq);
}

static inline struct pageheap_stats page_stats(void)
{
    struct pageheap_stats st;
    pageheap_read_stats(&st);
    return st;
}

/* What gc_release_memory does. */
static inline size_t release_all(void)
{
    size_t all = 0, n;
    while ((n = pageheap_scavenge(UINT64_MAX, 4 * MIB)) > 0)
        all += n;
    return all;
}

struct heap_tally {
    size_t runs, spans;
};

/* What a mark does to a span, the rest being left to the test: the bits of slots that hold no object are set. */
static inline void preset_marks(struct mspan *s, void *unused)
{
    (void)unused;
    if (mspan_state_of(s) != MSPAN_INUSE || !mspan_is_swept(s))
        return;
    uint64_t marked[SIZECLASS_MAX_OBJECTS / WORD_BITS];
    memcpy(marked, s->gcmark_bits, mspan_words(s) * sizeof *marked);
    mspan_begin_mark(s);
    for (size_t w = 0; w < mspan_words(s); w++)
        s->gcmark_bits[w] |= marked[w];
}

static inline void check_run_at_rest(struct mspan *s, void *tally)
{
    struct heap_tally *t = tally;
    t->runs++;
    if (mspan_state_of(s) != MSPAN_INUSE)
        return;
    mspan_check(s);
    t->spans++;
}

/* Every invariant that holds while no mcache has a span, and that no record is lost; returns the number of spans. */
static inline size_t check_heap_at_rest(void)
{
    struct heap_tally t = {0, 0};
    pageheap_check();
    pageheap_each(check_run_at_rest, &t);
    ck_assert_uint_eq(page_stats().span_records, t.runs * sizeof(struct mspan));
    return t.spans;
}

#endif
