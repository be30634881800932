/* mcentral.c - lists of spans by sweep state, one mcentral a spanclass, as many for uncollectable objects, and those of
 * layouts (typed.c).
 * Owns:   every span in use that is in no mcache.
 * Locks:  MCENTRAL, one each, never held across a sweep or a call of the page heap.
 * Keeps:  .list      a span's `list` names the list that it is in                                   (push, remove)
 *         .swept     a span in a swept list is swept, one in an unswept list is not: who claims it takes it out
 *                    under the same lock                                                             (pop_unswept)
 *         .room      a span in a partial list has a slot to take: what makes it so only its next owner undoes (has_room)
 *         .late      an mcentral that was made after the end of a mark has no span that mark left unswept (mcentral_begin_sweep)
 *         .inflight  a span is claimed, swept and put where it belongs in one region: none is in between while the
 *                    world is stopped                                                                (mspan_check)
 *         .fork      an empty cache changes nothing before it has taken the lock of an mcentral: a child forked while
 *                    the thread waits there finds the cache empty still                           (api/fork.c)
 * Below:  sweep, pageheap.   Above: mcache, large objects, gc_free, the sweeper.   See doc/design/heap.md */
#include "heap/mcentral.h"

#include "base/check.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "heap/typed.h"

#include <sched.h>

enum {
    CENTRALS = 2 * SPANCLASS_COUNT,
    TRY_UNSWEPT = 100,  /* unswept spans looked at for a free slot before a fresh span is taken (Go's number) */
    BATCH_PAGES = 8,    /* a batch holds no more, or one span */
    RECLAIM_SPANS = 256 /* spans swept, of any class, before the heap may grow instead */
};

static struct mcentral centrals[CENTRALS]; /* [pinned * SPANCLASS_COUNT + spanclass] */

/* By number: these, then those of layouts. The ones below `cursor` have no unswept span left, nor have those from
 * `sweep_end` on, which the world being stopped writes. */
static _Atomic uint32_t cursor = CENTRALS, sweep_end = CENTRALS;

void mcentral_start(struct mcentral *c, spanclass spc, bool pinned)
{
    lock_init(&c->lock, RANK_MCENTRAL);
    c->spc = spc;
    c->pinned = pinned;
}

void mcentral_init(void)
{
    for (int i = 0; i < CENTRALS; i++)
        mcentral_start(&centrals[i], (spanclass)(i % SPANCLASS_COUNT), i >= SPANCLASS_COUNT);
}

static uint32_t count(void) { return CENTRALS + typed_end() - SCAN_LAYOUT; }

static struct mcentral *numbered(uint32_t i)
{
    return i < CENTRALS ? &centrals[i] : typed_at((uint16_t)(i - CENTRALS + SCAN_LAYOUT));
}

struct mcentral *mcentral_get(spanclass spc, bool pinned) { return &centrals[(pinned ? SPANCLASS_COUNT : 0) + spc]; }

struct mcentral *mcentral_of(const struct mspan *s)
{
    uint16_t scan = s->scan;
    return unlikely(scan >= SCAN_LAYOUT) ? typed_at(scan) : mcentral_get(s->spanclass_, s->pinned);
}

static unsigned swept_parity(void) { return sweepgen_now() / 2 % 2; }
static bool has_room(const struct mspan *s) { return s->alloc_count < s->nelems || mspan_any_freed(s); }

static unsigned partial_list(unsigned parity, unsigned quarters) { return LIST_PARTIAL + parity * QUARTERS + quarters; }
static unsigned full_list(unsigned parity) { return LIST_FULL + parity; }

static unsigned list_of(const struct mspan *s)
{
    unsigned quarters = (unsigned)s->alloc_count * QUARTERS / s->nelems;
    if (!has_room(s))
        return full_list(swept_parity());
    return partial_list(swept_parity(), quarters < QUARTERS ? quarters : QUARTERS - 1);
}

static void push(struct mcentral *c, unsigned list, struct mspan *s)
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

static struct mspan *pop(struct mcentral *c, unsigned list)
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

/* Where a swept span belongs. Lock held. True when it is empty and in no list: the page heap's, once unlocked. */
static bool place(struct mcentral *c, struct mspan *s)
{
    if (s->alloc_count == 0)
        return true;
    push(c, list_of(s), s);
    return false;
}

/* `frees` objects were found dead in it. */
static void put_back(struct mspan *s, uint64_t frees)
{
    struct mcentral *c = mcentral_of(s);
    lock_acquire(&c->lock);
    c->frees += frees;
    bool empty = place(c, s);
    lock_release(&c->lock);
    if (empty)
        pageheap_free(s);
}

/* The fullest of a set with room, by quarters. */
static struct mspan *pop_partial(struct mcentral *c, unsigned parity)
{
    struct mspan *s = NULL;
    for (unsigned q = QUARTERS; !s && q-- > 0;)
        s = pop(c, partial_list(parity, q));
    return s;
}

/* An unswept span that was taken out of its list, or NULL. Lock held. */
static struct mspan *claim(struct mspan *s)
{
    if (!s)
        return NULL;
    bool claimed = sweep_claim(s);
    CHECK(claimed, "mcentral.swept");
    return s;
}

/* A swept span with room, or else an unswept one, claimed. Lock held. */
static struct mspan *pop_candidate(struct mcentral *c)
{
    struct mspan *s = pop_partial(c, swept_parity());
    if (!s)
        s = claim(pop_partial(c, !swept_parity()));
    return s ? s : claim(pop(c, full_list(!swept_parity())));
}

static void push_batch(struct mspan **list, struct mspan *s)
{
    s->next = *list;
    *list = s;
}

static struct mspan *pop_batch(struct mspan **list)
{
    struct mspan *s = *list;
    if (s)
        *list = s->next;
    return s;
}

/* Spans to the page heap, their objects gone. */
static void free_batch(struct mspan *list)
{
    for (struct mspan *s; (s = pop_batch(&list));)
        pageheap_free(s);
}

/* Lock held. Returns those that are empty and in no list. */
static struct mspan *take_back(struct mcentral *c, struct span_batch *b)
{
    struct mspan *empty = NULL;
    for (struct mspan *s; (s = pop_batch(&b->spent));)
        if (place(c, s))
            push_batch(&empty, s);
    c->mallocs += b->mallocs;
    c->frees += b->frees;
    b->mallocs = b->frees = 0;
    return empty;
}

static unsigned batch_size(struct span_batch *b, const struct mcentral *c)
{
    unsigned most = BATCH_PAGES / sizeclass_pages[spanclass_sizeclass(c->spc)];
    unsigned n = b->size ? 2U * b->size : 1;
    n = n < most ? n : most;
    b->size = (uint16_t)(n ? n : 1);
    return b->size;
}

/* Give the spent back and take candidates, as many as the batch may have: one lock operation for all. */
static unsigned trade(struct mcentral *c, struct span_batch *b, struct mspan **candidates)
{
    unsigned most = batch_size(b, c), n = 0;
    struct mspan *s;
    lock_acquire(&c->lock);
    struct mspan *empty = take_back(c, b);
    for (; n < most && (s = pop_candidate(c)); n++)
        push_batch(candidates, s);
    lock_release(&c->lock);
    free_batch(empty);
    return n;
}

/* Sweep spans of this class until some have room. One that comes out empty will do as well as any. Those without room
 * go back with the next trade. */
static void gather(struct mcentral *c, struct span_batch *b)
{
    struct mspan *candidates = NULL;
    for (unsigned tries = 0, n = 1; !b->ready && tries < TRY_UNSWEPT && n > 0; tries += n) {
        n = trade(c, b, &candidates);
        for (struct mspan *s; (s = pop_batch(&candidates));) {
            if (!mspan_is_swept(s))
                b->frees += sweep_span(s);
            push_batch(has_room(s) ? &b->ready : &b->spent, s);
        }
    }
}

/* Beyond the memory limit, garbage that is not swept yet must not stand beside what is taken into use. */
static void stay_within_limit(void)
{
    size_t freed = 0;
    if (likely(!pageheap_over_limit()))
        return;
    for (int i = 0; i < RECLAIM_SPANS && mcentral_sweep_one(&freed); i++)
        ;
    pageheap_release_over_limit();
    if (pageheap_over_limit())
        heap_make_due();
}

/* Pages for a span: free ones first, then what sweeping some of the heap sets free, then the OS's. */
static struct mspan *find_pages(struct pageheap_request *rq)
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

static struct mspan *get_pages(struct pageheap_request *rq)
{
    struct mspan *s = find_pages(rq);
    stay_within_limit();
    return s;
}

static struct mspan *fresh_span(const struct mcentral *c)
{
    struct pageheap_request rq = {.npages = sizeclass_pages[spanclass_sizeclass(c->spc)],
                                  .align_pages = 1,
                                  .spc = c->spc,
                                  .layout = c->scan,
                                  .pinned = c->pinned};
    return get_pages(&rq);
}

static uint64_t room(const struct mspan *s) { return (uint64_t)(s->nelems - s->alloc_count) * s->elemsize; }

struct mspan *mcentral_cache_span(struct mcentral *c, struct span_batch *b)
{
    if (!b->ready) {
        gather(c, b);
        if (!b->ready && !(b->ready = fresh_span(c)))
            return NULL;
        uint64_t n = 0;
        for (const struct mspan *s = b->ready; s; s = s->next)
            n += room(s);
        heap_live_add(n);
    }
    struct mspan *s = pop_batch(&b->ready);
    CHECK(mspan_is_swept(s) && has_room(s) && s->list == LIST_NONE, "mcentral.swept");
    return s;
}

void mcentral_uncache_span(struct span_batch *b, struct mspan *s)
{
    int32_t allocated = (int32_t)bits_count(s->alloc_bits, mspan_words(s));
    b->mallocs += (uint64_t)(int64_t)(allocated - s->alloc_count);
    s->alloc_count = allocated;
    s->groups_done = 0;
    atomic_store_explicit(&s->owner, NULL, memory_order_release);
    if (allocated < s->nelems)
        heap_live_sub(room(s));
    push_batch(&b->spent, s);
}

void mcentral_return_batch(struct mcentral *c, struct span_batch *b)
{
    b->size = 0;
    if (!b->ready && !b->spent && b->frees == 0)
        return;
    for (struct mspan *s; (s = pop_batch(&b->ready));) {
        heap_live_sub(room(s));
        push_batch(&b->spent, s);
    }
    lock_acquire(&c->lock);
    struct mspan *empty = take_back(c, b);
    lock_release(&c->lock);
    free_batch(empty);
}

static struct mspan *alloc_large(struct pageheap_request rq)
{
    struct mspan *s = get_pages(&rq);
    if (!s)
        return NULL;
    bits_set(s->alloc_bits, 0);
    s->alloc_count = 1;
    heap_live_add(mspan_bytes(s));
    put_back(s, 0);
    return s;
}

struct mspan *mcentral_alloc_large(size_t npages, size_t align_pages, bool noscan, bool pinned)
{
    return alloc_large((struct pageheap_request){.npages = npages,
                                                 .align_pages = align_pages,
                                                 .spc = noscan ? SPANCLASS_LARGE_NOSCAN : SPANCLASS_LARGE,
                                                 .pinned = pinned});
}

struct mspan *mcentral_alloc_large_typed(const struct mcentral *c, size_t npages)
{
    return alloc_large(
        (struct pageheap_request){.npages = npages, .align_pages = 1, .spc = SPANCLASS_LARGE, .layout = c->scan});
}

/* Who swept the span has put it into no list yet, or has given it to the page heap. */
static bool wait_until_placed(struct mcentral *c, const struct mspan *s)
{
    while (s->list == LIST_NONE && still_in_use(s, c)) {
        lock_release(&c->lock);
        sched_yield();
        lock_acquire(&c->lock);
    }
    return s->list != LIST_NONE;
}

bool mcentral_free_large(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    lock_acquire(&c->lock);
    bool placed = wait_until_placed(c, s);
    if (placed)
        remove_from_list(c, s);
    lock_release(&c->lock);
    if (!placed)
        return false;
    heap_live_sub(mspan_bytes(s));
    pageheap_free(s);
    return true;
}

/* By now the span may be in a cache, gone, or something else: only what is in a list of c stays what it is. */
void mcentral_offer_freed(struct mspan *s)
{
    struct mcentral *c = mcentral_of(s);
    lock_acquire(&c->lock);
    if (s->list == full_list(swept_parity()) && still_in_use(s, c) && mspan_any_freed(s)) {
        remove_from_list(c, s);
        push(c, list_of(s), s);
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
            mine = true;
        }
        lock_release(&c->lock);
        if (mine)
            put_back(s, sweep_span(s));
        else
            sched_yield();
        if (!still_in_use(s, c))
            return false;
    }
    return true;
}

bool mcentral_sweep_one(size_t *pages)
{
    for (;;) {
        uint32_t i = atomic_load_explicit(&cursor, memory_order_relaxed);
        if (i >= atomic_load_explicit(&sweep_end, memory_order_relaxed))
            return false;
        struct mcentral *c = numbered(i);
        lock_acquire(&c->lock);
        struct mspan *s = claim(pop(c, full_list(!swept_parity())));
        if (!s)
            s = claim(pop_partial(c, !swept_parity()));
        lock_release(&c->lock);
        if (s) {
            uint64_t dead = sweep_span(s);
            *pages += s->alloc_count == 0 ? s->npages : 0;
            put_back(s, dead);
            return true;
        }
        atomic_compare_exchange_strong_explicit(&cursor, &i, i + 1, memory_order_relaxed, memory_order_relaxed);
    }
}

void mcentral_begin_sweep(void)
{
    CHECK(mcentral_all_swept(), "mcentral.swept");
    atomic_fetch_add_explicit(&heap_sweepgen, 2, memory_order_release);
    atomic_store_explicit(&sweep_end, count(), memory_order_relaxed);
    atomic_store_explicit(&cursor, 0, memory_order_relaxed);
}

bool mcentral_all_swept(void)
{
    return atomic_load_explicit(&cursor, memory_order_relaxed) >=
           atomic_load_explicit(&sweep_end, memory_order_relaxed);
}

void mcentral_each_pinned(void (*fn)(struct mspan *s, void *arg), void *arg)
{
    for (int i = SPANCLASS_COUNT; i < CENTRALS; i++)
        for (int list = LIST_PARTIAL; list < LIST_KINDS; list++)
            for (struct mspan *s = centrals[i].lists[list]; s; s = s->next)
                fn(s, arg);
}

static void add_counts(struct mcentral *c, uint64_t *mallocs, uint64_t *frees)
{
    lock_acquire(&c->lock);
    *mallocs += c->mallocs;
    *frees += c->frees;
    lock_release(&c->lock);
}

void mcentral_read_counts(spanclass spc, uint64_t *mallocs, uint64_t *frees)
{
    *mallocs = *frees = 0;
    for (int pinned = 0; pinned < 2; pinned++)
        add_counts(mcentral_get(spc, pinned), mallocs, frees);
}

void mcentral_each_typed(mcentral_counts_fn fn, void *arg)
{
    for (uint32_t i = CENTRALS; i < count(); i++) {
        uint64_t mallocs = 0, frees = 0;
        add_counts(numbered(i), &mallocs, &frees);
        fn(numbered(i)->spc, mallocs, frees, arg);
    }
}

/* The lock of layouts is held: there will be no more of them. */
void mcentral_fork_acquire(void)
{
    for (uint32_t i = 0; i < count(); i++)
        lock_acquire_same_rank(&numbered(i)->lock);
}

void mcentral_fork_release(void)
{
    for (uint32_t i = count(); i-- > 0;)
        lock_release_same_rank(&numbered(i)->lock);
}
