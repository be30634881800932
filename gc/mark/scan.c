/* scan.c - the scan loop.
 * Owns:   the mark bits of every span while the world is stopped.
 * Locks:  none.
 * Keeps:  .tricolour  a marked object is black (scanned), grey (in the stack or the object ring), or noscan; when
 *                     mark_drain returns nothing is grey            (checkmark.c traces again and compares)
 *         .noscan     an object of a noscan span is never read      (mark_ref)
 * Below:  find_object, workbuf.   Above: rootjobs, cycle.   See doc/design/marking.md
 *
 * Marking waits for memory: for the span, for its bits, for the object. So every word that may be a pointer waits in a
 * ring while its span is fetched, and every grey object waits in another while its first lines are. The idea of such a
 * queue is Cher, Hosking and Vitek's (2004). */
#include "mark/scan.h"

#include "base/check.h"
#include "heap/pageheap.h"

#include <string.h>

static uintptr_t planted_fault;

void mark_plant_fault(uintptr_t base) { planted_fault = base; }

void marker_init(struct marker *m) { memset(m, 0, sizeof *m); }

static ALWAYS_INLINE void mark_ref(struct marker *m, struct ref r)
{
    uint64_t *word = &r.span->gcmark_bits[r.index / WORD_BITS], bit = bits_mask(r.index);
    if (*word & bit)
        return;
    if (GC_CHECKS && unlikely(planted_fault) && ref_base(r) == planted_fault)
        return;
    *word |= bit;
    m->marked_bytes += r.span->elemsize;
    if (r.span->scan != SCAN_NONE)
        workstack_push(&m->stack, (struct grey){ref_base(r), r.span->elemsize});
}

static ALWAYS_INLINE void resolve_oldest_word(struct marker *m)
{
    unsigned i = m->words_out++ % WORD_RING;
    struct ref r;
    if (find_in_span(m->words[i].span, m->words[i].p, &r))
        mark_ref(m, r);
}

static ALWAYS_INLINE void take_word(struct marker *m, uintptr_t p)
{
    if (m->words_in - m->words_out == WORD_RING)
        resolve_oldest_word(m);
    unsigned i = m->words_in++ % WORD_RING;
    struct mspan *s = arena_span(p);
    __builtin_prefetch(s);
    m->words[i].p = p;
    m->words[i].span = s;
}

static NO_SANITIZE ALWAYS_INLINE uintptr_t read_word(uintptr_t at) { return *(const volatile uintptr_t *)at; }

static NO_SANITIZE void scan_words(struct marker *m, uintptr_t lo, uintptr_t hi)
{
    uintptr_t base = arena.base, used = arena_used();
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t v = read_word(at);
        if (v - base < used)
            take_word(m, v);
    }
}

NO_SANITIZE void mark_roots(struct marker *m, uintptr_t lo, uintptr_t hi, bool past)
{
    uintptr_t base = arena.base, used = arena_used();
    lo = round_up(lo, sizeof(uintptr_t));
    hi = round_down(hi, sizeof(uintptr_t));
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t v = read_word(at);
        if (v - base < used)
            take_word(m, v);
        if (past && v - 1 - base < used)
            take_word(m, v - 1);
    }
}

void mark_object(struct marker *m, struct ref r) { mark_ref(m, r); }

/* Move grey objects from the stack to the ring; false when neither has one. */
static ALWAYS_INLINE bool fill_objects(struct marker *m)
{
    struct grey g;
    while (m->objects_in - m->objects_out < OBJECT_RING && workstack_pop(&m->stack, &g)) {
        __builtin_prefetch((const void *)g.base);
        if (g.n > 64)
            __builtin_prefetch((const void *)(g.base + 64));
        m->objects[m->objects_in++ % OBJECT_RING] = g;
    }
    return m->objects_in != m->objects_out;
}

static void scan_oldest_object(struct marker *m)
{
    struct grey g = m->objects[m->objects_out++ % OBJECT_RING];
    if (unlikely(g.n > SCAN_PIECE)) {
        workstack_push(&m->stack, (struct grey){g.base + SCAN_PIECE, g.n - SCAN_PIECE});
        g.n = SCAN_PIECE;
    }
    m->scanned_bytes += g.n;
    scan_words(m, g.base, g.base + g.n);
}

static void drain_once(struct marker *m)
{
    for (;;) {
        if (fill_objects(m))
            scan_oldest_object(m);
        else if (m->words_in != m->words_out)
            resolve_oldest_word(m);
        else
            break;
    }
}

/* The stack could not grow: some marked object was dropped unscanned. Scan every marked one of the span again. */
static void rescan_span(struct mspan *s, void *arg)
{
    struct marker *m = arg;
    if (mspan_state_of(s) != MSPAN_INUSE || s->scan == SCAN_NONE)
        return;
    for (size_t i = bits_next(s->gcmark_bits, 0, s->nelems, true); i < s->nelems;
         i = bits_next(s->gcmark_bits, i + 1, s->nelems, true)) {
        scan_words(m, mspan_slot(s, i), mspan_slot(s, i) + s->elemsize);
        drain_once(m);
    }
}

void mark_drain(struct marker *m)
{
    drain_once(m);
    while (m->stack.overflowed) {
        m->stack.overflowed = false;
        pageheap_each(rescan_span, m);
    }
    CHECK(!m->stack.top, "scan.tricolour");
}
