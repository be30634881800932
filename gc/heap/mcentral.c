/* mcentral.c - lists of spans by sweep state, one mcentral a spanclass, and as many for uncollectable objects.
 * Owns:   every span in use that is in no mcache.
 * Locks:  MCENTRAL, one each, never held across a sweep or a call of the page heap.
 * Keeps:  .list      a span's `list` names the list that it is in                                   (push, remove)
 *         .swept     a span in a swept list is swept, one in an unswept list is not: who claims it takes it out
 *                    under the same lock                                                             (pop_unswept)
 *         .room      a span in a partial list has a slot to take: what makes it so only its next owner undoes (has_room)
 *         .inflight  `sweeping` counts the spans claimed for sweeping and not yet back where they belong
 * Below:  sweep, pageheap.   Above: mcache, large objects, gc_free, the sweeper.   See doc/design/heap.md */
#include "heap/mcentral.h"

#include "base/check.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"

#include <sched.h>

enum {
    CENTRALS = 2 * SPANCLASS_COUNT,
    TRY_UNSWEPT = 100,  /* unswept spans looked at for a free slot before a fresh span is taken (Go's number) */
    RECLAIM_SPANS = 256 /* spans swept, of any class, before the heap may grow instead */
};

static struct mcentral centrals[CENTRALS]; /* [pinned * SPANCLASS_COUNT + spanclass] */
static _Atomic uint32_t cursor = CENTRALS; /* centrals below it have no unswept span left */
static _Atomic uint32_t sweeping;

void mcentral_init(void)
{
    for (int i = 0; i < CENTRALS; i++) {
        lock_init(&centrals[i].lock, RANK_MCENTRAL);
        centrals[i].spc = (spanclass)(i % SPANCLASS_COUNT);
        centrals[i].pinned = i >= SPANCLASS_COUNT;
    }
}

struct mcentral *mcentral_get(spanclass spc, bool pinned) { return &centrals[(pinned ? SPANCLASS_COUNT : 0) + spc]; }
struct mcentral *mcentral_of(const struct mspan *s) { return mcentral_get(s->spanclass_, s->pinned); }

static unsigned swept_parity(void) { return sweepgen_now() / 2 % 2; }
static enum mcentral_list partial_list(unsigned parity) { return parity ? LIST_PARTIAL_1 : LIST_PARTIAL_0; }
static enum mcentral_list full_list(unsigned parity) { return parity ? LIST_FULL_1 : LIST_FULL_0; }

static void push(struct mcentral *c, enum mcentral_list list, struct mspan *s)
{
    CHECK(s->list == LIST_NONE, "mcentral.list");
    struct mspan **head = &c->lists[list];
    s->list = (uint8_t)list;
    s->prev = NULL;
    s->next = *head;
    if (*head)
        (*head)->prev = s;
    *head = s;
}

static void remove_from_list(struct mcentral *c, struct mspan *s)
{
    CHECK(s->list != LIST_NONE, "mcentral.list");
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        c->lists[s->list] = s->next;
    s->list = LIST_NONE;
}

static struct mspan *pop(struct mcentral *c, enum mcentral_list list)
{
    struct mspan *s = c->lists[list];
    if (s)
        remove_from_list(c, s);
    return s;
}

static bool still_in_use(const struct mspan *s, const struct mcentral *c)
{
    return mspan_state_of(s) == MSPAN_INUSE && mcentral_of(s) == c;
}

static bool has_room(const struct mspan *s) { return s->alloc_count < s->nelems || mspan_any_freed(s); }

/* Where a swept span belongs; `frees` objects were found dead in it. */
static void put_back(struct mspan *s, uint64_t frees)
{
    struct mcentral *c = mcentral_of(s);
    bool empty = s->alloc_count == 0;
    lock_acquire(&c->lock);
    c->frees += frees;
    if (!empty)
        push(c, has_room(s) ? partial_list(swept_parity()) : full_list(swept_parity()), s);
    lock_release(&c->lock);
    if (empty)
        pageheap_free(s);
}

/* An unswept span of the list, out of it and claimed; or NULL. Lock held. */
static struct mspan *pop_unswept(struct mcentral *c, enum mcentral_list list)
{
    struct mspan *s = pop(c, list);
    if (!s)
        return NULL;
    bool claimed = sweep_claim(s);
    CHECK(claimed, "mcentral.swept");
    atomic_fetch_add_explicit(&sweeping, 1, memory_order_relaxed);
    return s;
}

static void done_sweeping(void) { atomic_fetch_sub_explicit(&sweeping, 1, memory_order_release); }

static void count_frees(struct mcentral *c, uint64_t n)
{
    lock_acquire(&c->lock);
    c->frees += n;
    lock_release(&c->lock);
}

void mcentral_count_frees(struct mcentral *c, uint64_t n) { count_frees(c, n); }

static struct mspan *pop_swept_partial(struct mcentral *c)
{
    lock_acquire(&c->lock);
    struct mspan *s = pop(c, partial_list(swept_parity()));
    lock_release(&c->lock);
    return s;
}

/* Sweep spans of this class until one has room. One that comes out empty will do as well as any. */
static struct mspan *sweep_for_room(struct mcentral *c)
{
    for (int tries = 0; tries < TRY_UNSWEPT; tries++) {
        lock_acquire(&c->lock);
        struct mspan *s = pop_unswept(c, partial_list(!swept_parity()));
        if (!s)
            s = pop_unswept(c, full_list(!swept_parity()));
        lock_release(&c->lock);
        if (!s)
            return NULL;
        uint64_t dead = sweep_span(s);
        if (has_room(s)) {
            count_frees(c, dead);
            done_sweeping();
            return s;
        }
        put_back(s, dead);
        done_sweeping();
    }
    return NULL;
}

/* Pages for a span: free ones first, then what sweeping some of the heap sets free, then the OS's. */
static struct mspan *get_pages(struct pageheap_request *rq)
{
    size_t freed = 0;
    rq->may_grow = false;
    struct mspan *s = pageheap_alloc(rq);
    for (int i = 0; !s && i < RECLAIM_SPANS; i++) {
        size_t before = freed;
        if (!mcentral_sweep_one(&freed))
            break;
        if (freed > before && freed >= rq->npages)
            s = pageheap_alloc(rq);
    }
    if (s)
        return s;
    rq->may_grow = true;
    return pageheap_alloc(rq);
}

static struct mspan *fresh_span(const struct mcentral *c)
{
    struct pageheap_request rq = {
        .npages = sizeclass_pages[spanclass_sizeclass(c->spc)], .align_pages = 1, .spc = c->spc, .pinned = c->pinned};
    struct mspan *s = get_pages(&rq);
    return s;
}

struct mspan *mcentral_cache_span(struct mcentral *c)
{
    struct mspan *s = pop_swept_partial(c);
    if (!s)
        s = sweep_for_room(c);
    if (!s)
        s = fresh_span(c);
    if (s) {
        CHECK(mspan_is_swept(s) && has_room(s), "mcentral.swept");
        heap_live_add((uint64_t)(s->nelems - s->alloc_count) * s->elemsize);
    }
    return s;
}

void mcentral_uncache_span(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    int32_t now = (int32_t)bits_count(s->alloc_bits, mspan_words(s));
    lock_acquire(&c->lock); /* nothing is changed before: see mcache.c */
    heap_live_sub((uint64_t)(s->nelems - now) * s->elemsize);
    c->mallocs += (uint64_t)(int64_t)(now - s->alloc_count);
    lock_release(&c->lock);
    s->alloc_count = now;
    s->groups_done = 0;
    atomic_store_explicit(&s->owner, NULL, memory_order_release);
    put_back(s, 0);
}

struct mspan *mcentral_alloc_large(size_t npages, size_t align_pages, bool noscan, bool pinned)
{
    struct pageheap_request rq = {.npages = npages,
                                  .align_pages = align_pages,
                                  .spc = noscan ? SPANCLASS_LARGE_NOSCAN : SPANCLASS_LARGE,
                                  .pinned = pinned};
    struct mspan *s = get_pages(&rq);
    if (!s)
        return NULL;
    bits_set(s->alloc_bits, 0);
    s->alloc_count = 1;
    heap_live_add(mspan_bytes(s));
    put_back(s, 0);
    return s;
}

void mcentral_free_large(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    lock_acquire(&c->lock);
    remove_from_list(c, s);
    lock_release(&c->lock);
    heap_live_sub(mspan_bytes(s));
    pageheap_free(s);
}

/* By now the span may be in a cache, gone, or something else: only what is in a list of c stays what it is. */
void mcentral_offer_freed(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    lock_acquire(&c->lock);
    if (s->list == full_list(swept_parity()) && still_in_use(s, c) && mspan_any_freed(s)) {
        remove_from_list(c, s);
        push(c, partial_list(swept_parity()), s);
    }
    lock_release(&c->lock);
}

bool mcentral_ensure_swept(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    while (!mspan_is_swept(s)) {
        bool mine = false;
        lock_acquire(&c->lock);
        if (s->list != LIST_NONE && still_in_use(s, c) && sweep_claim(s)) {
            remove_from_list(c, s);
            atomic_fetch_add_explicit(&sweeping, 1, memory_order_relaxed);
            mine = true;
        }
        lock_release(&c->lock);
        if (mine) {
            put_back(s, sweep_span(s));
            done_sweeping();
        } else {
            sched_yield();
        }
        if (!still_in_use(s, c))
            return false;
    }
    return true;
}

bool mcentral_sweep_one(size_t *pages)
{
    for (;;) {
        uint32_t i = atomic_load_explicit(&cursor, memory_order_relaxed);
        if (i >= CENTRALS)
            return false;
        struct mcentral *c = &centrals[i];
        lock_acquire(&c->lock);
        struct mspan *s = pop_unswept(c, full_list(!swept_parity()));
        if (!s)
            s = pop_unswept(c, partial_list(!swept_parity()));
        lock_release(&c->lock);
        if (s) {
            uint64_t dead = sweep_span(s);
            *pages += s->alloc_count == 0 ? s->npages : 0;
            put_back(s, dead);
            done_sweeping();
            return true;
        }
        atomic_compare_exchange_strong_explicit(&cursor, &i, i + 1, memory_order_relaxed, memory_order_relaxed);
    }
}

bool mcentral_sweeping(void) { return atomic_load_explicit(&sweeping, memory_order_acquire) > 0; }

void mcentral_begin_sweep(void)
{
    CHECK(mcentral_all_swept(), "mcentral.swept");
    atomic_fetch_add_explicit(&heap_sweepgen, 2, memory_order_release);
    atomic_store_explicit(&cursor, 0, memory_order_relaxed);
}

bool mcentral_all_swept(void) { return atomic_load_explicit(&cursor, memory_order_relaxed) >= CENTRALS; }

void mcentral_each_pinned(void (*fn)(struct mspan *s, void *arg), void *arg)
{
    for (int i = SPANCLASS_COUNT; i < CENTRALS; i++)
        for (int list = LIST_PARTIAL_0; list < LIST_KINDS; list++)
            for (struct mspan *s = centrals[i].lists[list]; s; s = s->next)
                fn(s, arg);
}

void mcentral_read_counts(spanclass spc, uint64_t *mallocs, uint64_t *frees)
{
    *mallocs = *frees = 0;
    for (int pinned = 0; pinned < 2; pinned++) {
        struct mcentral *c = mcentral_get(spc, pinned);
        lock_acquire(&c->lock);
        *mallocs += c->mallocs;
        *frees += c->frees;
        lock_release(&c->lock);
    }
}

void mcentral_fork_acquire(void)
{
    for (int i = 0; i < CENTRALS; i++)
        lock_acquire_same_rank(&centrals[i].lock);
}

void mcentral_fork_release(void)
{
    for (int i = CENTRALS; i-- > 0;)
        lock_release_same_rank(&centrals[i].lock);
}
