/* path.c - breadth first from all roots; those of who asks come last.
 * Owns:   nothing.
 * Locks:  none; the world is stopped.
 * Keeps:  .likely  words below SP are looked at when nothing else leads to the object
 *         .last  the asking thread's own stack and registers are looked at when nothing else leads to the object, and a
 *                word there that refers to the object itself only when nothing there does either: who asks has a pointer
 * Below:  visits, rootjobs, buckets.   Above: explain.   See doc/design/watching.md */
#include "watch/path.h"

#include "heap/ephemeron.h"
#include "mark/visits.h"
#include "world/boundary.h"
#include "world/thread.h"

#include <string.h>

/* Which roots count. */
struct look {
    bool own;    /* those of the asking thread, else those of all others */
    bool direct; /* of its own, also those that refer to the target itself */
    bool below;  /* also words below SP, in the red zone: mostly what a call left that has returned */
};

struct search {
    struct path *path;
    struct visits visits;
    uintptr_t target; /* base */
    struct look look;
};

static bool is_own(const struct path *p, const struct root_job *job)
{
    return (job->kind == ROOT_STACK || job->kind == ROOT_REGISTERS) && job->tid == p->asking_tid;
}

static bool is_below(const struct visit *how)
{
    const struct root_job *job = rootjobs_at(how->root);
    const struct thread *t = job->kind == ROOT_STACK ? thread_find(job->tid) : NULL;
    return t && t->context && how->at < os_context_sp(t->context) && how->at + OS_RED_ZONE >= os_context_sp(t->context);
}

static bool counts(const struct look *look, const struct visit *how, bool is_target)
{
    if (look->own)
        return look->direct || !is_target;
    return look->below || !is_below(how);
}

static bool take(struct visits *v, struct ref r, const struct visit *how)
{
    const struct search *s = v->arg;
    bool is_target = ref_base(r) == s->target;
    if (how->parent == VISIT_ROOT && !counts(&s->look, how, is_target))
        return false;
    v->end = is_target;
    return true;
}

static void look_from(struct search *s, struct look look)
{
    bool own = look.own;
    s->look = look;
    for (uint32_t i = 0; i < rootjobs_count() && !s->visits.end; i++)
        if (is_own(s->path, rootjobs_at(i)) == own)
            visits_root(&s->visits, i);
    visits_drain(&s->visits);
}

static struct path_object describe(uintptr_t base)
{
    struct mspan *s = arena_span(base);
    const struct sample *sample = sample_of(s, mspan_index(s, base));
    return (struct path_object){.base = base,
                                .bytes = s->elemsize,
                                .bucket = sample ? sample->bucket : NULL,
                                .noscan = s->scan == SCAN_NONE,
                                .pinned = s->pinned,
                                .typed = s->scan >= SCAN_LAYOUT,
                                .ephemeron = ephemeron_is(s),
                                .key = ephemeron_is(s) ? ephemeron_key((struct gc_ephemeron *)base) : 0};
}

static NO_SANITIZE uintptr_t read_word(uintptr_t at) { return *(const volatile uintptr_t *)at; }

/* From the target, which is the last that was found, back to the root. */
static const struct visit *note_steps(struct path *p, const struct visits *v)
{
    const struct visit *found = &v->queue[v->n - 1], *at = found;
    for (p->length = 1; at->parent != VISIT_ROOT; at = &v->queue[at->parent])
        p->length++;
    const struct visit *first = at;
    size_t left = p->length;
    p->n = left < 2 * PATH_STEPS ? left : 2 * PATH_STEPS;
    for (at = found; left > 0; left--) {
        const struct visit *from = at->parent == VISIT_ROOT ? NULL : &v->queue[at->parent];
        size_t i = left <= PATH_STEPS ? left - 1 : p->n - 1 - (p->length - left);
        if (left <= PATH_STEPS || p->length - left < p->n - PATH_STEPS)
            p->steps[i] = (struct path_step){.object = describe(at->base),
                                             .offset = from ? at->at - from->base : 0,
                                             .value = at->at ? read_word(at->at) : 0};
        at = from;
    }
    return first;
}

static bool goes_on(const struct root_job *a, const struct root_job *b)
{
    return a->kind == b->kind && a->tid == b->tid && a->hi == b->lo;
}

/* The range of words that job i is a piece of. */
static struct os_range whole_range(size_t i)
{
    size_t first = i, last = i;
    while (first > 0 && goes_on(rootjobs_at(first - 1), rootjobs_at(first)))
        first--;
    while (last + 1 < rootjobs_count() && goes_on(rootjobs_at(last), rootjobs_at(last + 1)))
        last++;
    return (struct os_range){rootjobs_at(first)->lo, rootjobs_at(last)->hi};
}

/* The end of the stack that a thread is on. At a boundary SP is a little below what is scanned of it. */
static uintptr_t stack_end(int tid, uintptr_t sp)
{
    enum { BELOW = 4096 };
    for (size_t i = 0; i < rootjobs_count(); i++) {
        const struct root_job *job = rootjobs_at(i);
        if (job->kind == ROOT_STACK && job->tid == tid && sp + BELOW >= job->lo && sp < job->hi)
            return whole_range(i).hi;
    }
    return sp;
}

/* From SP on, as far as the stack goes and the memory for it. */
static NO_SANITIZE void copy_stack(struct path *p, uintptr_t sp)
{
    sp = round_up(sp, sizeof sp);
    uintptr_t hi = stack_end(p->tid, sp), word = p->root == ROOT_STACK && p->at > sp ? p->at : sp;
    if (word < hi && hi - word > PATH_STACK_BEYOND)
        hi = word + PATH_STACK_BEYOND;
    p->has_stack = sp < hi && word >= sp && hi - sp <= p->copy.hi - p->copy.lo;
    if (!p->has_stack)
        return;
    for (uintptr_t at = sp; at < hi; at += sizeof at)
        *(uintptr_t *)(p->copy.lo + (at - sp)) = read_word(at);
    p->stack.lo = sp;
    p->stack.hi = hi;
    p->stack.bytes = (const void *)p->copy.lo;
}

/* One that a tracer holds has its registers in another form; then the frame is not told. */
static void note_thread(struct path *p)
{
    const struct thread *t = thread_find(p->tid);
    const void *context = t ? t->context ? t->context : t->boundary : NULL;
    if (!context || t->held)
        return;
    unwind_registers_of(context, p->stack.registers);
    p->reg = p->root == ROOT_REGISTERS ? unwind_register_at(context, p->at) : UNWIND_REGISTERS;
    copy_stack(p, os_saved_sp(context));
}

struct tls_search {
    struct path *path;
    uintptr_t self;
};

static void note_module(size_t module, size_t size, void *arg)
{
    const struct tls_search *s = arg;
    struct os_range block = os_tls_block(s->self, module, size);
    if (s->path->at >= block.lo && s->path->at < block.hi) {
        s->path->module = module;
        s->path->tls = s->path->at - block.lo;
    }
}

static void note_variable(struct path *p)
{
    const struct thread *t = thread_find(p->tid);
    if (t && t->self)
        os_each_tls_module(note_module, &(struct tls_search){p, t->self});
}

static void note_root(struct path *p, const struct visit *first)
{
    const struct root_job *job = rootjobs_at(first->root);
    p->root = job->kind;
    p->at = first->at;
    p->value = first->at ? read_word(first->at) : 0;
    p->tid = job->tid;
    p->reg = UNWIND_REGISTERS;
    struct os_range range = whole_range(first->root);
    p->range_lo = range.lo;
    p->range_hi = range.hi;
    if (job->kind == ROOT_STACK || job->kind == ROOT_REGISTERS)
        note_thread(p);
    if (job->kind == ROOT_STACK || job->kind == ROOT_TLS) /* a thread's variables lie in its stack's mapping */
        note_variable(p);
}

static void search(struct path *p, uintptr_t target)
{
    struct search s = {.path = p, .target = target, .visits = {.take = take, .arg = &s}};
    if (!visits_begin(&s.visits))
        return;
    look_from(&s, (struct look){.own = false});
    look_from(&s, (struct look){.own = true});
    look_from(&s, (struct look){.below = true});
    bool before = s.visits.end;
    look_from(&s, (struct look){.own = true, .direct = true});
    p->own_stack = s.visits.end && !before;
    p->found = s.visits.failed ? PATH_NO_MEMORY : s.visits.end ? PATH_FOUND : PATH_UNREACHABLE;
    if (p->found == PATH_FOUND)
        note_root(p, note_steps(p, &s.visits));
    visits_end(&s.visits);
}

void path_find(void *arg)
{
    struct path *p = arg;
    struct ref r;
    p->found = PATH_NO_OBJECT;
    if (!visits_resolve(p->asked, &r))
        return;
    p->found = PATH_NO_MEMORY;
    p->target = describe(ref_base(r));
    search(p, p->target.base);
}
