/* unknown.c - threads that nobody told the library of: made by clone, before the library was opened, by a library that
 * went round the wrapper.
 * Owns:   the records marked `found`.
 * Locks:  none of its own; called by the holder of WORLD.
 * Keeps:  .counted  a stop is complete when the process has as many threads as are listed, all of them stopped, and
 *                   those that will run no line of the program again    (unknown_find)
 *         .stack    a found thread's stack is scanned from its SP to the end of the mapping, or to the first page above
 *                   that cannot be read                                  (unknown_locate)
 * Below:  thread, os.   Above: stop.   See doc/design/stopping.md
 *
 * A record made here names the thread and takes the signal's answer; it is replaced when the thread registers, and
 * forgotten when it is found dead. */
#include "world/unknown.h"

#include "os/os.h"
#include "os/os_mem.h"

/* One reading of the list of tasks. */
struct look {
    const struct thread *near; /* the last one seen: records are in the list the other way round */
    int self;
    uint32_t over;  /* tasks that run no code: ended, or the kernel's */
    uint64_t which; /* the same ones: their sum */
    bool self_seen, some, failed;
};

static const struct thread *last_record(void)
{
    const struct thread *t = thread_list;
    while (t && t->next)
        t = t->next;
    return t;
}

/* The kernel lists older threads first, so the record wanted is mostly the one before the last. */
static bool listed(struct look *l, int tid)
{
    const struct thread *t = l->near;
    if (t && t->tid != tid)
        t = t->prev;
    if (!t || t->tid != tid)
        t = thread_find(tid);
    if (t)
        l->near = t;
    return t;
}

static void look_at(int tid, void *arg)
{
    struct look *l = arg;
    l->self_seen |= tid == l->self;
    if (tid == l->self || listed(l, tid))
        return;
    if (os_task_state(tid) != OS_TASK_RUNS) {
        l->over++;
        l->which += (uint64_t)tid * (uint64_t)tid;
    } else if (thread_list_found(tid)) {
        l->some = true;
    } else {
        l->failed = true;
    }
}

/* Where /proc shows the process as another namespace sees it, the ids are not ours. */
static enum unknown look(struct look *l)
{
    *l = (struct look){.self = os_tid(), .near = last_record()};
    if (!os_each_task(look_at, l) || l->failed)
        return UNKNOWN_FAILED;
    if (!l->self_seen)
        return UNKNOWN_BLIND;
    return l->some ? UNKNOWN_SOME : UNKNOWN_NONE;
}

/* A list read while threads come and go may lack some, so it proves nothing by itself; the count is exact. Those in it
 * that run no code, and were there before the count and after it, were in the count. If they and the stopped threads make
 * up all of it, nobody else was there at that moment, and there was nobody to make another. */
enum unknown unknown_find(const struct thread *self)
{
    struct look before, after;
    uint32_t known = thread_count + (self == NULL), n = (uint32_t)os_task_count();
    if (n == known)
        return UNKNOWN_NONE;
    if (n == 0)
        return UNKNOWN_BLIND;
    enum unknown u = look(&before);
    if (u != UNKNOWN_NONE)
        return u;
    n = (uint32_t)os_task_count();
    u = look(&after);
    if (u != UNKNOWN_NONE)
        return u;
    bool same = before.over == after.over && before.which == after.which;
    return same && n == known + before.over ? UNKNOWN_NONE : UNKNOWN_AGAIN;
}

/* ---- where its stack is ---- */

static bool holds(struct os_range r, uintptr_t p) { return p >= r.lo && p < r.hi; }

/* SP itself may lie at the end of a mapping, with what is below it in use, or at its beginning. */
enum { RED_ZONE = 128, PAGE = 4096 };

static uintptr_t top_of(const struct thread *t) { return os_context_stack(t->context); }

/* An address on the thread's own stack, wherever it runs now; 0 if none is known. */
static uintptr_t anchor_of(const struct thread *t) { return t->tid == os_pid() ? os_main_stack_address() : t->self; }

static bool match(const struct os_mapping *m, void *unused)
{
    (void)unused;
    struct os_range mapping = {m->lo, m->hi};
    if (!m->readable)
        return true;
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!t->found)
            continue;
        uintptr_t top = top_of(t);
        if (top < mapping.hi && top + RED_ZONE >= mapping.lo) {
            if (!t->other_lo)
                t->other_lo = top > mapping.lo ? top : mapping.lo;
            t->other_hi = mapping.hi;
        }
        if (holds(mapping, anchor_of(t))) {
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
        t->other_lo += RED_ZONE;
    t->other_hi = UINTPTR_MAX;
}

static void bound_stack(struct thread *t)
{
    struct os_range alternate = os_context_altstack(t->context);
    bool own = holds((struct os_range){t->stack_lo, t->stack_hi}, t->other_lo);
    if (alternate.lo < alternate.hi) {
        t->other_lo = alternate.lo;
        t->other_hi = alternate.hi;
        return;
    }
    if (holds((struct os_range){t->other_lo, t->other_hi}, t->self))
        t->other_hi = os_tls_static(t->self).hi;
    t->other_hi = readable_end(t->other_lo, t->other_hi);
    if (own)
        t->stack_lo = t->stack_hi = 0;
}

void unknown_locate(void)
{
    bool any = false;
    for (struct thread *t = thread_list; t; t = t->next) {
        if (!t->found)
            continue;
        locate_tls(t);
        t->stack_lo = t->stack_hi = t->other_lo = t->other_hi = 0;
        any = true;
    }
    bool mapped = any && os_each_mapping(match, NULL);
    for (struct thread *t = thread_list; t && any; t = t->next) {
        if (!t->found)
            continue;
        if (!mapped)
            grope(t);
        bound_stack(t);
    }
}
