/* specials.c - an index by slot for each span that has any special.
 * Owns:   the indexes: one pointer a slot, made with the first special of the span, kept until the span is given up.
 * Locks:  SPECIAL for the index and the lists in it; takes PERSISTENT inside.
 * Keeps:  .some   a span whose index holds any is SPECIAL_SOME                                 (specials_add, take_all)
 *         .dead   when a span is given up no slot has a special: each ended with its object           (specials_drop)
 * Below:  persistentalloc, arena.   Above: sweep, pageheap, gc_free, watch.
 *
 * Go keeps a list a span, sorted by offset, which each addition walks: a million finalizers in few spans are slow there. */
#include "heap/specials.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/persistentalloc.h"

special_end_fn specials_hooks[SPECIAL_KINDS];
uint64_t (*specials_inspect)(struct mspan *s, size_t w, uint64_t held, uint64_t dead);

static struct lock lock = LOCK_INIT(RANK_SPECIAL);

struct special_index {
    uint32_t n; /* specials in it */
    struct special *at[];
};

/* Free indexes by size class, whose spans all have as many slots; the first slot is the next one's address. Large
 * objects are class 0 and have one slot. */
static struct special_index *free_indexes[SIZECLASS_COUNT];

static void **index_at(const struct mspan *s) { return &arena.specials[arena_page(s->base)]; }

static struct special_index *index_of(const struct mspan *s)
{
    if (atomic_load_explicit(&s->special, memory_order_acquire) == SPECIAL_NONE)
        return NULL;
    return __atomic_load_n((struct special_index **)index_at(s), __ATOMIC_ACQUIRE);
}

/* Lock held. */
static struct special_index *take_index(const struct mspan *s)
{
    struct special_index **head = &free_indexes[spanclass_sizeclass(s->spanclass_)], *index = *head;
    if (!index)
        return persistentalloc(sizeof *index + s->nelems * sizeof *index->at, _Alignof(struct special_index),
                               SYS_OTHER);
    *head = (struct special_index *)(void *)index->at[0];
    index->at[0] = NULL;
    return index;
}

/* Lock held. The flag goes last: who sees it finds the index. */
static struct special_index *make_index(struct mspan *s)
{
    struct special_index *index = index_of(s);
    if (!index && !(index = take_index(s)))
        return NULL;
    __atomic_store_n(index_at(s), (void *)index, __ATOMIC_RELEASE);
    atomic_store_explicit(&s->special, SPECIAL_SOME, memory_order_release);
    return index;
}

bool specials_add(struct mspan *s, size_t i, struct special *sp)
{
    CHECK(i < s->nelems, "specials.dead");
    lock_acquire(&lock);
    struct special_index *index = make_index(s);
    if (index) {
        index->n++;
        sp->next = index->at[i];
        __atomic_store_n(&index->at[i], sp, __ATOMIC_RELEASE); /* specials_find takes no lock */
    }
    lock_release(&lock);
    return index;
}

struct special *specials_find(const struct mspan *s, size_t i, enum special_kind kind)
{
    const struct special_index *index = index_of(s);
    struct special *sp = index ? __atomic_load_n(&index->at[i], __ATOMIC_ACQUIRE) : NULL;
    while (sp && sp->kind != kind)
        sp = sp->next;
    return sp;
}

/* In one piece, for the child of a fork too: gc_free goes on until it needs this lock. */
static struct special *take_all(struct mspan *s, struct special_index *index, size_t i)
{
    lock_acquire(&lock);
    struct special *all = index->at[i];
    index->at[i] = NULL;
    for (const struct special *sp = all; sp; sp = sp->next)
        index->n--;
    if (index->n == 0)
        atomic_store_explicit(&s->special, SPECIAL_EMPTY, memory_order_relaxed);
    lock_release(&lock);
    return all;
}

static void end_all(struct mspan *s, struct special_index *index, size_t i, enum special_end why)
{
    if (!__atomic_load_n(&index->at[i], __ATOMIC_RELAXED))
        return;
    for (struct special *sp = take_all(s, index, i), *next; sp; sp = next) {
        next = sp->next;
        specials_hooks[sp->kind](sp, why);
    }
}

void specials_end(struct mspan *s, size_t i, enum special_end why)
{
    struct special_index *index = index_of(s);
    if (index)
        end_all(s, index, i, why);
}

uint64_t specials_sweep(struct mspan *s, size_t w, uint64_t held, uint64_t dead)
{
    uint64_t kept = specials_inspect ? specials_inspect(s, w, held, dead) : 0;
    struct special_index *index = index_of(s);
    for (dead &= ~kept; dead && index; dead &= dead - 1) {
        size_t i = w * WORD_BITS + (size_t)__builtin_ctzll(dead);
        end_all(s, index, i, SPECIAL_SWEPT);
    }
    return kept;
}

void specials_drop(struct mspan *s)
{
    struct special_index *index = index_of(s), **head = &free_indexes[spanclass_sizeclass(s->spanclass_)];
    if (!index)
        return;
    CHECK(index->n == 0, "specials.dead");
    atomic_store_explicit(&s->special, SPECIAL_NONE, memory_order_relaxed);
    lock_acquire(&lock);
    index->at[0] = (struct special *)(void *)*head;
    *head = index;
    lock_release(&lock);
}

void specials_fork_acquire(void) { lock_acquire(&lock); }
void specials_fork_release(void) { lock_release(&lock); }
