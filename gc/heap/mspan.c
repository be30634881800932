/* mspan.c - a span's bitmaps, from pages to objects and back.
 * Owns:   what a span in use holds: two bitmaps for life, a third when gc_free is used on it. Up to 256 slots, the first
 *         is in its record and the second in the entry of its first page, as marking reads that.
 * Locks:  none of its own; see the fields in mspan.h for who may write.
 * Keeps:  .count   popcount(alloc_bits) == alloc_count while the span is in no mcache       (mspan_check)
 *         .bits    no bit beyond nelems is set in any bitmap                                (mspan_check)
 *         .marked  gcmark_bits are all zero except from the start of marking to the sweep   (sweep.c)
 *         .preset  and in between they are set for every slot that holds no object          (sweep.c)
 *         .scan    what is never scanned has a spanclass that says so, and nothing else has    (mspan_init_objects)
 *         .freed   a slot's free bit is set only while its alloc bit is; `freed` is never below the number of bits
 *                  set, also in the eyes of a child forked meanwhile. The bit is the last that mspan_note_free
 *                  touches: once it is set, the owner may fold it and give the span up    (mspan_note_free)
 * Below:  gcbits, pagemark.   Above: pageheap, mcentral, mcache, sweep, mark. */
#include "heap/mspan.h"

#include "base/check.h"
#include "heap/gcbits.h"
#include "heap/pagemark.h"

#include <string.h>

static bool has_own_bits(const struct mspan *s) { return mspan_words(s) <= MSPAN_OWN_WORDS; }

static bool init_bits(struct mspan *s)
{
    if (has_own_bits(s)) {
        memset(s->own_bits, 0, sizeof s->own_bits);
        s->alloc_bits = s->own_bits;
        s->gcmark_bits = pagemark_of(s->base)->own;
        return true;
    }
    s->alloc_bits = gcbits_alloc(s->nelems);
    s->gcmark_bits = gcbits_alloc(s->nelems);
    if (s->alloc_bits && s->gcmark_bits)
        return true;
    mspan_drop_objects(s);
    return false;
}

void mspan_begin_mark(struct mspan *s)
{
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    for (size_t w = 0; w < mspan_words(s); w++)
        s->gcmark_bits[w] = (~s->alloc_bits[w] | (f ? bits_load(&f[w]) : 0)) & bits_valid(w, s->nelems);
}

void mspan_forget_marks(struct mspan *s) { memset(s->gcmark_bits, 0, mspan_words(s) * sizeof *s->gcmark_bits); }

bool mspan_init_objects(struct mspan *s, spanclass spc, uint16_t scan, bool pinned)
{
    CHECK((scan == SCAN_NONE) == spanclass_noscan(spc), "mspan.scan");
    s->spanclass_ = spc;
    s->scan = scan;
    s->pinned = pinned;
    bool large = mspan_is_large(s);
    s->elemsize = large ? mspan_bytes(s) : spanclass_size(spc);
    s->divmul = large ? 0 : sizeclass_divmul[spanclass_sizeclass(spc)];
    s->nelems = large ? 1 : (uint16_t)(mspan_bytes(s) / s->elemsize);
    s->exact = false;
    s->alloc_count = 0;
    s->groups_done = 0;
    s->list = 0;
    atomic_store_explicit(&s->owner, NULL, memory_order_relaxed);
    atomic_store_explicit(&s->freed, 0, memory_order_relaxed);
    atomic_store_explicit(&s->special, SPECIAL_NONE, memory_order_relaxed);
    atomic_store_explicit(&s->free_bits, NULL, memory_order_relaxed);
    s->alloc_bits = s->gcmark_bits = NULL;
    return init_bits(s);
}

void mspan_drop_objects(struct mspan *s)
{
    uint64_t *freed = atomic_load_explicit(&s->free_bits, memory_order_relaxed);
    bool own = has_own_bits(s);
    uint64_t *bits[] = {own ? NULL : s->alloc_bits, own ? NULL : s->gcmark_bits, freed};
    s->gcmark_bits = NULL;
    __atomic_store_n(&s->alloc_bits, NULL, __ATOMIC_RELEASE);
    atomic_store_explicit(&s->free_bits, NULL, memory_order_release);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (bits[i])
            gcbits_free(bits[i], s->nelems);
}

static uint64_t *free_bits_of(struct mspan *s)
{
    uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire), *none = NULL;
    if (f)
        return f;
    f = gcbits_alloc(s->nelems);
    if (!f)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&s->free_bits, &none, f, memory_order_acq_rel, memory_order_acquire))
        return f;
    gcbits_free(f, s->nelems);
    return none;
}

enum mspan_freed mspan_note_free(struct mspan *s, size_t i)
{
    uint64_t *f = free_bits_of(s);
    if (!f)
        return FREED_NO_MEMORY;
    atomic_fetch_add_explicit(&s->freed, 1, memory_order_relaxed);
    if (bits_test(s->alloc_bits, i) && !bits_test_and_set_atomic(f, i))
        return FREED_OK;
    atomic_fetch_sub_explicit(&s->freed, 1, memory_order_relaxed);
    return FREED_TWICE;
}

bool mspan_any_freed(const struct mspan *s)
{
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    if (!f || atomic_load_explicit(&s->freed, memory_order_relaxed) == 0)
        return false;
    return bits_next(f, 0, s->nelems, true) < s->nelems;
}

/* The alloc bit goes before the free bit, so that a second gc_free meanwhile sees one of the two. */
size_t mspan_fold_free(struct mspan *s)
{
    uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    size_t n = 0;
    if (!f)
        return 0;
    for (size_t w = 0; w < mspan_words(s); w++) {
        uint64_t freed = bits_load(&f[w]);
        if (!freed)
            continue;
        bits_store(&s->alloc_bits[w], bits_load(&s->alloc_bits[w]) & ~freed);
        __atomic_fetch_and(&f[w], ~freed, __ATOMIC_ACQ_REL); /* what the freeing threads wrote comes before */
        n += bits_ones(freed);
    }
    atomic_fetch_sub_explicit(&s->freed, (uint16_t)n, memory_order_relaxed);
    return n;
}

static void check_bitmap(const uint64_t *b, size_t nelems)
{
    size_t words = bits_words(nelems);
    CHECK_ALWAYS((b[words - 1] & ~bits_valid(words - 1, nelems)) == 0, "mspan.bits");
}

void mspan_check(const struct mspan *s)
{
    CHECK_ALWAYS(mspan_state_of(s) == MSPAN_INUSE, "mspan.state");
    CHECK_ALWAYS(s->alloc_bits && s->gcmark_bits, "mspan.bits");
    check_bitmap(s->alloc_bits, s->nelems);
    check_bitmap(s->gcmark_bits, s->nelems);
    CHECK_ALWAYS(bits_count(s->alloc_bits, mspan_words(s)) == (size_t)s->alloc_count, "mspan.count");
    const uint64_t *f = atomic_load_explicit(&s->free_bits, memory_order_acquire);
    for (size_t w = 0; f && w < mspan_words(s); w++)
        CHECK_ALWAYS((bits_load(&f[w]) & ~s->alloc_bits[w]) == 0, "mspan.freed");
}
