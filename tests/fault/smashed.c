/* smashed.c - the heap's own account of itself, damaged word by word: the next collection names the broken invariant
 * and aborts. Holds mspan.count, .bits, .freed, .marked, cycle.swept, pageheap.tiles, .counts, .sides, .released,
 * pagerun.ends, treap.heap, .order. */
#include "fault.h"

#include "heap/sweep.h"

enum { KEPT = 100, LARGE_PAGES = 300, LARGES = 4 };

static void *kept[KEPT], *volatile large[LARGES];

/* Spans of 48- and of 64-byte objects side by side, in the mcentral's lists, swept; and behind each large object, in the second granule that
 * it needs, a run that belongs in the treap of the scanned side. */
static void populate(void)
{
    for (int i = 0; i < KEPT; i++)
        ck_assert_ptr_nonnull(kept[i] = gc_malloc(i % 2 ? 64 : 48));
    for (int i = 0; i < LARGES; i++)
        ck_assert_ptr_nonnull(large[i] = gc_malloc(LARGE_PAGES * HEAP_PAGE));
    gc_collect();
}

static struct mspan *small_span(void) { return span_around(kept[0]); }

struct wanted {
    struct mspan *run;
    bool with_child;
};

static void take_run(struct mspan *s, void *arg)
{
    struct wanted *w = arg;
    bool treap = s->npages >= LIST_PAGES && s->side == SIDE_SCAN;
    if (mspan_state_of(s) == MSPAN_FREE && !w->run && (!w->with_child || (treap && (s->left || s->right))))
        w->run = s;
}

static struct mspan *free_run(bool with_child)
{
    struct wanted w = {NULL, with_child};
    pageheap_each(take_run, &w);
    ck_assert_ptr_nonnull(w.run);
    return w.run;
}

static size_t last_page(const struct mspan *s) { return arena_page(s->base) + s->npages - 1; }

static void alloc_count(void) { small_span()->alloc_count++; }
static void alloc_bit_lost(void) { bits_clear(small_span()->alloc_bits, 1); }
static void bit_beyond_end(void) { bits_set(small_span()->alloc_bits, small_span()->nelems); }
static void mark_bit_left(void) { bits_set(small_span()->gcmark_bits, 0); }
static void bitmap_gone(void) { small_span()->gcmark_bits = NULL; }

static void freed_but_not_allocated(void)
{
    struct mspan *s = small_span();
    gc_free(kept[0]); /* makes free_bits */
    size_t hole = bits_next(s->alloc_bits, 0, s->nelems, false);
    ck_assert_uint_lt(hole, s->nelems);
    bits_set(atomic_load(&s->free_bits), hole);
}

static void unswept(void) { atomic_store(&small_span()->sweepgen, sweepgen_now() - 2); }
static void span_too_long(void) { small_span()->npages++; }
static void state_lost(void) { atomic_store(&small_span()->state, MSPAN_FREE); }
static void last_page_unmapped(void) { arena.runs[last_page(free_run(false))] = NULL; }
static void last_page_of_another(void) { arena.runs[last_page(free_run(true))] = small_span(); }
static void wrong_side(void) { small_span()->spanclass_ ^= 1; }
static void run_side(void) { free_run(true)->side = SIDE_NOSCAN; }
static void released_pages(void) { free_run(false)->released_pages++; }
/* Whichever it is. */
static void released_bit(void)
{
    size_t page = last_page(free_run(false));
    if (bits_test(arena.released, page))
        bits_clear(arena.released, page);
    else
        bits_set(arena.released, page);
}

static void priority(void) { free_run(true)->priority = UINT32_MAX; }

static void parent(void)
{
    struct mspan *s = free_run(true);
    (s->left ? s->left : s->right)->parent = NULL;
}

static void order(void)
{
    struct mspan *s = free_run(true), *left = s->left;
    s->left = s->right;
    s->right = left;
}

static const struct smash {
    const char *name;
    void (*damage)(void);
    const char *invariant;
} smashes[] = {
    {"alloc_count", alloc_count, "mspan.count"},
    {"an alloc bit lost", alloc_bit_lost, "mspan.count"},
    {"a bit beyond the last slot", bit_beyond_end, "mspan.bits"},
    {"a mark bit left over", mark_bit_left, "mspan.marked"},
    {"no mark bits", bitmap_gone, "mspan.bits"},
    {"freed but not allocated", freed_but_not_allocated, "mspan.freed"},
    {"an unswept span", unswept, "cycle.swept"},
    {"a span too long", span_too_long, "pageheap.tiles"},
    {"a span that says it is free", state_lost, "broken invariant"},
    {"a run's end not mapped", last_page_unmapped, "broken invariant"},
    {"a run's end mapped to another", last_page_of_another, "pagerun.ends"},
    {"a span on the wrong side", wrong_side, "pageheap.sides"},
    {"a run on the wrong side", run_side, "pageheap.sides"},
    {"a run's released pages", released_pages, "pageheap.released"},
    {"the released pages", released_bit, "pageheap.released"},
    {"a priority", priority, "treap.heap"},
    {"a parent link", parent, "broken invariant"},
    {"the order of a treap", order, "treap.order"},
};
enum { SMASHES = sizeof smashes / sizeof *smashes };

static void damage_and_collect(void *arg)
{
    const struct smash *smash = arg;
    populate();
    smash->damage();
    gc_collect();
    dprintf(STDERR_FILENO, "nothing noticed: %s\n", smash->name);
}

START_TEST(is_noticed)
{
    struct outcome o;
    must_abort_saying(damage_and_collect, (void *)&smashes[_i], smashes[_i].invariant, &o);
}
END_TEST

static void none(void) {}

START_TEST(nothing_to_notice)
{
    struct outcome o;
    run_child(damage_and_collect, (void *)&(struct smash){"no damage", none, ""}, &o);
    must_exit_0(&o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, nothing_to_notice);
    tcase_add_loop_test(tc, is_noticed, 0, SMASHES);
}
FAULT_MAIN("fault/smashed", tests, 2)
