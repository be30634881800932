/* rootjobs.c - every place that the collector looks for pointers, as ranges.
 * Owns:   the list of jobs, kept from cycle to cycle.
 * Locks:  none; the world is stopped and the list of images is still.
 * Keeps:  .all   a listed thread that is not ours contributes its registers and its stack from SP up, and a stack that
 *                no thread runs on what was in use when it was left
 *         .reserve there is a list before the first mark, long enough for most programs: that may come when memory has run
 *                  out                                                                   (rootjobs_reserve)
 *         .given  a range that the program named is read only where it can be: it may be unmapped by now  (add_given)
 * Below:  scan, rootcheck, world, os.   Above: cycle, checkmark. */
#include "mark/rootjobs.h"

#include "base/check.h"
#include "heap/endcalls.h"
#include "heap/sysmem.h"
#include "mark/rootcheck.h"
#include "os/os.h"
#include "os/os_mem.h"
#include "world/boundary.h"
#include "world/flight.h"
#include "world/roots.h"
#include "world/stacks.h"
#include "world/thread.h"
#include "world/thrown.h"

enum { ROOT_PIECE = 128 * 1024 /* bytes */, JOBS_RESERVED = 1500 };

static struct {
    struct root_job *at;
    size_t n, bytes;
    bool failed;
    bool stacks; /* are scanned */
    uint32_t lost;
    struct os_range unreadable; /* the first range that could not be read wholly */
    struct os_range ours;       /* frames of the collecting thread below its boundary */
} jobs;

/* Only touched by the jobs that there are. Without memory the first mark asks again. */
void rootjobs_reserve(void) { jobs.at = sysmem_grow(jobs.at, &jobs.bytes, JOBS_RESERVED * sizeof *jobs.at, SYS_GC); }

static void add(struct root_job job)
{
    struct root_job *at = sysmem_grow(jobs.at, &jobs.bytes, (jobs.n + 1) * sizeof job, SYS_GC);
    jobs.failed |= !at;
    if (!at)
        return;
    jobs.at = at;
    at[jobs.n++] = job;
}

/* In pieces, so that several markers share a large one. Words are aligned, so no word lies across two pieces. */
static void add_range(struct root_job job)
{
    uintptr_t hi = job.hi;
    job.lo = round_up(job.lo, sizeof(uintptr_t));
    for (; job.lo < hi; job.lo = job.hi) {
        job.hi = hi - job.lo < ROOT_PIECE ? hi : job.lo + ROOT_PIECE;
        add(job);
    }
}

/* The collecting thread's frames below its boundary may lie within a stack that is scanned as a whole, or in the
 * program's data: an alternate signal stack in an array. They are dead to the program, and not the same when the
 * verifying mark reads them. */
static void add_but_ours(struct root_job job)
{
    struct os_range ours = jobs.ours;
    if (ours.lo >= job.hi || ours.hi <= job.lo) {
        add_range(job);
        return;
    }
    struct root_job below = job, above = job;
    below.hi = ours.lo;
    above.lo = ours.hi;
    add_range(below); /* adds nothing where lo is not below hi */
    add_range(above);
}

static void add_part(uintptr_t lo, uintptr_t hi, void *kind)
{
    add_but_ours((struct root_job){.kind = *(enum root_kind *)kind, .lo = lo, .hi = hi});
}

/* A program may have a guard page in an array, or a file mapped over one. */
static void add_data(uintptr_t lo, uintptr_t hi, void *unused)
{
    enum root_kind kind = ROOT_DATA;
    (void)unused;
    rootcheck_each(lo, hi, add_part, &kind);
}

static void add_readable_data(uintptr_t lo, uintptr_t hi, void *unused)
{
    (void)unused;
    add_but_ours((struct root_job){.kind = ROOT_DATA, .lo = lo, .hi = hi});
}

/* Asked about once, though it may be cut into several by what is excluded. */
static void add_segment(uintptr_t lo, uintptr_t hi, void *unused)
{
    roots_each_included(lo, hi, rootcheck_whole(lo, hi) ? add_readable_data : add_data, unused);
}

static void add_given(enum root_kind kind, uintptr_t lo, uintptr_t hi)
{
    if (!rootcheck_each(lo, hi, add_part, &kind) && jobs.unreadable.hi == 0)
        jobs.unreadable = (struct os_range){lo, hi};
}

static void add_registered(void)
{
    size_t n;
    const struct roots_range *r = roots_ranges(ROOTS_ADDED, &n);
    for (size_t i = 0; i < n; i++)
        add_given(ROOT_REGISTERED, r[i].lo, r[i].hi);
}

static void add_reported(struct gc_root_report *unused, const void *lo, const void *hi)
{
    (void)unused;
    if (lo < hi)
        add_given(ROOT_REPORTED, (uintptr_t)lo, (uintptr_t)hi);
}

static void add_pointer(struct gc_root_report *unused, const void *p)
{
    (void)unused;
    add((struct root_job){.kind = ROOT_POINTER, .lo = (uintptr_t)p});
}

static void add_thrown(uintptr_t lo, uintptr_t hi, void *unused)
{
    (void)unused;
    add_range((struct root_job){.kind = ROOT_THROWN, .lo = lo, .hi = hi});
}

/* Of a thread that does not hold it itself. */
static void add_in_flight(void *held)
{
    if (held)
        add((struct root_job){.kind = ROOT_FLIGHT, .lo = (uintptr_t)held});
}

/* The program has not seen them yet, so it cannot vouch for them when stacks are left out. */
static void add_fresh(void)
{
    for (const struct thread *t = thread_list; t; t = t->next) {
        uintptr_t p = mcache_fresh(&t->mcache);
        if (p)
            add((struct root_job){.kind = ROOT_FRESH, .lo = p, .tid = t->tid});
    }
}

static void add_pinned(struct mspan *s, void *unused)
{
    (void)unused;
    add((struct root_job){.kind = ROOT_PINNED, .span = s});
}

static void add_endcalls(uintptr_t lo, uintptr_t hi, void *unused)
{
    (void)unused;
    add_range((struct root_job){.kind = ROOT_ENDCALL, .lo = lo, .hi = hi});
}

static void add_words(int tid, enum root_kind kind, uintptr_t lo, uintptr_t hi)
{
    if (lo < hi)
        add_range((struct root_job){.kind = kind, .lo = lo, .hi = hi, .tid = tid});
}

static void add_thread_range(const struct thread *t, enum root_kind kind, uintptr_t lo, uintptr_t hi)
{
    add_words(t->tid, kind, lo, hi);
}

static void add_stack_words(int tid, uintptr_t lo, uintptr_t hi)
{
    add_but_ours((struct root_job){.kind = ROOT_STACK, .lo = lo, .hi = hi, .tid = tid});
}

static void add_used_pages(int tid, uintptr_t lo, uintptr_t hi, const unsigned char *used)
{
    size_t page = os_page_size();
    for (uintptr_t p = round_down(lo, page); p < hi; p += page, used++)
        if (*used && os_readable(p)) /* a guard that was put where there were contents counts as used */
            add_stack_words(tid, p < lo ? lo : p, p + page < hi ? p + page : hi);
}

/* The stack was left, and where is not known: all of it that has contents. What was never touched holds nothing, and
 * may not be touched now. From its base down to the first page that is not mapped: the main thread's is mapped as far
 * as it has grown. */
static void add_resident(int tid, uintptr_t lo, uintptr_t hi)
{
    enum { BATCH = 64 };
    unsigned char used[BATCH];
    size_t page = os_page_size(), n = BATCH;
    while (hi > lo) {
        uintptr_t top = round_up(hi, page), left = (top - round_down(lo, page)) / page;
        n = n < left ? n : left;
        uintptr_t from = top - n * page;
        if (os_in_use(from, n * page, used)) {
            add_used_pages(tid, from < lo ? lo : from, hi, used);
            hi = from;
        } else if (n == 1) {
            return;
        } else {
            n = 1;
        }
    }
}

/* Whether all pages of [lo, hi) are mapped. */
static bool all_mapped(uintptr_t lo, uintptr_t hi)
{
    enum { BATCH = 256 };
    unsigned char resident[BATCH];
    size_t page = os_page_size();
    for (lo = round_down(lo, page); lo < hi; lo += BATCH * page) {
        size_t n = round_up(hi - lo, page);
        if (!os_resident(lo, n < BATCH * page ? n : BATCH * page, resident))
            return false;
    }
    return true;
}

/* A thread's own. The main thread's may have grown beyond the bounds that it had at the start. */
static void add_resident_of(const struct thread *t)
{
    add_resident(t->tid, t->main ? os_page_size() : t->stack_lo, t->stack_hi);
}

/* RLIMIT_STACK was raised after the start and the main thread went below what it had then. The kernel leaves a gap
 * below that stack, so a mapping without a hole from sp up is the stack. */
static bool on_grown_main_stack(const struct thread *t, uintptr_t sp)
{
    return t->main && sp < t->stack_lo && all_mapped(sp, t->stack_lo);
}

/* Without a limit for the main thread's stack its bounds are those of the gap that it may grow into, and take in what
 * was mapped there since. */
static bool on_own_stack(const struct thread *t, uintptr_t sp)
{
    return sp >= t->stack_lo && sp < t->stack_hi && (!t->main || all_mapped(sp, t->stack_hi));
}

/* On its own stack; but a coroutine's may be a local array there, so those go first. Below the lowest SP that the stack
 * allows nothing need be mapped. */
static bool add_own_stack(const struct thread *t, uintptr_t sp, uintptr_t from)
{
    bool own = on_own_stack(t, sp);
    if (own && t->own_stack)
        stacks_note_own(t->own_stack, from);
    else if (own)
        add_thread_range(t, ROOT_STACK, from < t->stack_lo ? t->stack_lo : from, t->stack_hi);
    else if (on_grown_main_stack(t, sp))
        add_thread_range(t, ROOT_STACK, from, t->stack_hi);
    else
        return false;
    return true;
}

/* The stack that sp lies on, in use from `from` on; other: the part in use of an alternate stack that sp lies on, which
 * may be within the thread's own: what was interrupted is elsewhere. Stacks that are listed are added later. */
static void add_stack(const struct thread *t, uintptr_t sp, uintptr_t from, struct os_range other)
{
    bool alternate = other.lo < other.hi;
    if (alternate) {
        add_thread_range(t, ROOT_STACK, other.lo, other.hi);
        stacks_note_words(t->own_stack, other.lo, other.hi);
    } else if (!stacks_note_sp(sp, from)) {
        if (add_own_stack(t, sp, from))
            return;
        jobs.lost++;
    }
    if (!t->own_stack)
        add_resident_of(t);
}

/* Registers may be kept in an object: it must stay while the library knows of it. */
static void add_stack_ref(const struct stack_use *use, void *unused)
{
    (void)unused;
    if (arena_contains(*use->ref))
        add_words(0, ROOT_REGISTERS, (uintptr_t)use->ref, (uintptr_t)(use->ref + 1));
}

static void add_listed_stack(const struct stack_use *use, void *unused)
{
    if (use->untouched)
        add_resident(0, use->lo, use->hi);
    else
        add_words(0, ROOT_STACK, use->lo, use->hi);
    add_words(0, ROOT_REGISTERS, use->regs_lo, use->regs_hi);
    add_stack_ref(use, unused);
}

/* What lies in the stack's mapping is scanned as stack, up to its end, if stacks are. The main thread has none there. */
static void add_tls(const struct thread *t, struct os_range r)
{
    bool own = jobs.stacks && !t->main && r.lo >= t->stack_lo && r.hi <= t->stack_hi;
    if (r.lo < r.hi && !own && all_mapped(r.lo, r.hi))
        add_thread_range(t, ROOT_TLS, r.lo, r.hi);
}

static void add_tls_module(size_t module, size_t size, void *unused)
{
    (void)unused;
    for (const struct thread *t = thread_list; t; t = t->next)
        if (!t->internal && t->self)
            add_tls(t, os_tls_block(t->self, module, size));
}

static void add_specific(struct os_range r, void *t) { add_tls(t, r); }

static void add_tls_of_all(void)
{
    os_each_tls_module(add_tls_module, NULL);
    for (struct thread *t = thread_list; t; t = t->next) {
        if (t->internal)
            continue;
        if (t->main || !jobs.stacks)
            add_tls(t, os_tls_static(t->self));
        if (t->found)
            add_tls(t, (struct os_range){t->tls_lo, t->tls_hi});
        if (t->self)
            os_each_specific(t->self, add_specific, t);
    }
}

/* A stack that locate.c found: the part in use, and the thread's own stack where that is another. In doubt it is an
 * alternate stack, and the thread has left another that is listed, perhaps its own. */
static void add_located(const struct thread *t, uintptr_t sp, uintptr_t from, bool in_doubt)
{
    bool listed = stacks_note_sp(sp, from);
    if (t->own_stack && !t->found && sp >= t->stack_lo && sp < t->stack_hi)
        stacks_note_own(t->own_stack, from);
    if (!listed || in_doubt)
        add_thread_range(t, ROOT_STACK, t->other_lo, t->other_hi);
    if (in_doubt)
        stacks_note_words(t->own_stack, t->other_lo, t->other_hi);
    if (!listed && t->other_lo >= t->other_hi)
        jobs.lost++;
    add_resident_of(t);
}

static void add_held(const struct thread *t)
{
    struct os_range regs = os_held_registers(t->held), vectors = os_held_vectors(t->held);
    add_thread_range(t, ROOT_REGISTERS, regs.lo, regs.hi);
    add_thread_range(t, ROOT_REGISTERS, vectors.lo, vectors.hi);
    add_located(t, os_held_sp(t->held), os_held_stack(t->held), true);
}

static void add_interrupted(const struct thread *t)
{
    struct os_range regs = os_context_registers(t->context), vectors[OS_VECTOR_RANGES];
    size_t n = os_context_vectors(t->context, vectors);
    add_thread_range(t, ROOT_REGISTERS, regs.lo, regs.hi);
    for (size_t i = 0; i < n; i++)
        add_thread_range(t, ROOT_REGISTERS, vectors[i].lo, vectors[i].hi);
    uintptr_t sp = os_context_sp(t->context), from = os_context_stack(t->context);
    struct os_range other = os_context_altstack(t->context);
    if (t->found)
        add_located(t, sp, from, other.lo < other.hi);
    else
        add_stack(t, sp, from, other);
}

static void add_at_boundary(const struct thread *t)
{
    uintptr_t lo, hi;
    boundary_registers(t->boundary, &lo, &hi);
    add_thread_range(t, ROOT_REGISTERS, lo, hi);
    uintptr_t sp = boundary_stack(t->boundary);
    add_stack(t, sp, sp, (struct os_range){t->other_lo, t->other_hi});
}

static void add_stacks(void)
{
    stacks_begin_notes();
    for (const struct thread *t = thread_list; t; t = t->next) {
        if (t->internal)
            continue;
        CHECK(t->held || t->context || t->boundary, "rootjobs.all");
        if (t->held)
            add_held(t);
        else if (t->context)
            add_interrupted(t);
        else
            add_at_boundary(t);
    }
    /* A thread that is nowhere may have been interrupted on any of them. */
    stacks_each_use(jobs.lost > 0, add_listed_stack, NULL);
}

/* Not from the base of the stack that it runs on, if that is far: where the main thread's has no limit, other stacks lie
 * in between. */
static struct os_range own_frames(void)
{
    enum { DEEPEST = 1 << 20 };
    const struct thread *t = thread_self();
    if (!t || !t->boundary)
        return (struct os_range){0, 0};
    uintptr_t sp = boundary_stack(t->boundary);
    const struct stack *s = stacks_around(sp);
    if (!s && (sp < t->stack_lo || sp >= t->stack_hi) && t->other_lo >= t->other_hi)
        return (struct os_range){0, 0}; /* on a stack that nobody told us of, which is not scanned */
    uintptr_t lo = t->other_lo < t->other_hi ? t->other_base : s ? s->lo : t->stack_lo;
    return (struct os_range){sp - lo < DEEPEST ? lo : sp - DEEPEST, sp};
}

bool rootjobs_build(bool stacks)
{
    jobs.n = 0;
    jobs.failed = false;
    jobs.lost = 0;
    /* Thread-local variables that are not known otherwise lie in the stacks' mappings. */
    jobs.stacks = stacks || !os_tls_known();
    jobs.unreadable = (struct os_range){0, 0};
    jobs.ours = own_frames();
    rootcheck_begin();
    os_each_segment(add_segment, NULL);
    add_registered();
    thrown_each(add_thrown, NULL);
    flight_each(add_in_flight);
    add_fresh();
    mcentral_each_pinned(add_pinned, NULL);
    endcalls_each_range(add_endcalls, NULL);
    add_tls_of_all();
    if (jobs.stacks)
        add_stacks();
    else
        stacks_each_use(false, add_stack_ref, NULL);
    roots_call_callbacks(&(struct gc_root_report){add_reported, add_pointer});
    return !jobs.failed;
}

size_t rootjobs_count(void) { return jobs.n; }
const struct root_job *rootjobs_at(size_t i) { return &jobs.at[i]; }
uint32_t rootjobs_lost_stacks(void) { return jobs.lost; }
struct os_range rootjobs_unreadable(void) { return jobs.unreadable; }

const char *root_kind_name(enum root_kind kind)
{
    static const char *const names[] = {"data",
                                        "registered range",
                                        "stack",
                                        "registers",
                                        "thread-local storage",
                                        "uncollectable object",
                                        "range from a root callback",
                                        "pointer from a root callback",
                                        "exception",
                                        "argument or result of a thread",
                                        "object being allocated",
                                        "argument of a finalizer or cleanup"};
    return names[kind];
}

void rootjobs_each_pinned(const struct root_job *job, void (*fn)(struct ref r, void *arg), void *arg)
{
    struct mspan *s = job->span;
    for (size_t i = bits_next(s->alloc_bits, 0, s->nelems, true); i < s->nelems;
         i = bits_next(s->alloc_bits, i + 1, s->nelems, true))
        if (!mspan_slot_freed(s, i))
            fn((struct ref){s, i}, arg);
}

struct os_range rootjobs_words(const struct root_job *job)
{
    if (job->kind == ROOT_POINTER || job->kind == ROOT_FLIGHT || job->kind == ROOT_FRESH)
        return (struct os_range){(uintptr_t)&job->lo, (uintptr_t)(&job->lo + 1)};
    return (struct os_range){job->lo, job->hi};
}

static bool endcalls_put_off; /* the world is stopped */

void rootjobs_put_off_endcalls(bool on) { endcalls_put_off = on; }

void rootjobs_mark_put_off(struct marker *m)
{
    for (size_t i = 0; i < jobs.n; i++)
        if (jobs.at[i].kind == ROOT_ENDCALL)
            mark_roots(m, jobs.at[i].lo, jobs.at[i].hi, false);
}

static void mark_pinned(struct ref r, void *m) { mark_object(m, ref_base(r)); }

uint64_t rootjobs_mark(struct marker *m, size_t i)
{
    const struct root_job *job = &jobs.at[i];
    /* Stacks of coroutines are many and small. */
    if (i + 8 < jobs.n)
        __builtin_prefetch((const void *)job[8].lo);
    if (job->kind == ROOT_ENDCALL && endcalls_put_off)
        return 0;
    if (job->kind == ROOT_PINNED) {
        rootjobs_each_pinned(job, mark_pinned, m);
        return 0;
    }
    struct os_range words = rootjobs_words(job);
    mark_roots(m, words.lo, words.hi, job->kind == ROOT_STACK || job->kind == ROOT_REGISTERS);
    return words.hi - words.lo;
}
