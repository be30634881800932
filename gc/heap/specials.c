/* specials.c - an index by slot for each span that has any special.
 * Owns:   the indexes: one pointer a slot, made with the first special of the span, kept until the span is given up.
 * Locks:  SPECIAL for the index and the lists in it; takes PERSISTENT inside.
 * Keeps:  .some   a span whose index holds any is SPECIAL_SOME                                 (specials_add, count_out)
 *         .counts n and `lifetimes` of an index are what is in its lists                        (add, count_out)
 *         .first  a sample is the first of its list, so that it is found without the lock     (add, specials_find)
 *         .dead   when a span is given up no slot has a special: each ended with its object           (specials_drop)
 * Below:  persistentalloc, arena.   Above: weak, endcalls, sweep, pageheap, gc_free, watch.
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
    uint32_t n;         /* specials in it */
    uint32_t lifetimes; /* of these, no samples */
    struct special *at[];
};

static _Atomic size_t lifetimes; /* of all indexes. Lock; read by anyone */

void specials_lock(void) { lock_acquire(&lock); }
void specials_unlock(void) { lock_release(&lock); }
size_t specials_lifetimes(void) { return atomic_load_explicit(&lifetimes, memory_order_relaxed); }

/* Free indexes by size class, whose spans all have as many slots; the first slot is the next one's address. Large
 * objects are class 0 and have one slot. */
static struct special_index *free_indexes[SIZECLASS_COUNT];

static void **index_at(const struct mspan *s) { return &arena.specials[arena_page(s->base)]; }

static ALWAYS_INLINE struct special_index *index_of(const struct mspan *s)
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
static ALWAYS_INLINE struct special_index *make_index(struct mspan *s)
{
    struct special_index *index = index_of(s);
    if (likely(index && atomic_load_explicit(&s->special, memory_order_relaxed) == SPECIAL_SOME))
        return index;
    if (!index && !(index = take_index(s)))
        return NULL;
    __atomic_store_n(index_at(s), (void *)index, __ATOMIC_RELEASE);
    atomic_store_explicit(&s->special, SPECIAL_SOME, memory_order_release);
    return index;
}

/* Lock held, here and below. */
static void count(struct special_index *index, const struct special *sp, uint32_t by)
{
    index->n += by;
    if (sp->kind == SPECIAL_SAMPLE)
        return;
    index->lifetimes += by;
    atomic_store_explicit(&lifetimes, specials_lifetimes() + (size_t)(int32_t)by, memory_order_relaxed);
}

bool specials_add_locked(struct mspan *s, size_t i, struct special *sp)
{
    CHECK(i < s->nelems, "specials.dead");
    struct special_index *index = make_index(s);
    if (!index)
        return false;
    count(index, sp, 1);
    struct special **at = &index->at[i];
    if (*at && (*at)->kind == SPECIAL_SAMPLE)
        at = &(*at)->next;
    sp->next = *at;
    __atomic_store_n(at, sp, __ATOMIC_RELEASE);
    return true;
}

bool specials_add(struct mspan *s, size_t i, struct special *sp)
{
    lock_acquire(&lock);
    bool added = specials_add_locked(s, i, sp);
    lock_release(&lock);
    return added;
}

struct special *specials_list(const struct mspan *s, size_t i)
{
    const struct special_index *index = index_of(s);
    return index ? index->at[i] : NULL;
}

static void count_out(struct mspan *s, struct special_index *index, const struct special *sp)
{
    count(index, sp, (uint32_t)-1);
    if (index->n == 0)
        atomic_store_explicit(&s->special, SPECIAL_EMPTY, memory_order_relaxed);
}

void specials_remove(struct mspan *s, size_t i, struct special *sp)
{
    struct special_index *index = index_of(s);
    struct special **at = &index->at[i];
    while (*at && *at != sp)
        at = &(*at)->next;
    CHECK(*at == sp, "specials.counts");
    __atomic_store_n(at, sp->next, __ATOMIC_RELEASE);
    count_out(s, index, sp);
}

void specials_filter(struct mspan *s, size_t i, bool (*test)(const struct special *sp),
                     void (*ended)(struct special *sp))
{
    struct special_index *index = index_of(s);
    for (struct special **at = &index->at[i], *sp = *at; sp; sp = *at) {
        if (!test(sp)) {
            at = &sp->next;
            continue;
        }
        __atomic_store_n(at, sp->next, __ATOMIC_RELEASE);
        count_out(s, index, sp);
        ended(sp);
    }
}

static void each_of_word(struct mspan *s, struct special_index *index, size_t w, uint64_t slots,
                         void (*fn)(struct mspan *s, size_t i, void *arg), void *arg)
{
    for (; slots; slots &= slots - 1) {
        size_t i = w * WORD_BITS + (size_t)__builtin_ctzll(slots);
        if (index->at[i])
            fn(s, i, arg);
    }
}

/* What is marked is passed over 64 slots at a time: an object that lives costs next to nothing. */
void specials_each(struct mspan *s, bool dead, void (*fn)(struct mspan *s, size_t i, void *arg), void *arg)
{
    struct special_index *index = mspan_is_special(s) ? index_of(s) : NULL;
    for (size_t w = 0; index && index->lifetimes && w < mspan_words(s); w++)
        each_of_word(s, index, w, bits_valid(w, s->nelems) & (dead ? ~s->gcmark_bits[w] : ~UINT64_C(0)), fn, arg);
}

struct special *specials_find(const struct mspan *s, size_t i, enum special_kind kind)
{
    const struct special_index *index = index_of(s);
    struct special *sp = index ? __atomic_load_n(&index->at[i], __ATOMIC_ACQUIRE) : NULL;
    while (sp && sp->kind != kind)
        sp = kind == SPECIAL_SAMPLE ? NULL : sp->next;
    return sp;
}

/* In one piece with the hooks: who looks for a record with the lock finds it in its slot, or ended. And for the child of
 * a fork: gc_free goes on until it needs this lock. */
static void end_some(struct mspan *s, struct special_index *index, size_t i, enum special_end why, bool sample)
{
    if (!__atomic_load_n(&index->at[i], __ATOMIC_RELAXED))
        return;
    lock_acquire(&lock);
    for (struct special *sp = index->at[i], *next; sp; sp = next) {
        next = sp->next;
        if (sp->kind == SPECIAL_SAMPLE && !sample)
            continue;
        specials_remove(s, i, sp);
        specials_hooks[sp->kind](sp, why);
    }
    lock_release(&lock);
}

void specials_end(struct mspan *s, size_t i, enum special_end why)
{
    struct special_index *index = index_of(s);
    if (index)
        end_some(s, index, i, why, true);
}

void specials_end_lifetimes(struct mspan *s, size_t i, enum special_end why)
{
    struct special_index *index = index_of(s);
    if (index)
        end_some(s, index, i, why, false);
}

uint64_t specials_sweep(struct mspan *s, size_t w, uint64_t held, uint64_t dead)
{
    uint64_t kept = specials_inspect ? specials_inspect(s, w, held, dead) : 0;
    struct special_index *index = index_of(s);
    for (; dead && index; dead &= dead - 1) {
        uint64_t bit = dead & -dead;
        end_some(s, index, w * WORD_BITS + (size_t)__builtin_ctzll(bit), SPECIAL_SWEPT, !(kept & bit));
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
