/* lifetimes.c - the end of marking for weak references and finalizers.
 * Owns:   nothing.
 * Locks:  SPECIAL, and LIFETIME inside; the world is stopped.
 * Keeps:  .cleared  a weak reference to an object that is not marked is cleared before the world runs, and before any
 *                   such object is marked for a finalizer
 *         .kept     when the world runs each object with a finalizer is marked, and all that it refers to
 *         .order    one is queued only if no other unmarked object with a finalizer leads to it
 * Below:  endnotes, weak, endcalls, specials, markers.   Above: cycle.   See doc/design/lifetimes.md
 *
 * The order is bdwgc's: from each object mark what it refers to, not itself; what is not marked then has nobody before
 * it. One that marks itself is in a cycle. */
#include "cycle/lifetimes.h"

#include "cycle/endnotes.h"
#include "cycle/finalizers.h"
#include "heap/endcalls.h"
#include "heap/ephemeron.h"
#include "heap/pageheap.h"
#include "heap/weak.h"
#include "heap/weaklink.h"
#include "mark/ephemerons.h"

struct walk {
    void (*fn)(struct mspan *s, size_t i, void *arg);
    void *arg;
    bool dead;
};

static void walk_span(struct mspan *s, void *arg)
{
    const struct walk *w = arg;
    if (mspan_state_of(s) == MSPAN_INUSE)
        specials_each(s, w->dead, w->fn, w->arg);
}

static void each_slot(bool dead, void (*fn)(struct mspan *s, size_t i, void *arg), void *arg)
{
    struct walk w = {fn, arg, dead};
    pageheap_each(walk_span, &w);
}

/* Of a slot that is still not marked. */
static struct endcall *dead_finalizer(const struct mspan *s, size_t i)
{
    return bits_test(s->gcmark_bits, i) ? NULL : (struct endcall *)(void *)specials_find(s, i, SPECIAL_FINALIZER);
}

static void clear_slot(struct mspan *s, size_t i, void *any_finalizer)
{
    weak_clear(s, i);
    if (ephemerons_count() > 0)
        ephemeron_clear(s, i);
    if (weaklinks_count() > 0)
        weaklink_clear(s, i);
    *(bool *)any_finalizer |= dead_finalizer(s, i) != NULL;
}

/* What is marked already was reached from another one, and so was all that it refers to. */
static void mark_contents(struct mspan *s, size_t i, void *m)
{
    struct endcall *e = dead_finalizer(s, i);
    if (!e)
        return;
    mark_referents(m, (struct ref){s, i});
    markers_drain(m);
    if (bits_test(s->gcmark_bits, i))
        endnotes_add_cycle(e, s, i);
}

static void take_out(struct mspan *s, size_t i, struct endcall *e, uintptr_t obj)
{
    specials_lock();
    specials_remove(s, i, &e->special);
    specials_unlock();
    finalizers_queued(endcalls_queue(e, (void *)obj));
}

static void make_ready(struct mspan *s, size_t i, void *m)
{
    struct endcall *e = dead_finalizer(s, i);
    if (!e)
        return;
    mark_object(m, mspan_slot(s, i));
    take_out(s, i, e, mspan_slot(s, i));
}

static void mark_for_finalizers(struct marker *m, void *unused)
{
    (void)unused;
    each_slot(true, mark_contents, m);
    each_slot(true, make_ready, m);
}

static void drop_slot(struct mspan *s, size_t i, void *unused)
{
    (void)unused;
    weaklink_drop(s, i);
}

/* Not before: a finalizer may keep what holds a link. */
static void drop_links(void)
{
    if (weaklinks_count() > 0)
        each_slot(true, drop_slot, NULL);
    weaklinks_settle();
}

void lifetimes_mark_done(struct mark_counts *n)
{
    bool any_finalizer = false;
    if (specials_lifetimes() > 0)
        each_slot(true, clear_slot, &any_finalizer);
    if (any_finalizer)
        mark_counts_add(n, markers_more(mark_for_finalizers, NULL));
    ephemerons_drop_dead();
    drop_links();
}

static void end_slot(struct mspan *s, size_t i, void *unused)
{
    (void)unused;
    for (struct special *sp = specials_list(s, i), *next; sp; sp = next) {
        next = sp->next;
        if (sp->kind == SPECIAL_CLEANUP)
            take_out(s, i, (struct endcall *)(void *)sp, 0);
        else if (sp->kind == SPECIAL_FINALIZER)
            take_out(s, i, (struct endcall *)(void *)sp, mspan_slot(s, i));
    }
}

void lifetimes_end_all(void)
{
    if (specials_lifetimes() > 0)
        each_slot(false, end_slot, NULL);
}
