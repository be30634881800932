/* checkmark.c - the heap is traced again, and what is found must have been marked.
 * Owns:   nothing.
 * Locks:  none; the world is stopped.
 * Keeps:  .independent  of the mark: see visits.c
 * Below:  visits, rootjobs.   Above: cycle, with --enable-checks=full.
 *
 * Go's checkmark once indexed by arena instead of by object and so never noticed anything (golang/go#69074);
 * tests/fault/missed_mark.c plants a fault and demands the abort. */
#include "mark/checkmark.h"

#include "base/report.h"
#include "mark/rootjobs.h"
#include "mark/visits.h"

enum { PATH_MAX_SHOWN = 12 };

static size_t size_of(uintptr_t base) { return arena.spans[arena_page(base)]->elemsize; }

/* The way from the root to the object that was missed, newest first. */
static _Noreturn void report_missed(const struct visits *v, struct ref r, struct visit how)
{
    report_line("marking missed a live object: %#lx, %zu bytes, spanclass %u", (unsigned long)ref_base(r),
                r.span->elemsize, r.span->spanclass_);
    for (int depth = 0; depth < PATH_MAX_SHOWN && how.parent != VISIT_ROOT; depth++) {
        const struct visit *p = &v->queue[how.parent];
        report_line("  which the word at %#lx, in object %#lx (%zu bytes), refers to", (unsigned long)how.at,
                    (unsigned long)p->base, size_of(p->base));
        how = *p;
    }
    const struct root_job *job = rootjobs_at(how.parent == VISIT_ROOT ? how.root : 0);
    report_line("  which the word at %#lx refers to: %s, thread %d", (unsigned long)how.at, root_kind_name(job->kind),
                job->tid);
    report_fatal("broken invariant scan.tricolour; the heap cannot be trusted, aborting");
}

static bool expect_marked(struct visits *v, struct ref r, const struct visit *how)
{
    if (!bits_test(r.span->gcmark_bits, r.index))
        report_missed(v, r, *how);
    return true;
}

/* What is marked is closed under this rule too, if the values of ephemerons are with marked keys; and what is closed, and
 * has the roots in it, has all in it that lives. */
static bool is_marked(struct ref key) { return bits_test(key.span->gcmark_bits, key.index); }

size_t checkmark_run(bool *skipped)
{
    struct visits v = {.take = expect_marked, .live = is_marked};
    *skipped = !visits_begin(&v);
    if (*skipped)
        return 0;
    for (uint32_t i = 0; i < rootjobs_count(); i++)
        visits_root(&v, i);
    visits_drain(&v);
    visits_end(&v);
    *skipped = v.failed;
    return v.n;
}
