/* checkmark.c - a breadth-first trace over a plain queue that remembers who found whom.
 * Owns:   a bitmap and a queue, mapped for the run.
 * Locks:  none; the world is stopped.
 * Keeps:  .independent  shares no step with scan.c: a span is found by its address range in the page table, a slot by
 *                       division, an object is noted in a bitmap of its own, one bit for each 8 bytes of heap
 * Below:  rootjobs, pageheap.   Above: cycle, with --enable-checks=full.
 *
 * Go's checkmark once indexed by arena instead of by object and so never noticed anything (golang/go#69074);
 * tests/fault/missed_mark.c plants a fault and demands the abort. */
#include "mark/checkmark.h"

#include "base/check.h"
#include "heap/sysmem.h"
#include "mark/rootjobs.h"
#include "os/os_mangle.h"
#include "os/os_mem.h"

enum { NO_PARENT = -1, PATH_MAX_SHOWN = 12 };

struct visit {
    uintptr_t base;
    size_t n;       /* bytes to scan */
    int64_t parent; /* index of the visit that found it, or NO_PARENT */
    uintptr_t at;   /* address of the word that refers to it */
    uint32_t root;  /* the job, for those without a parent */
};

struct checkmark {
    uint64_t *seen;
    size_t seen_bytes;
    struct visit *queue;
    size_t n, bytes;
    bool failed;
};

static bool queue_room(struct checkmark *c)
{
    if ((c->n + 1) * sizeof *c->queue <= c->bytes)
        return true;
    size_t bytes = c->bytes ? c->bytes * 2 : 1 << 20;
    struct visit *more = sysmem_alloc(bytes, SYS_GC);
    if (!more)
        return false;
    for (size_t i = 0; i < c->n; i++)
        more[i] = c->queue[i];
    if (c->bytes)
        sysmem_free(c->queue, c->bytes, SYS_GC);
    c->queue = more;
    c->bytes = bytes;
    return true;
}

/* The live object that v points into. */
static bool resolve(uintptr_t v, struct ref *r)
{
    if (v < arena.base || v >= arena.base + arena_used())
        return false;
    struct mspan *s = arena.spans[(v - arena.base) / HEAP_PAGE];
    if (!s || mspan_state_of(s) != MSPAN_INUSE || v < s->base || v >= mspan_limit(s))
        return false;
    size_t i = (v - s->base) / s->elemsize;
    if (i >= s->nelems || !bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i))
        return false;
    *r = (struct ref){s, i};
    return true;
}

/* The way from the root to the object that was missed, newest first. */
static _Noreturn void report_missed(const struct checkmark *c, struct ref r, struct visit v)
{
    report_line("marking missed a live object: %#lx, %zu bytes, spanclass %u", (unsigned long)ref_base(r),
                r.span->elemsize, r.span->spanclass_);
    for (int depth = 0; depth < PATH_MAX_SHOWN && v.parent != NO_PARENT; depth++) {
        const struct visit *p = &c->queue[v.parent];
        report_line("  which the word at %#lx, in object %#lx (%zu bytes), refers to", (unsigned long)v.at,
                    (unsigned long)p->base, p->n);
        v = *p;
    }
    const struct root_job *job = rootjobs_at(v.root);
    report_line("  which the word at %#lx refers to: %s, thread %d", (unsigned long)v.at, root_kind_name(job->kind),
                job->tid);
    report_fatal("broken invariant scan.tricolour; the heap cannot be trusted, aborting");
}

static void visit(struct checkmark *c, struct ref r, struct visit v)
{
    size_t bit = (ref_base(r) - arena.base) / 8;
    if (bits_test(c->seen, bit))
        return;
    bits_set(c->seen, bit);
    if (!bits_test(r.span->gcmark_bits, r.index))
        report_missed(c, r, v);
    if (!queue_room(c)) {
        c->failed = true;
        return;
    }
    v.base = ref_base(r);
    v.n = r.span->scan == SCAN_NONE ? 0 : r.span->elemsize;
    c->queue[c->n++] = v;
}

static void visit_word(struct checkmark *c, uintptr_t word, const struct visit *v, bool past)
{
    struct ref r;
    if (resolve(word, &r))
        visit(c, r, *v);
    if (past && resolve(word - 1, &r) && r.span->exact)
        visit(c, r, *v);
}

/* Most words are not, of the roots nearly all: they are dropped here, before anything is called. (Under
 * AddressSanitizer, whose runtime has 9 MB of data, a collection of an empty heap took 15 ms without this, 2 with it.) */
static ALWAYS_INLINE bool near_arena(uintptr_t word) { return word - arena.base <= arena_used(); }

static NO_SANITIZE void visit_words(struct checkmark *c, uintptr_t lo, uintptr_t hi, struct visit v, bool past)
{
    for (v.at = round_up(lo, sizeof(uintptr_t)); v.at + sizeof(uintptr_t) <= hi; v.at += sizeof(uintptr_t)) {
        uintptr_t word = *(const volatile uintptr_t *)v.at;
        if (near_arena(word))
            visit_word(c, word, &v, past);
        if (os_may_be_mangled(word))
            visit_word(c, os_unmangled(word), &v, past);
    }
}

struct pinned_visit {
    struct checkmark *c;
    uint32_t root;
};

static void visit_pinned(struct ref r, void *arg)
{
    const struct pinned_visit *p = arg;
    visit(p->c, r, (struct visit){.parent = NO_PARENT, .root = p->root});
}

static void visit_root(struct checkmark *c, uint32_t i)
{
    const struct root_job *job = rootjobs_at(i);
    if (job->kind == ROOT_PINNED) {
        rootjobs_each_pinned(job, visit_pinned, &(struct pinned_visit){c, i});
        return;
    }
    struct os_range words = rootjobs_words(job);
    visit_words(c, words.lo, words.hi, (struct visit){.parent = NO_PARENT, .root = i},
                job->kind == ROOT_STACK || job->kind == ROOT_REGISTERS);
}

static bool begin(struct checkmark *c)
{
    c->seen_bytes = round_up(arena_used() / 64 + 1, os_page_size());
    c->seen = sysmem_alloc(c->seen_bytes, SYS_GC);
    return c->seen;
}

size_t checkmark_run(bool *skipped)
{
    struct checkmark c = {0};
    *skipped = !begin(&c);
    if (*skipped)
        return 0;
    for (uint32_t i = 0; i < rootjobs_count(); i++)
        visit_root(&c, i);
    for (size_t i = 0; i < c.n && !c.failed; i++)
        visit_words(&c, c.queue[i].base, c.queue[i].base + c.queue[i].n, (struct visit){.parent = (int64_t)i}, false);
    sysmem_free(c.seen, c.seen_bytes, SYS_GC);
    if (c.bytes)
        sysmem_free(c.queue, c.bytes, SYS_GC);
    *skipped = c.failed;
    return c.n;
}
