/* pageheap.c - spans out of free runs and back, growth, release.
 * Owns:   the counters of pages, and struct arena after its start.
 * Locks:  PAGEHEAP; takes GCBITS and PERSISTENT inside.
 * Keeps:  .tiles     every mapped page belongs to exactly one run, in use or free             (pageheap_check)
 *         .counts    inuse + free pages == mapped pages                                       (pageheap_check)
 *         .sides     a granule that holds a span in use holds spans and free runs of its side only (pageheap_check)
 *         .zero      a page that is not dirty reads as zeros; a released page is not dirty     (pageheap_zero)
 *         .released  heap_released is the number of bits set in arena.released                 (pageheap_check)
 * Below:  pagerun, arena, mspan.   Above: mcentral, large objects.   See doc/design/heap.md */
#include "heap/pageheap.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/hugepages.h"
#include "heap/pagemark.h"
#include "heap/pagerun.h"
#include "heap/scavenge.h"
#include "heap/specials.h"
#include "heap/sweep.h"
#include "heap/sysmem.h"
#include "os/os.h"

#include <string.h>

static struct lock lock = LOCK_INIT(RANK_PAGEHEAP);
static uint64_t inuse_pages;
static _Atomic uint64_t released_pages;     /* written with the lock held */
static _Atomic uint64_t limit = UINT64_MAX; /* of all that the library holds */
static uint64_t large_mallocs, large_frees, large_malloc_pages, large_free_pages;

bool pageheap_init(uint64_t want, uint64_t max) { return arena_init(want, max); }

static enum heap_side side_of(spanclass spc) { return spanclass_noscan(spc) ? SIDE_NOSCAN : SIDE_SCAN; }

static size_t mapped_pages(void) { return arena_used() >> PAGE_SHIFT; }

/* The free run of whole granules that ends where the mapped part of the arena does. */
static size_t empty_pages_at_end(void)
{
    size_t end = mapped_pages();
    const struct mspan *s = end && !arena.spans[end - 1] ? arena.runs[end - 1] : NULL;
    return s && mspan_state_of(s) == MSPAN_FREE && s->side == SIDE_EMPTY ? s->npages : 0;
}

static uint64_t released(void) { return atomic_load_explicit(&released_pages, memory_order_relaxed); }
static void set_released(uint64_t n) { atomic_store_explicit(&released_pages, n, memory_order_relaxed); }

/* What the heap grows by has not been touched, so it is as good as released. */
static bool grow(size_t npages)
{
    size_t have = empty_pages_at_end(), page = mapped_pages();
    struct mspan *s = pagerun_record_new();
    if (!s)
        return false;
    size_t more = round_up(npages, GRANULE_PAGES) - have;
    if (!arena_grow(more << PAGE_SHIFT)) {
        pagerun_record_free(s);
        return false;
    }
    bits_set_range(arena.released, page, page + more);
    set_released(released() + more);
    pagerun_describe(s, page, more, SIDE_EMPTY, os_now_ns());
    pagerun_insert(s);
    return true;
}

/* These pages are held from here on. */
static void take_back(size_t page, size_t npages)
{
    size_t back = bits_count_range(arena.released, page, page + npages);
    if (back > 0)
        bits_clear_range(arena.released, page, page + npages);
    set_released(released() - back);
}

/* Whole granules are about to be used: of a huge page the first touch brings all into memory. */
static void use_granules(const struct pageheap_request *rq, size_t page, size_t npages)
{
    hugepages_prefer(page, npages, rq->spc == SPANCLASS_LARGE_NOSCAN);
    for (size_t at = page; at < page + npages; at += GRANULE_PAGES)
        if (bits_test(arena.huge, at / GRANULE_PAGES))
            take_back(at, GRANULE_PAGES);
}

/* A run with room for the request, out of its pool and on the side that will use it. */
static struct mspan *take_run(const struct pageheap_request *rq, size_t room, struct mspan *spare, bool *used_spare)
{
    enum heap_side side = side_of(rq->spc);
    struct mspan *s = pagerun_find(side, room);
    if (s) {
        pagerun_remove(s);
        return s;
    }
    s = pagerun_find(SIDE_EMPTY, round_up(room, GRANULE_PAGES));
    if (!s)
        return NULL;
    pagerun_remove(s);
    size_t page = arena_page(s->base), take = round_up(room, GRANULE_PAGES), all = s->npages;
    uint64_t since = s->unused_since;
    use_granules(rq, page, take);
    pagerun_describe(s, page, take, side, since);
    if (take < all) {
        pagerun_describe(spare, page + take, all - take, SIDE_EMPTY, since);
        pagerun_insert(spare);
        *used_spare = true;
    }
    return s;
}

/* Cut [page + skip, + npages) out of run s; what is left over in front and behind goes back. */
static void trim(struct mspan *s, size_t skip, size_t npages, struct mspan *front, struct mspan *tail)
{
    size_t page = arena_page(s->base), all = s->npages;
    enum heap_side side = (enum heap_side)s->side;
    uint64_t since = s->unused_since;
    s->base = arena_address(page + skip);
    s->npages = (uint32_t)npages;
    atomic_store_explicit(&s->state, MSPAN_DEAD, memory_order_relaxed);
    /* The ends of s, in no pool and not free, part its leftovers. */
    arena.runs[page + skip] = arena.runs[page + skip + npages - 1] = s;
    if (skip > 0) {
        pagerun_describe(front, page, skip, side, since);
        pagerun_insert(front);
    } else {
        pagerun_record_free(front);
    }
    if (skip + npages < all) {
        pagerun_describe(tail, page + skip + npages, all - skip - npages, side, since);
        pagerun_insert(tail);
    } else {
        pagerun_record_free(tail);
    }
}

static size_t skip_to_align(const struct mspan *s, size_t align_pages)
{
    uintptr_t at = round_up(s->base, align_pages << PAGE_SHIFT);
    return (at - s->base) >> PAGE_SHIFT;
}

/* Pages for the request as a run in state DEAD, or NULL. The three spares are always used or freed. */
static struct mspan *cut_run(const struct pageheap_request *rq, struct mspan *spare[3])
{
    size_t room = rq->npages + rq->align_pages - 1;
    bool used = false;
    struct mspan *s = take_run(rq, room, spare[2], &used);
    if (!s && rq->may_grow && grow(room))
        s = take_run(rq, room, spare[2], &used);
    if (!used)
        pagerun_record_free(spare[2]);
    if (s) {
        trim(s, skip_to_align(s, rq->align_pages), rq->npages, spare[0], spare[1]);
    } else {
        pagerun_record_free(spare[0]);
        pagerun_record_free(spare[1]);
    }
    return s;
}

static bool spare_records(struct mspan *spare[3])
{
    for (int i = 0; i < 3; i++) {
        spare[i] = pagerun_record_new();
        if (!spare[i]) {
            while (i-- > 0)
                pagerun_record_free(spare[i]);
            return false;
        }
    }
    return true;
}

/* The run's pages are somebody's from here on: what was released is taken back. */
static void account_use(const struct mspan *s)
{
    take_back(arena_page(s->base), s->npages);
    inuse_pages += s->npages;
    if (mspan_is_large(s)) {
        large_mallocs++;
        large_malloc_pages += s->npages;
    }
}

static void give_back(struct mspan *s, enum heap_side side)
{
    pagerun_describe(s, arena_page(s->base), s->npages, side, os_now_ns());
    pagerun_insert(s);
}

static void map_span(struct mspan *s, struct mspan *to)
{
    for (size_t i = 0, page = arena_page(s->base); i < s->npages; i++)
        arena_set_span(page + i, to);
}

static uint16_t scan_of(const struct pageheap_request *rq)
{
    return rq->layout ? rq->layout : spanclass_noscan(rq->spc) ? SCAN_NONE : SCAN_ALL;
}

struct mspan *pageheap_alloc(const struct pageheap_request *rq)
{
    struct mspan *spare[3], *s = NULL;
    lock_acquire(&lock);
    if (rq->npages + rq->align_pages < UINT32_MAX && spare_records(spare))
        s = cut_run(rq, spare);
    if (s && !mspan_init_objects(s, rq->spc, scan_of(rq), rq->pinned)) {
        give_back(s, side_of(rq->spc));
        s = NULL;
    }
    if (s) {
        account_use(s);
        atomic_store_explicit(&s->sweepgen, sweepgen_now(), memory_order_relaxed);
        atomic_store_explicit(&s->state, MSPAN_INUSE, memory_order_release);
        map_span(s, s);
        pagemark_set(s);
    }
    lock_release(&lock);
    return s;
}

void pageheap_free(struct mspan *s)
{
    lock_acquire(&lock);
    CHECK(mspan_state_of(s) == MSPAN_INUSE, "mspan.state");
    size_t page = arena_page(s->base);
    inuse_pages -= s->npages;
    if (mspan_is_large(s)) {
        large_frees++;
        large_free_pages += s->npages;
    }
    map_span(s, NULL);
    pagemark_clear(s);
    atomic_store_explicit(&s->state, MSPAN_DEAD, memory_order_release);
    specials_drop(s);
    mspan_drop_objects(s);
    bits_set_range(arena.dirty, page, page + s->npages);
    give_back(s, side_of(s->spanclass_));
    lock_release(&lock);
}

void pageheap_zero(const struct mspan *s, size_t n)
{
    size_t first = arena_page(s->base), end = first + pages_for(n);
    for (size_t lo = first; lo < end;) {
        lo = bits_next(arena.dirty, lo, end, true);
        size_t hi = bits_next(arena.dirty, lo, end, false);
        if (lo < hi)
            memset((void *)arena_address(lo), 0, (hi - lo) << PAGE_SHIFT);
        lo = hi;
    }
}

size_t pageheap_scavenge(uint64_t before, size_t bytes)
{
    lock_acquire(&lock);
    size_t n = scavenge_runs(before, bytes >> PAGE_SHIFT);
    set_released(released() + n);
    lock_release(&lock);
    return n << PAGE_SHIFT;
}

uint64_t pageheap_oldest_unused(void)
{
    lock_acquire(&lock);
    uint64_t since = scavenge_oldest();
    lock_release(&lock);
    return since;
}

void pageheap_set_limit(uint64_t bytes) { atomic_store_explicit(&limit, bytes, memory_order_relaxed); }

static uint64_t get_limit(void) { return atomic_load_explicit(&limit, memory_order_relaxed); }

bool pageheap_over_limit(void) { return get_limit() != UINT64_MAX && pageheap_footprint() > get_limit(); }

/* Free pages beyond the limit are worth more to the system than to us. */
void pageheap_release_over_limit(void)
{
    lock_acquire(&lock);
    uint64_t held = pageheap_footprint(), most = get_limit();
    if (held > most && mapped_pages() > inuse_pages + released()) /* or all that is free is with the OS */
        set_released(released() + scavenge_runs(UINT64_MAX, pages_for(held - most)));
    lock_release(&lock);
}

void pageheap_read_stats(struct pageheap_stats *st)
{
    lock_acquire(&lock);
    st->mapped = (uint64_t)mapped_pages() << PAGE_SHIFT;
    st->inuse = inuse_pages << PAGE_SHIFT;
    st->released = released() << PAGE_SHIFT;
    st->large_mallocs = large_mallocs;
    st->large_frees = large_frees;
    st->large_malloc_bytes = large_malloc_pages << PAGE_SHIFT;
    st->large_free_bytes = large_free_pages << PAGE_SHIFT;
    st->span_records = pagerun_record_bytes();
    lock_release(&lock);
}

uint64_t pageheap_mapped(void) { return arena_used(); }

uint64_t pageheap_footprint(void) { return sysmem_total() - (released() << PAGE_SHIFT); }

void pageheap_each(void (*fn)(struct mspan *s, void *arg), void *arg)
{
    for (size_t page = 0; page < mapped_pages();) {
        struct mspan *s = arena.spans[page] ? arena.spans[page] : arena.runs[page];
        CHECK(s && arena_page(s->base) == page, "pageheap.tiles");
        page += s->npages;
        fn(s, arg);
    }
}

struct tally {
    size_t inuse, free, next;
    enum heap_side last_side;
};

static void tally_run(struct mspan *s, void *arg)
{
    struct tally *t = arg;
    size_t page = arena_page(s->base);
    CHECK_ALWAYS(page == t->next, "pageheap.tiles");
    t->next = page + s->npages;
    bool inuse = mspan_state_of(s) == MSPAN_INUSE;
    CHECK_ALWAYS(!inuse || arena.spans[t->next - 1] == s, "pageheap.tiles");
    *(inuse ? &t->inuse : &t->free) += s->npages;
    enum heap_side side = inuse ? side_of(s->spanclass_) : (enum heap_side)s->side;
    if (page % GRANULE_PAGES != 0) /* the granule began with the run before */
        CHECK_ALWAYS(side == t->last_side && side != SIDE_EMPTY, "pageheap.sides");
    t->last_side = side;
}

void pageheap_check(void)
{
    struct tally t = {0};
    pageheap_each(tally_run, &t);
    CHECK_ALWAYS(t.next == mapped_pages(), "pageheap.tiles");
    CHECK_ALWAYS(t.inuse == inuse_pages && t.free == pagerun_check(), "pageheap.counts");
    CHECK_ALWAYS(released() == bits_count_range(arena.released, 0, mapped_pages()), "pageheap.released");
}

void pageheap_fork_acquire(void) { lock_acquire(&lock); }
void pageheap_fork_release(void) { lock_release(&lock); }
