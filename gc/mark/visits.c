/* visits.c - tracing to find out, by other means than the mark.
 * Owns:   a bitmap and a queue, mapped for the run.
 * Locks:  none; the world is stopped.
 * Keeps:  .independent  shares no step with scan.c: a span is found by its address range in the page table, a slot by
 *                       division, an object is noted in a bitmap of its own, one bit for each 8 bytes of heap
 *         .shortest     an object is in the queue before all that are further from the roots
 * Below:  rootjobs, pageheap.   Above: checkmark, watch. */
#include "mark/visits.h"

#include "heap/ephemeron.h"
#include "heap/sysmem.h"
#include "heap/typed.h"
#include "mark/rootjobs.h"
#include "os/os_mangle.h"
#include "os/os_mem.h"

bool visits_begin(struct visits *v)
{
    v->seen_bytes = round_up(arena_used() / 64 + 1, os_page_size());
    v->seen = sysmem_alloc(v->seen_bytes, SYS_GC);
    return v->seen;
}

void visits_end(struct visits *v)
{
    sysmem_free(v->seen, v->seen_bytes, SYS_GC);
    if (v->queue)
        sysmem_free(v->queue, v->queue_bytes, SYS_GC);
    if (v->waiting)
        sysmem_free(v->waiting, v->waiting_bytes, SYS_GC);
}

bool visits_resolve(uintptr_t value, struct ref *r)
{
    if (value < arena.base || value >= arena.base + arena_used())
        return false;
    struct mspan *s = arena.spans[(value - arena.base) / HEAP_PAGE];
    if (!s || mspan_state_of(s) != MSPAN_INUSE || value < s->base || value >= mspan_limit(s))
        return false;
    size_t i = (value - s->base) / s->elemsize;
    if (i >= s->nelems || !bits_test(s->alloc_bits, i) || mspan_slot_freed(s, i))
        return false;
    *r = (struct ref){s, i};
    return true;
}

static void visit(struct visits *v, struct ref r, struct visit how)
{
    size_t bit = (ref_base(r) - arena.base) / 8;
    if (bits_test(v->seen, bit) || v->end || !v->take(v, r, &how))
        return;
    bits_set(v->seen, bit);
    struct visit *queue = sysmem_grow(v->queue, &v->queue_bytes, (v->n + 1) * sizeof how, SYS_GC);
    v->failed |= !queue;
    v->end |= !queue;
    if (!queue)
        return;
    how.base = ref_base(r);
    v->queue = queue;
    v->queue[v->n++] = how;
}

static void visit_word(struct visits *v, uintptr_t word, const struct visit *how, bool past)
{
    struct ref r;
    if (visits_resolve(word, &r))
        visit(v, r, *how);
    if (past && visits_resolve(word - 1, &r) && r.span->exact)
        visit(v, r, *how);
}

/* Most words are not, of the roots nearly all: they are dropped here, before anything is called. (Under
 * AddressSanitizer, whose runtime has 9 MB of data, a collection of an empty heap took 15 ms without this, 2 with it.) */
static ALWAYS_INLINE bool near_arena(uintptr_t word) { return word - arena.base <= arena_used(); }

static NO_SANITIZE void visit_words(struct visits *v, uintptr_t lo, uintptr_t hi, struct visit how, bool past)
{
    for (how.at = round_up(lo, sizeof(uintptr_t)); how.at + sizeof(uintptr_t) <= hi; how.at += sizeof(uintptr_t)) {
        uintptr_t word = *(const volatile uintptr_t *)how.at;
        if (near_arena(word))
            visit_word(v, word, &how, past);
        if (os_may_be_mangled(word))
            visit_word(v, os_unmangled(word), &how, past);
    }
}

struct pinned_visit {
    struct visits *v;
    struct visit how;
};

static void visit_pinned(struct ref r, void *arg)
{
    const struct pinned_visit *p = arg;
    visit(p->v, r, p->how);
}

void visits_root(struct visits *v, uint32_t i)
{
    const struct root_job *job = rootjobs_at(i);
    struct visit how = {.parent = VISIT_ROOT, .root = i};
    if (job->kind == ROOT_PINNED) {
        rootjobs_each_pinned(job, visit_pinned, &(struct pinned_visit){v, how});
        return;
    }
    struct os_range words = rootjobs_words(job);
    visit_words(v, words.lo, words.hi, how, job->kind == ROOT_STACK || job->kind == ROOT_REGISTERS);
}

static bool was_visited(const struct visits *v, struct ref r)
{
    return bits_test(v->seen, (ref_base(r) - arena.base) / 8);
}

/* Visit the value of an ephemeron, the visit of which this is. False: its key is not known to live. */
static bool visit_value(struct visits *v, uint32_t i)
{
    const struct gc_ephemeron *e = (const struct gc_ephemeron *)v->queue[i].base;
    uintptr_t value = (uintptr_t)&e->value;
    struct ref key;
    if (!visits_resolve(ephemeron_key(e), &key) || !(v->live ? v->live(key) : was_visited(v, key)))
        return false;
    visit_words(v, value, value + sizeof(uintptr_t), (struct visit){.parent = i}, false);
    return true;
}

static void visit_ephemeron(struct visits *v, uint32_t i)
{
    if (visit_value(v, i) || v->live)
        return;
    uint32_t *waiting = sysmem_grow(v->waiting, &v->waiting_bytes, (v->n_waiting + 1) * sizeof i, SYS_GC);
    v->failed |= !waiting;
    v->end |= !waiting;
    if (!waiting)
        return;
    v->waiting = waiting;
    v->waiting[v->n_waiting++] = i;
}

/* Word by word, by the bits of the layout; the mark goes by its list of places. */
static void visit_object(struct visits *v, uintptr_t base, const struct mspan *s, struct visit how)
{
    const struct gc_layout *l = s->scan >= SCAN_LAYOUT ? typed_layout(s->scan) : NULL;
    if (!l)
        visit_words(v, base, base + s->elemsize, how, false);
    for (size_t at = 0; l && at < s->elemsize; at += sizeof(uintptr_t))
        if (layout_names(l, at))
            visit_words(v, base + at, base + at + sizeof(uintptr_t), how, false);
}

static void visit_contents(struct visits *v)
{
    for (; v->next < v->n && !v->end; v->next++) {
        uintptr_t base = v->queue[v->next].base;
        const struct mspan *s = arena.spans[(base - arena.base) / HEAP_PAGE];
        if (ephemeron_is(s))
            visit_ephemeron(v, (uint32_t)v->next);
        else if (s->scan != SCAN_NONE)
            visit_object(v, base, s, (struct visit){.parent = (uint32_t)v->next});
    }
}

/* In turns from either end, as a chain may have been made either way round. Returns whether a value was visited. */
static bool visit_waiting(struct visits *v, bool backwards)
{
    size_t n = v->n_waiting, left = 0;
    for (size_t k = 0; k < n && !v->end; k++) {
        uint32_t *i = &v->waiting[backwards ? n - 1 - k : k], index = *i;
        *i = VISIT_ROOT;
        if (!visit_value(v, index))
            *i = index;
        else
            visit_contents(v);
    }
    for (size_t k = 0; k < v->n_waiting; k++)
        if (v->waiting[k] != VISIT_ROOT)
            v->waiting[left++] = v->waiting[k];
    bool any = left < v->n_waiting;
    v->n_waiting = left;
    return any;
}

void visits_drain(struct visits *v)
{
    bool backwards = true;
    visit_contents(v);
    while (!v->end && v->n_waiting > 0 && visit_waiting(v, backwards))
        backwards = !backwards;
}
