/* weak.c - weak references: a record each, in the index of specials.
 * Owns:   the records.
 * Locks:  SPECIAL; takes PERSISTENT inside.
 * Keeps:  .attached  a record is in the slot that its address lies in, or its address is cleared          (weak_free)
 *         .one       there is one record for an address                                       (weak_new)
 *         .hidden    no scan takes the address for a pointer: it is kept as its complement
 * Below:  specials, fixalloc.   Above: cycle/lifetimes.c, api/weak.c.
 *
 * Reading takes no lock: the object is either marked or the reference cleared before a stopped world runs again, and a
 * thread that reads in a region is not stopped before it holds what it read. Go needs a lock of the span for it, since
 * it sweeps while a pointer may be made strong again. */
#include "heap/weak.h"

#include "base/check.h"
#include "heap/fixalloc.h"

static struct fixalloc records;

/* Lock held, here and below. */
static struct gc_weak *take_record(void)
{
    if (records.size == 0)
        fixalloc_init(&records, sizeof(struct gc_weak), _Alignof(struct gc_weak), SYS_OTHER);
    return fixalloc_alloc(&records);
}

static struct gc_weak *find(const struct mspan *s, size_t i, uintptr_t p)
{
    for (struct special *sp = specials_list(s, i); sp; sp = sp->next) {
        struct gc_weak *w = (struct gc_weak *)(void *)sp;
        if (sp->kind == SPECIAL_WEAK && atomic_load_explicit(&w->hidden, memory_order_relaxed) == ~p)
            return w;
    }
    return NULL;
}

static struct gc_weak *make(struct mspan *s, size_t i, uintptr_t p)
{
    struct gc_weak *w = take_record();
    if (!w)
        return NULL;
    w->special = (struct special){.kind = SPECIAL_WEAK};
    atomic_store_explicit(&w->hidden, ~p, memory_order_release);
    if (specials_add_locked(s, i, &w->special))
        return w;
    fixalloc_free(&records, w);
    return NULL;
}

struct gc_weak *weak_new(struct mspan *s, size_t i, uintptr_t p)
{
    specials_lock();
    struct gc_weak *w = find(s, i, p);
    if (!w)
        w = make(s, i, p);
    if (w)
        w->special.own++;
    specials_unlock();
    return w;
}

/* What it refers to is allocated, so the span and the slot are the same as when it was made. */
static void detach(struct gc_weak *w)
{
    uintptr_t p = ~atomic_exchange_explicit(&w->hidden, 0, memory_order_relaxed);
    if (p == UINTPTR_MAX)
        return;
    struct mspan *s = arena_span(p);
    specials_remove(s, mspan_index(s, p), &w->special);
}

bool weak_free(struct gc_weak *w)
{
    specials_lock();
    bool any = w->special.own > 0;
    if (any && --w->special.own == 0) {
        detach(w);
        fixalloc_free(&records, w);
    }
    specials_unlock();
    return any;
}

static void clear(struct special *sp)
{
    atomic_store_explicit(&((struct gc_weak *)(void *)sp)->hidden, 0, memory_order_release);
}

void weak_end(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "weak.attached"); /* a mark clears those of what it leaves dead */
    clear(sp);
}

void weak_clear(struct mspan *s, size_t i)
{
    specials_lock();
    for (struct special *sp = specials_list(s, i), *next; sp; sp = next) {
        next = sp->next;
        if (sp->kind != SPECIAL_WEAK)
            continue;
        specials_remove(s, i, sp);
        clear(sp);
    }
    specials_unlock();
}
