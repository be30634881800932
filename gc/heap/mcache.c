/* mcache.c - claiming groups of slots, refilling, flushing.
 * Owns:   the spans in its slots and batches.
 * Locks:  none; calls mcentral.
 * Keeps:  .claim  the slots of all groups below groups_done have their alloc bit set, in alloc_cache, hidden, or handed
 *                 out, but for those that the owner freed since (`again`)
 *         .owner  a span in a slot has that mcache as its owner
 *         .line   a line serves one mcentral, in one line of its way at most, while it has anything (typedcache.c)
 *         .hidden  a slot is in alloc_cache, or hidden, or handed out; what is hidden has a chosen one (take_chosen)
 *         .pair   group_base and alloc_cache belong together whenever the base is not 0, also in the eyes of others
 * Below:  mcentral.   Above: api/malloc.c, world (flush). */
#include "heap/mcache.h"

#include "base/check.h"
#include "heap/typed.h"

#include <string.h>

struct mcache mcache_none, mcache_interrupted;
_Thread_local struct mcache *mcache_self INITIAL_EXEC = &mcache_none;

/* For programs, see api/inline.c. The library's own name stays hidden: of two copies in a process each has its own. */
extern _Thread_local struct mcache *gc_inline_cache_1 INITIAL_EXEC EXPORTED __attribute__((alias("mcache_self")));

/* Of the group's free slots, alloc_cache gets those before the first that is chosen. Others may look at any moment: a
 * slot goes from the hidden ones into the cache before it leaves them, and the other way counts as a refill. */
static void hide_after_chosen(struct mcache *c, uint8_t nr, uint64_t unused)
{
    struct mcache_hidden *h = &c->hidden[nr];
    uint64_t first = h->chosen & -h->chosen, before = first ? unused & (first - 1) : unused;
    __atomic_store_n(&c->slots[nr].alloc_cache, before, __ATOMIC_RELEASE);
    __atomic_store_n(&h->rest, unused & ~before, __ATOMIC_RELEASE);
}

/* The base is 0 while it and the cache do not belong together: mcache_slot_unused looks at them from other threads. */
static void set_group(struct mcache *c, uint8_t nr, uintptr_t base, uint64_t unused)
{
    struct mcache_slot *sl = &c->slots[nr];
    __atomic_store_n(&sl->group_base, 0, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_release);
    uint64_t chosen = sampler_choose(&c->sampler, unused, sl->elemsize);
    if (likely(chosen == 0)) {
        __atomic_store_n(&sl->alloc_cache, unused, __ATOMIC_RELAXED);
    } else {
        c->hidden[nr].chosen = chosen;
        hide_after_chosen(c, nr, unused);
    }
    __atomic_store_n(&sl->group_base, base, __ATOMIC_RELEASE);
}

static void clear_group(struct mcache *c, uint8_t nr)
{
    struct mcache_slot *sl = &c->slots[nr];
    __atomic_store_n(&sl->group_base, 0, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_release);
    __atomic_store_n(&sl->alloc_cache, 0, __ATOMIC_RELAXED);
    if (unlikely(c->hidden[nr].rest)) {
        c->hidden[nr].chosen = 0;
        __atomic_store_n(&c->hidden[nr].rest, 0, __ATOMIC_RELAXED);
    }
}

static struct mcentral *central_of(const struct mcache *c, uint8_t nr)
{
    unsigned line = (unsigned)nr - SPANCLASS_COUNT;
    if (likely(nr < SPANCLASS_COUNT))
        return mcentral_get(nr, c->pinned);
    return typed_at(c->ways[line / MCACHE_WAY_LINES].scan[line % MCACHE_WAY_LINES]);
}

/* Claim the next group of the slot's span that has a free slot. */
static bool next_group(struct mcache *c, uint8_t nr)
{
    struct mspan *s = c->slots[nr].span;
    for (size_t w = s->groups_done; w < mspan_words(s); w++) {
        uint64_t valid = bits_valid(w, s->nelems), unused = ~bits_load(&s->alloc_bits[w]) & valid;
        if (!unused)
            continue;
        bits_store(&s->alloc_bits[w], valid);
        s->groups_done = (uint16_t)w + 1;
        set_group(c, nr, mspan_slot(s, w * WORD_BITS), unused);
        return true;
    }
    s->groups_done = (uint16_t)mspan_words(s);
    return false;
}

/* Slots freed since the span was taken: by other threads, noted in free_bits, and by this one. */
static bool go_round(struct mcache *c, uint8_t nr)
{
    struct mcache_slot *sl = &c->slots[nr];
    struct mspan *s = sl->span;
    bool again = sl->again;
    if (atomic_load_explicit(&s->freed, memory_order_relaxed) > 0) {
        s->alloc_count -= (int32_t)mspan_fold_free(s);
        again = true;
    }
    sl->again = false;
    if (!again)
        return false;
    s->groups_done = 0;
    return next_group(c, nr);
}

/* The claimed slots that were not handed out are free again. */
static void put_back_claims(struct mcache *c, uint8_t nr)
{
    struct mspan *s = c->slots[nr].span;
    uint64_t unused = c->slots[nr].alloc_cache | c->hidden[nr].rest;
    if (unused) {
        uint64_t *word = &s->alloc_bits[s->groups_done - 1];
        bits_store(word, bits_load(word) & ~unused);
    }
}

static void release_span(struct mcache *c, uint8_t nr)
{
    struct mcache_slot *sl = &c->slots[nr];
    if (sl->exact) /* others may set it too, so it is not written else */
        __atomic_store_n(&sl->span->exact, true, __ATOMIC_RELAXED);
    put_back_claims(c, nr);
    mcentral_uncache_span(&c->batches[nr], sl->span);
    clear_group(c, nr); /* mcache_slot_unused looks at it */
    sl->span = NULL;
}

static void hold_span(struct mcache *c, uint8_t nr, struct mspan *s)
{
    struct mcache_slot *sl = &c->slots[nr];
    CHECK(sl->alloc_cache == 0 && sl->group_base == 0, "mcache.pair");
    sl->span = s;
    sl->elemsize = (uint32_t)s->elemsize;
    sl->again = 0;
    sl->exact = 0;
    s->groups_done = 0;
    s->slot = nr;
    atomic_store_explicit(&s->owner, c, memory_order_release);
    s->alloc_count -= (int32_t)mspan_fold_free(s);
}

static void count_refill(struct mcache *c)
{
    uint32_t n = atomic_load_explicit(&c->refills, memory_order_relaxed);
    atomic_store_explicit(&c->refills, n + 1, memory_order_release);
}

bool mcache_refill(struct mcache *c, uint8_t nr)
{
    struct mcache_slot *sl = &c->slots[nr];
    CHECK(sl->alloc_cache == 0 && c->hidden[nr].rest == 0, "mcache.claim");
    count_refill(c);
    if (sl->span) {
        if (next_group(c, nr) || go_round(c, nr))
            return true;
        release_span(c, nr);
    }
    bits_set(c->used, nr);
    struct mspan *s = mcentral_cache_span(central_of(c, nr), &c->batches[nr]);
    if (!s)
        return false;
    hold_span(c, nr, s);
    bool found = next_group(c, nr);
    CHECK(found, "mcache.claim");
    return found;
}

/* The first chosen slot; those up to the next are shown. */
static void *take_chosen(struct mcache *c, uint8_t nr, size_t size)
{
    struct mcache_hidden *h = &c->hidden[nr];
    struct mcache_slot *sl = &c->slots[nr];
    CHECK(h->chosen && !(h->chosen & ~h->rest), "mcache.hidden");
    uint64_t slot = h->chosen & -h->chosen;
    h->chosen &= ~slot;
    hide_after_chosen(c, nr, h->rest & ~slot);
    sl->exact |= size == sl->elemsize;
    uintptr_t p = sl->group_base + (size_t)__builtin_ctzll(slot) * sl->elemsize;
    mcache_set_fresh(c, p);
    return (void *)p;
}

void *mcache_alloc(struct mcache *c, uint8_t nr, size_t size)
{
    struct mcache_slot *sl = &c->slots[nr];
    if (!sl->alloc_cache && !c->hidden[nr].rest && !mcache_refill(c, nr))
        return NULL;
    return sl->alloc_cache ? mcache_take(sl, size) : take_chosen(c, nr, size);
}

static void give_back(struct mcache *c, uint8_t nr)
{
    if (c->slots[nr].span)
        release_span(c, nr);
    mcentral_return_batch(central_of(c, nr), &c->batches[nr]);
}

void mcache_empty_line(struct mcache *c, uint8_t nr)
{
    if (bits_test(c->used, nr))
        give_back(c, nr);
    bits_clear(c->used, nr);
}

void mcache_flush(struct mcache *c)
{
    for (size_t nr = bits_next(c->used, 0, MCACHE_SLOTS, true); nr < MCACHE_SLOTS;
         nr = bits_next(c->used, nr + 1, MCACHE_SLOTS, true))
        give_back(c, (uint8_t)nr);
    memset(c->used, 0, sizeof c->used);
    c->tiny_end = 0;
    c->tiny_left = 0;
}

bool mcache_is_empty(const struct mcache *c)
{
    for (int nr = 0; nr < MCACHE_SLOTS; nr++)
        if (c->slots[nr].span || c->batches[nr].ready || c->batches[nr].spent || c->hidden[nr].rest)
            return false;
    return c->tiny_left == 0;
}

void mcache_count_free(struct mcache *c, spanclass spc)
{
    bits_set(c->used, spc);
    c->batches[spc].frees++;
}

/* A slot of the current group that its owner freed. It was looked at by the sampler when the group was claimed, and will
 * be another allocation now. If that is chosen it comes next. */
static void put_into_cache(struct mcache *c, uint8_t nr, uint64_t slot)
{
    struct mcache_hidden *h = &c->hidden[nr];
    struct mcache_slot *sl = &c->slots[nr];
    uint64_t cache = sl->alloc_cache;
    if (likely(!sampler_take(&c->sampler, sl->elemsize))) {
        __atomic_store_n(&sl->alloc_cache, cache | slot, __ATOMIC_RELAXED);
        return;
    }
    count_refill(c);
    h->chosen |= slot;
    __atomic_store_n(&h->rest, h->rest | cache | slot, __ATOMIC_RELEASE);
    __atomic_store_n(&sl->alloc_cache, 0, __ATOMIC_RELEASE);
}

enum mcache_free mcache_free_local(struct mcache *c, struct mspan *s, size_t i)
{
    struct mcache_slot *sl = &c->slots[s->slot];
    CHECK(sl->span == s, "mcache.owner");
    if (!bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i) || mcache_slot_unused(s, i))
        return MCACHE_FREED_TWICE;
    s->alloc_count--;
    if (i / WORD_BITS + 1 == s->groups_done) {
        put_into_cache(c, s->slot, bits_mask(i));
        return MCACHE_FREED;
    }
    bits_clear(s->alloc_bits, i);
    sl->again |= i / WORD_BITS < s->groups_done;
    return MCACHE_FREED;
}

bool mcache_slot_unused(const struct mspan *s, size_t i)
{
    const struct mcache *c = atomic_load_explicit(&s->owner, memory_order_acquire);
    if (!c)
        return false;
    const struct mcache_slot *sl = &c->slots[s->slot];
    uintptr_t group = mspan_slot(s, round_down(i, WORD_BITS));
    /* The owner may go on to other groups meanwhile, and come back to this one: the cache is the group's if the base says
     * so before and after, and at most one refill has begun. */
    uint32_t refills = atomic_load_explicit(&c->refills, memory_order_acquire);
    bool before = __atomic_load_n(&sl->group_base, __ATOMIC_ACQUIRE) == group;
    uint64_t cache = __atomic_load_n(&c->hidden[s->slot].rest, __ATOMIC_ACQUIRE);
    cache |= __atomic_load_n(&sl->alloc_cache, __ATOMIC_ACQUIRE);
    bool after = __atomic_load_n(&sl->group_base, __ATOMIC_ACQUIRE) == group;
    return before && after && atomic_load_explicit(&c->refills, memory_order_relaxed) == refills &&
           (cache & bits_mask(i));
}
