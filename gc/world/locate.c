/* locate.c - the stacks and the thread-local storage of threads that were found, the stacks of those that are held.
 * Owns:   other_lo and other_hi of those threads; of found ones also stack_lo to tls_hi.
 * Locks:  none; the world is stopped.
 * Keeps:  .stack    such a stack is scanned from SP to the end of the mapping, or to the first page above that cannot be
 *                   read; and where SP may be on an alternate stack, all of the thread's own that is in memory
 *         .left     where that alternate stack is all that is known of a found thread, what it left is on the stack that
 *                   the signal frame there tells of; if none does, the stop has failed               (locate_left)
 *         .foreign  a thread pointer that is no thread's of the C library is not followed       (locate_tls)
 * Below:  thread, os.   Above: stop, mark/rootjobs.c.   See doc/design/stopping.md */
#include "world/locate.h"

#include "os/os.h"

enum { PAGE = 4096 };

static bool holds(struct os_range r, uintptr_t p) { return p >= r.lo && p < r.hi; }
static struct os_range own_stack(const struct thread *t) { return (struct os_range){t->stack_lo, t->stack_hi}; }

static uintptr_t top_of(const struct thread *t)
{
    return t->held ? os_held_stack(t->held) : os_context_stack(t->context);
}

static uintptr_t sp_of(const struct thread *t) { return t->held ? os_held_sp(t->held) : os_context_sp(t->context); }

/* An address on the stack of a found thread, wherever it runs now; 0 if none is known. */
static uintptr_t anchor_of(const struct thread *t) { return t->tid == os_pid() ? os_main_stack_address() : t->self; }

/* A tracer does not tell which stack is an alternate one: where the thread's own is not known, it may be this. */
static bool may_be_own(const struct thread *t) { return t->held && !anchor_of(t); }

static bool match(const struct os_mapping *m, void *unused)
{
    (void)unused;
    struct os_range mapping = {m->lo, m->hi};
    if (!m->readable)
        return true;
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!locate_needed(t))
            continue;
        uintptr_t top = top_of(t);
        bool here = top < mapping.hi && sp_of(t) >= mapping.lo; /* SP may lie at its end, or its beginning */
        if (here) {
            if (!t->other_lo)
                t->other_lo = top > mapping.lo ? top : mapping.lo;
            t->other_hi = mapping.hi;
        }
        if (t->found && (holds(mapping, anchor_of(t)) || (here && may_be_own(t)))) {
            t->stack_lo = mapping.lo;
            t->stack_hi = mapping.hi;
        }
    }
    return true;
}

/* Neighbours in one mapping may be other stacks, with guard pages between them that make no mapping of their own. */
static uintptr_t readable_end(uintptr_t lo, uintptr_t hi)
{
    while (lo < hi && os_readable(lo))
        lo = round_down(lo, PAGE) + PAGE;
    return lo < hi ? lo : hi;
}

static uintptr_t readable_begin(uintptr_t lo, uintptr_t at)
{
    while (at > lo && os_readable(round_down(at - 1, PAGE)))
        at = round_down(at - 1, PAGE);
    return at > lo ? at : lo;
}

/* The C library's threads keep their variables there, and so do others that were made in its image. A thread pointer that
 * was inherited, or is another runtime's, is not followed further. */
static void locate_tls(struct thread *t)
{
    uintptr_t at = t->self;
    t->tls_lo = t->tls_hi = 0;
    if (at && os_readable(round_down(at, sizeof(uintptr_t)))) {
        struct os_range block = os_tls_static(at);
        t->tls_lo = readable_begin(block.lo < at - PAGE ? block.lo : at - PAGE, round_down(at, PAGE));
        t->tls_hi = readable_end(round_down(at, PAGE), block.hi > at + PAGE ? block.hi : at + PAGE);
    }
    if (!os_tls_is_thread(at, t->tid))
        t->self = 0;
}

/* Without the mappings: all that can be read from SP up. */
static void grope(struct thread *t)
{
    t->other_lo = top_of(t);
    if (!os_readable(round_up(t->other_lo, sizeof(uintptr_t))))
        t->other_lo = sp_of(t);
    t->other_hi = UINTPTR_MAX;
}

/* The whole of a known stack may be in use below SP, where an alternate stack lies within it. The main thread's bounds
 * may have holes, see rootjobs.c. */
static void bound_known(struct thread *t)
{
    if (holds(own_stack(t), t->other_lo))
        t->other_hi = t->main ? readable_end(t->other_lo, t->stack_hi) : t->stack_hi;
    else
        t->other_hi = readable_end(t->other_lo, t->other_hi);
}

static struct os_range alternate_of(const struct thread *t)
{
    return t->held ? (struct os_range){0, 0} : os_context_altstack(t->context);
}

static void bound_found(struct thread *t)
{
    struct os_range alternate = alternate_of(t);
    if (alternate.lo < alternate.hi) {
        t->other_lo = alternate.lo;
        t->other_hi = alternate.hi;
        return;
    }
    if (holds((struct os_range){t->other_lo, t->other_hi}, t->self))
        t->other_hi = os_tls_static(t->self).hi;
    t->other_hi = readable_end(t->other_lo, t->other_hi);
    if (!t->held && holds(own_stack(t), t->other_lo))
        t->stack_lo = t->stack_hi = 0;
}

/* Returns whether there is anything to do. */
static bool begin(void)
{
    bool any = false;
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!locate_needed(t))
            continue;
        t->other_lo = t->other_hi = 0;
        any = true;
        if (t->found) {
            locate_tls(t);
            t->stack_lo = t->stack_hi = 0;
        }
    }
    return any;
}

/* ---- a found thread on an alternate stack that no thread pointer of its own leads home from ---- */

static bool may_have_left(const struct thread *t)
{
    if (!t->found || anchor_of(t))
        return false;
    struct os_range alternate = alternate_of(t);
    return t->held || alternate.lo < alternate.hi;
}

/* Its own stack is where this SP is, unless SP on a stack of a thread that is held is home already. */
static bool note_left(struct thread *t)
{
    uintptr_t sp = os_interrupted_sp(t->other_lo, t->other_hi);
    if (sp) {
        t->stack_lo = sp;
        t->stack_hi = 0;
    }
    return sp != 0;
}

static bool match_left(const struct os_mapping *m, void *unused)
{
    (void)unused;
    for (struct thread *t = thread_list; t; t = t->next)
        if (t->found && t->stack_hi == 0 && holds((struct os_range){m->lo, m->hi}, t->stack_lo)) {
            t->stack_lo = m->lo;
            t->stack_hi = m->hi;
        }
    return true;
}

static bool locate_left(void)
{
    bool any = false, all = true;
    for (struct thread *t = thread_list; t; t = t->next)
        if (may_have_left(t))
            any |= note_left(t);
    if (any)
        os_each_mapping(match_left, NULL);
    for (const struct thread *t = thread_list; t; t = t->next)
        if (may_have_left(t))
            all &= t->stack_hi != 0;
    return all;
}

bool locate_stacks(void)
{
    if (!begin())
        return true;
    bool mapped = os_each_mapping(match, NULL);
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!locate_needed(t))
            continue;
        if (!mapped)
            grope(t);
        if (t->found)
            bound_found(t);
        else
            bound_known(t);
    }
    return locate_left();
}
