/* endnotes.c - finalizers and cleanups that wait for themselves, looked for and reported where finalizers=1 asks for it.
 * Owns:   what was noted, until it is reported.
 * Locks:  CYCLE to read what was noted; else the world is stopped.
 * Keeps:  .hidden  what is noted of an object is no pointer to it
 *         .held    all that is registered is marked in the end, as it is without finalizers=1
 *                  (endnotes_mark_arguments; the verifying mark has it among its roots)
 * Below:  endcalls, specials, markers, rootjobs.   Above: lifetimes, cycle.   See doc/design/lifetimes.md
 *
 * Arguments are roots. To see whether one is all that holds its object, the jobs for them are put off until the rest is
 * marked, and then made one object at a time, each with all that it leads to. */
#include "cycle/endnotes.h"

#include "base/report.h"
#include "cycle/cycle.h"
#include "heap/pageheap.h"
#include "mark/rootjobs.h"

enum { NOTES = 32 };

enum leads { OBJECT_LEADS, ARGUMENT_LEADS };

static struct note {
    enum leads leads;
    enum special_kind kind;
    uintptr_t hidden, fn; /* the object's complement */
    size_t size;
} notes[NOTES]; /* cycle lock */
static _Atomic size_t noted;
static bool enabled; /* written once */

void endnotes_enable(bool on) { enabled = on; }
bool endnotes_on(void) { return enabled; }

static void add(struct endcall *e, const struct mspan *s, size_t i, enum leads leads)
{
    size_t n = atomic_load_explicit(&noted, memory_order_relaxed);
    if (!enabled || e->special.own || n == NOTES)
        return;
    e->special.own = 1;
    notes[n] = (struct note){leads, e->special.kind, ~mspan_slot(s, i), endcalls_function(e), s->elemsize};
    atomic_store_explicit(&noted, n + 1, memory_order_relaxed);
}

void endnotes_add_cycle(struct endcall *e, const struct mspan *s, size_t i) { add(e, s, i, OBJECT_LEADS); }

/* What is marked is held by something else, or was reached from another argument. */
static void mark_arguments_of(struct mspan *s, size_t i, void *m)
{
    for (struct special *sp = specials_list(s, i); sp && !bits_test(s->gcmark_bits, i); sp = sp->next) {
        if (sp->kind != SPECIAL_CLEANUP && sp->kind != SPECIAL_FINALIZER)
            continue;
        struct endcall *e = (struct endcall *)(void *)sp;
        mark_roots(m, (uintptr_t)&e->arg, (uintptr_t)(&e->arg + 1), false);
        markers_drain(m);
        if (bits_test(s->gcmark_bits, i))
            add(e, s, i, ARGUMENT_LEADS);
    }
}

static void mark_arguments_of_span(struct mspan *s, void *m)
{
    if (mspan_state_of(s) == MSPAN_INUSE)
        specials_each(s, true, mark_arguments_of, m);
}

static void mark_arguments(struct marker *m, void *unused)
{
    (void)unused;
    pageheap_each(mark_arguments_of_span, m);
    rootjobs_mark_put_off(m);
}

void endnotes_mark_arguments(struct mark_counts *n) { mark_counts_add(n, markers_more(mark_arguments, NULL)); }

static size_t take_notes(struct note copy[NOTES])
{
    cycle_lock_acquire();
    size_t n = atomic_exchange_explicit(&noted, 0, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        copy[i] = notes[i];
    cycle_lock_release();
    return n;
}

void endnotes_tell(void)
{
    struct note copy[NOTES];
    size_t n = atomic_load_explicit(&noted, memory_order_relaxed) ? take_notes(copy) : 0;
    for (size_t i = 0; i < n; i++)
        report_line("the %s %#lx of %#lx, an object of %zu bytes, is never called: %s leads to %s",
                    copy[i].kind == SPECIAL_FINALIZER ? "finalizer" : "cleanup", (unsigned long)copy[i].fn,
                    (unsigned long)~copy[i].hidden, copy[i].size,
                    copy[i].leads == OBJECT_LEADS ? "the object" : "its argument",
                    copy[i].leads == OBJECT_LEADS ? "itself" : "the object");
}
