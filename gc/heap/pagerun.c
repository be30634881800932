/* pagerun.c - free runs by side: lists by length below LIST_PAGES, a treap above.
 * Owns:   every span record in state FREE, and the records in use by nobody.
 * Locks:  the page heap's.
 * Keeps:  .ends      the first and the last page of a free run map to it                       (pagerun_check)
 *         .merged    no two neighbouring free runs of one side                                 (pagerun_check)
 *         .granule   a run of SIDE_EMPTY is whole granules                                     (pagerun_check)
 * Below:  treap, arena, fixalloc.   Above: pageheap.
 *
 * Go 1.10 kept busy lists too, to find a large object's span again; the page table does that here. */
#include "heap/pagerun.h"

#include "base/check.h"
#include "heap/fixalloc.h"
#include "heap/pageheap.h"
#include "heap/treap.h"

static struct fixalloc records;
static struct pool {
    struct mspan *lists[LIST_PAGES];
    uint64_t nonempty[LIST_PAGES / WORD_BITS]; /* bit n: lists[n] has a run */
    struct treap treap;
} pools[SIDE_COUNT];

struct mspan *pagerun_record_new(void)
{
    if (records.size == 0)
        fixalloc_init(&records, sizeof(struct mspan), _Alignof(struct mspan), SYS_MSPAN);
    struct mspan *s = fixalloc_alloc(&records);
    if (s)
        atomic_store_explicit(&s->state, MSPAN_DEAD, memory_order_relaxed);
    return s;
}

void pagerun_record_free(struct mspan *s)
{
    atomic_store_explicit(&s->state, MSPAN_DEAD, memory_order_relaxed);
    fixalloc_free(&records, s);
}

uint64_t pagerun_record_bytes(void) { return records.inuse; }

static void map_ends(struct mspan *s)
{
    size_t page = arena_page(s->base);
    arena.runs[page] = s;
    arena.runs[page + s->npages - 1] = s;
}

/* The ends are mapped at once: entries within a run are stale, and a piece cut out of one must not show them to the
 * coalescing of the next. */
void pagerun_describe(struct mspan *s, size_t page, size_t npages, enum heap_side side, uint64_t unused_since)
{
    s->base = arena_address(page);
    s->npages = (uint32_t)npages;
    s->side = (uint8_t)side;
    s->unused_since = unused_since;
    s->released_pages = (uint32_t)bits_count_range(arena.released, page, page + npages);
    s->next = s->prev = NULL;
    atomic_store_explicit(&s->state, MSPAN_FREE, memory_order_release);
    map_ends(s);
}

static void pool_add(struct mspan *s)
{
    struct pool *p = &pools[s->side];
    if (s->npages >= LIST_PAGES) {
        treap_insert(&p->treap, s);
        return;
    }
    struct mspan **head = &p->lists[s->npages];
    s->prev = NULL;
    s->next = *head;
    if (*head)
        (*head)->prev = s;
    *head = s;
    bits_set(p->nonempty, s->npages);
}

void pagerun_remove(struct mspan *s)
{
    struct pool *p = &pools[s->side];
    CHECK(mspan_state_of(s) == MSPAN_FREE, "mspan.state");
    if (s->npages >= LIST_PAGES) {
        treap_remove(&p->treap, s);
        return;
    }
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        p->lists[s->npages] = s->next;
    if (!p->lists[s->npages])
        bits_clear(p->nonempty, s->npages);
    s->next = s->prev = NULL;
}

/* The free run of this side that page belongs to as an end, or NULL. Pages outside the heap have none. */
static struct mspan *neighbour(size_t page, enum heap_side side)
{
    if (page >= arena_used() >> PAGE_SHIFT)
        return NULL;
    struct mspan *n = arena.spans[page] ? NULL : arena.runs[page];
    return n && mspan_state_of(n) == MSPAN_FREE && n->side == side ? n : NULL;
}

/* By pages: a page that is freed at the edge of a long run does not make all of it young. */
static uint64_t mean_age(const struct mspan *a, const struct mspan *b)
{
    const struct mspan *old = a->unused_since < b->unused_since ? a : b, *young = old == a ? b : a;
    double share = (double)young->npages / ((double)a->npages + (double)b->npages);
    return old->unused_since + (uint64_t)((double)(young->unused_since - old->unused_since) * share);
}

static void absorb(struct mspan *s, struct mspan *n)
{
    pagerun_remove(n);
    if (n->base < s->base)
        s->base = n->base;
    s->unused_since = mean_age(s, n);
    s->npages += n->npages;
    s->released_pages += n->released_pages;
    pagerun_record_free(n);
}

static void insert_merged(struct mspan *s)
{
    size_t page = arena_page(s->base);
    struct mspan *left = page > 0 ? neighbour(page - 1, (enum heap_side)s->side) : NULL;
    struct mspan *right = neighbour(page + s->npages, (enum heap_side)s->side);
    if (left)
        absorb(s, left);
    if (right)
        absorb(s, right);
    map_ends(s);
    pool_add(s);
}

/* Whole granules inside a run of one side leave it: they may serve either side again. */
void pagerun_insert(struct mspan *s)
{
    insert_merged(s);
    size_t lo = arena_page(s->base), hi = lo + s->npages;
    size_t glo = round_up(lo, GRANULE_PAGES), ghi = round_down(hi, GRANULE_PAGES);
    if (s->side == SIDE_EMPTY || glo >= ghi)
        return;
    struct mspan *mid = pagerun_record_new(), *tail = pagerun_record_new();
    if (!mid || !tail) {
        if (mid)
            pagerun_record_free(mid);
        return;
    }
    enum heap_side side = (enum heap_side)s->side;
    uint64_t since = s->unused_since;
    pagerun_remove(s);
    struct piece {
        struct mspan *s;
        size_t lo, hi;
        enum heap_side side;
    } pieces[] = {{s, lo, glo, side}, {mid, glo, ghi, SIDE_EMPTY}, {tail, ghi, hi, side}};
    for (int i = 0; i < 3; i++) /* all described before any is put in: see pagerun_describe */
        if (pieces[i].lo < pieces[i].hi)
            pagerun_describe(pieces[i].s, pieces[i].lo, pieces[i].hi - pieces[i].lo, pieces[i].side, since);
    for (int i = 0; i < 3; i++) {
        if (pieces[i].lo < pieces[i].hi)
            insert_merged(pieces[i].s);
        else
            pagerun_record_free(pieces[i].s);
    }
}

struct mspan *pagerun_find(enum heap_side side, size_t npages)
{
    const struct pool *p = &pools[side];
    size_t n = npages < LIST_PAGES ? bits_next(p->nonempty, npages, LIST_PAGES, true) : LIST_PAGES;
    return n < LIST_PAGES ? p->lists[n] : treap_find(&p->treap, npages);
}

static bool each_long(struct pool *p, bool (*fn)(struct mspan *s, void *arg), void *arg)
{
    for (struct mspan *s = treap_last(&p->treap); s; s = treap_previous(s))
        if (!fn(s, arg))
            return false;
    return true;
}

static bool each_short(struct pool *p, bool (*fn)(struct mspan *s, void *arg), void *arg)
{
    for (size_t n = LIST_PAGES - 1; n > 0; n--)
        for (struct mspan *s = p->lists[n]; s; s = s->next)
            if (!fn(s, arg))
                return false;
    return true;
}

void pagerun_each(bool (*fn)(struct mspan *s, void *arg), void *arg)
{
    bool more = true;
    for (int side = SIDE_COUNT; more && side-- > 0;)
        more = each_long(&pools[side], fn, arg);
    for (int side = SIDE_COUNT; more && side-- > 0;)
        more = each_short(&pools[side], fn, arg);
}

static size_t check_run(const struct mspan *s, enum heap_side side)
{
    size_t page = arena_page(s->base);
    CHECK_ALWAYS(mspan_state_of(s) == MSPAN_FREE && s->side == side, "mspan.state");
    CHECK_ALWAYS(arena.runs[page] == s && arena.runs[page + s->npages - 1] == s, "pagerun.ends");
    CHECK_ALWAYS(!neighbour(page + s->npages, side), "pagerun.merged");
    CHECK_ALWAYS(side != SIDE_EMPTY || (page | s->npages) % GRANULE_PAGES == 0, "pagerun.granule");
    CHECK_ALWAYS(s->released_pages == bits_count_range(arena.released, page, page + s->npages), "pageheap.released");
    return s->npages;
}

size_t pagerun_check(void)
{
    size_t pages = 0;
    for (int side = 0; side < SIDE_COUNT; side++) {
        for (size_t n = 0; n < LIST_PAGES; n++) {
            CHECK_ALWAYS(bits_test(pools[side].nonempty, n) == (pools[side].lists[n] != NULL), "pagerun.ends");
            for (const struct mspan *s = pools[side].lists[n]; s; s = s->next)
                pages += check_run(s, (enum heap_side)side);
        }
        treap_check(&pools[side].treap);
        for (const struct mspan *s = treap_first(&pools[side].treap); s; s = treap_next(s))
            pages += check_run(s, (enum heap_side)side);
    }
    return pages;
}
