/* specials.c - an index by slot for each span that has any special.
 * Owns:   the indexes: one pointer a slot, made with the first special of the span, kept until the span is given up.
 * Locks:  SPECIAL for the index and the lists in it; takes PERSISTENT inside.
 * Keeps:  .dead   when a span is given up no slot has a special: each ended with its object           (specials_drop)
 *         .alone  the list of a dead object is taken without the lock: nobody else can reach the object, and so its list
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

/* Free indexes by size class, whose spans all have as many slots; the first word is the next one's address. Large
 * objects are class 0 and have one slot. */
static struct special **free_indexes[SIZECLASS_COUNT];

static void **index_at(const struct mspan *s) { return &arena.specials[arena_page(s->base)]; }

static struct special **index_of(const struct mspan *s)
{
    return atomic_load_explicit(&s->special, memory_order_acquire)
               ? __atomic_load_n((struct special ***)index_at(s), __ATOMIC_ACQUIRE)
               : NULL;
}

/* Lock held. */
static struct special **take_index(const struct mspan *s)
{
    struct special ***head = &free_indexes[spanclass_sizeclass(s->spanclass_)], **index = *head;
    if (!index)
        return persistentalloc(s->nelems * sizeof *index, _Alignof(struct special *), SYS_OTHER);
    *head = (struct special **)(void *)index[0];
    index[0] = NULL;
    return index;
}

/* Lock held. The flag goes last: who sees it finds the index. */
static struct special **make_index(struct mspan *s)
{
    struct special **index = index_of(s);
    if (index || !(index = take_index(s)))
        return index;
    __atomic_store_n(index_at(s), (void *)index, __ATOMIC_RELEASE);
    atomic_store_explicit(&s->special, true, memory_order_release);
    return index;
}

bool specials_add(struct mspan *s, size_t i, struct special *sp)
{
    CHECK(i < s->nelems, "specials.dead");
    lock_acquire(&lock);
    struct special **index = make_index(s);
    if (index) {
        sp->next = index[i];
        __atomic_store_n(&index[i], sp, __ATOMIC_RELEASE);
    }
    lock_release(&lock);
    return index;
}

struct special *specials_find(const struct mspan *s, size_t i, enum special_kind kind)
{
    struct special **index = index_of(s), *sp = index ? __atomic_load_n(&index[i], __ATOMIC_ACQUIRE) : NULL;
    while (sp && sp->kind != kind)
        sp = sp->next;
    return sp;
}

void specials_end(struct mspan *s, size_t i, enum special_end why)
{
    struct special **index = index_of(s);
    if (!index)
        return;
    struct special *sp = __atomic_exchange_n(&index[i], NULL, __ATOMIC_ACQ_REL);
    for (struct special *next; sp; sp = next) {
        next = sp->next;
        specials_hooks[sp->kind](sp, why);
    }
}

void specials_drop(struct mspan *s)
{
    struct special **index = index_of(s), ***head = &free_indexes[spanclass_sizeclass(s->spanclass_)];
    if (!index)
        return;
    for (size_t i = 0; GC_CHECKS && i < s->nelems; i++)
        CHECK(!index[i], "specials.dead");
    atomic_store_explicit(&s->special, false, memory_order_relaxed);
    lock_acquire(&lock);
    index[0] = (struct special *)(void *)*head;
    *head = index;
    lock_release(&lock);
}

void specials_fork_acquire(void) { lock_acquire(&lock); }
void specials_fork_release(void) { lock_release(&lock); }
