/* lifetimes.c - the end of marking for weak references.
 * Owns:   nothing.
 * Locks:  SPECIAL inside; the world is stopped.
 * Keeps:  .cleared  a weak reference to an object that is not marked is cleared before the world runs
 * Below:  weak, specials, pageheap.   Above: cycle.   See doc/design/lifetimes.md */
#include "cycle/lifetimes.h"

#include "heap/pageheap.h"
#include "heap/weak.h"

static void clear_slot(struct mspan *s, size_t i, void *unused)
{
    (void)unused;
    weak_clear(s, i);
}

static void clear_span(struct mspan *s, void *unused)
{
    if (mspan_state_of(s) == MSPAN_INUSE)
        specials_each(s, true, clear_slot, unused);
}

void lifetimes_mark_done(struct mark_counts *n)
{
    (void)n;
    if (specials_lifetimes() > 0)
        pageheap_each(clear_span, NULL);
}
