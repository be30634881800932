/* scan.c - the scan loop.
 * Owns:   the mark bits of every span while the world is stopped.
 * Locks:  none.
 * Keeps:  .tricolour  a marked object is black (scanned), grey (in the stack or the object ring), or noscan; when
 *                     mark_drain returns nothing is grey            (checkmark.c traces again and compares)
 *         .noscan     an object of a noscan span is never read      (mark_ref)
 *         .mangled    a pointer that setjmp mangled holds like any other, wherever a jmp_buf fits
 *         .address    an address of the arena fits in the 48 bits of a grey entry      (marker_init)
 * Below:  find_object, workbuf.   Above: rootjobs, cycle.   See doc/design/marking.md
 *
 * Marking waits for memory: for the span, for its bits, for the object. So every word that may be a pointer waits in a
 * ring while its span is fetched, and every grey object waits in another while its first lines are. The idea of such a
 * queue is Cher, Hosking and Vitek's (2004). */
#include "mark/scan.h"

#include "base/check.h"
#include "heap/pageheap.h"
#include "os/os_mangle.h"

#include <string.h>

_Static_assert(SCAN_PIECE / sizeof(uintptr_t) <= UINT16_MAX && (int)SMALL_MAX <= (int)SCAN_PIECE,
               "a grey entry counts in 16 bits");

static uintptr_t planted_fault; /* the complement of the address: the word itself is a root, and must hold nothing */

void mark_plant_fault(uintptr_t base) { planted_fault = base ? ~base : 0; }

void marker_init(struct marker *m, bool shared)
{
    CHECK((arena.base + arena.max) >> 48 == 0, "scan.address");
    memset(m, 0, sizeof *m);
    m->shared = shared;
}

/* Set the mark of an object; false when it was set. One marker alone needs no locked instruction, which is most of what
 * an object in the cache costs. */
static ALWAYS_INLINE bool set_mark(struct ref r, bool shared)
{
    uint64_t *word = &r.span->gcmark_bits[r.index / WORD_BITS], bit = bits_mask(r.index);
    if (bits_load(word) & bit)
        return false;
    if (shared)
        return !(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit);
    *word |= bit;
    return true;
}

/* A large object is work by pieces, so that no scan of one object fills the stack. */
static void push_pieces(struct workstack *stack, uintptr_t base, size_t n)
{
    for (uintptr_t at = base, end = base + n; at < end; at += SCAN_PIECE) {
        size_t piece = end - at < SCAN_PIECE ? end - at : SCAN_PIECE;
        workstack_push(stack, grey_make(at, piece / sizeof(uintptr_t)));
    }
}

static NO_SANITIZE ALWAYS_INLINE void mark_ref(struct marker *m, struct ref r, bool shared)
{
    if (GC_CHECKS && unlikely(planted_fault) && ref_base(r) == ~planted_fault)
        return;
    if (!set_mark(r, shared))
        return;
    size_t n = r.span->elemsize;
    m->counts.marked_bytes += n;
    if (r.span->scan == SCAN_NONE)
        return;
    m->counts.scanned_bytes += n;
    if (likely(n <= SMALL_MAX))
        workstack_push(&m->stack, grey_make(ref_base(r), n / sizeof(uintptr_t)));
    else
        push_pieces(&m->stack, ref_base(r), n);
}

static NO_SANITIZE ALWAYS_INLINE void resolve_oldest_word(struct marker *m, bool shared)
{
    unsigned i = m->words.out++ % WORD_RING;
    struct ref r;
    if (find_in_span(m->words.span[i], m->words.p[i], &r))
        mark_ref(m, r, shared);
}

/* p is an address in the arena. */
static NO_SANITIZE ALWAYS_INLINE void take_word(struct marker *m, uintptr_t p, bool shared)
{
    struct mspan *s = arena_span(p);
    if (unlikely(!s))
        return;
    __builtin_prefetch(s);
    if (m->words.in - m->words.out == WORD_RING)
        resolve_oldest_word(m, shared);
    unsigned i = m->words.in++ % WORD_RING;
    m->words.p[i] = p;
    m->words.span[i] = s;
}

static NO_SANITIZE ALWAYS_INLINE uintptr_t read_word(uintptr_t at) { return *(const volatile uintptr_t *)at; }

/* Rare, so not in the loops. */
static NO_SANITIZE NOINLINE void take_mangled(struct marker *m, uintptr_t v, bool past)
{
    uintptr_t p = os_unmangled(v);
    if (arena_contains(p))
        take_word(m, p, m->shared);
    if (past && arena_contains(p - 1) && find_holds_past(p - 1))
        take_word(m, p - 1, m->shared);
}

static NO_SANITIZE ALWAYS_INLINE void scan_words(struct marker *m, uintptr_t lo, uintptr_t hi, bool mangled,
                                                 bool shared)
{
    uintptr_t base = arena.base, used = arena_used();
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t v = read_word(at);
        if (v - base < used)
            take_word(m, v, shared);
        if (mangled && unlikely(os_may_be_mangled(v)))
            take_mangled(m, v, false);
    }
}

static NO_SANITIZE ALWAYS_INLINE void scan_grey(struct marker *m, struct grey g, bool shared)
{
    uintptr_t lo = grey_base(g), hi = lo + grey_words(g) * sizeof(uintptr_t);
    if (grey_words(g) < OS_JMP_BUF_WORDS)
        scan_words(m, lo, hi, false, shared);
    else
        scan_words(m, lo, hi, true, shared);
}

static NO_SANITIZE ALWAYS_INLINE void root_words(struct marker *m, uintptr_t lo, uintptr_t hi, bool past, bool shared)
{
    uintptr_t base = arena.base, used = arena_used();
    lo = round_up(lo, sizeof(uintptr_t));
    hi = round_down(hi, sizeof(uintptr_t));
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t v = read_word(at);
        if (v - base < used)
            take_word(m, v, shared);
        if (past && v - 1 - base < used && find_holds_past(v - 1))
            take_word(m, v - 1, shared);
        if (unlikely(os_may_be_mangled(v)))
            take_mangled(m, v, past);
    }
}

/* Inlined code is as instrumented as the function that it is in. */
NO_SANITIZE void mark_roots(struct marker *m, uintptr_t lo, uintptr_t hi, bool past)
{
    if (m->shared)
        root_words(m, lo, hi, past, true);
    else
        root_words(m, lo, hi, past, false);
}

NO_SANITIZE void mark_object(struct marker *m, struct ref r) { mark_ref(m, r, m->shared); }

static NOINLINE void give_some(struct marker *m)
{
    struct workbuf *b = workstack_split(&m->stack);
    if (b)
        workpool_give(b);
}

/* The ring of objects lives here, in registers and on the stack: nothing is in it between two calls. */
static NO_SANITIZE ALWAYS_INLINE void drain(struct marker *m, bool shared)
{
    struct grey objects[OBJECT_RING];
    unsigned in = 0, out = 0;
    for (;;) {
        if (shared && unlikely(workpool_hungry()))
            give_some(m);
        struct grey g;
        while (in - out < OBJECT_RING && workstack_pop(&m->stack, &g)) {
            __builtin_prefetch((const void *)grey_base(g));
            objects[in++ % OBJECT_RING] = g;
        }
        if (in != out) {
            scan_grey(m, objects[out++ % OBJECT_RING], shared);
        } else if (m->words.in != m->words.out) {
            resolve_oldest_word(m, shared);
        } else {
            return;
        }
    }
}

static NO_SANITIZE void drain_alone(struct marker *m) { drain(m, false); }
static NO_SANITIZE void drain_shared(struct marker *m) { drain(m, true); }

/* The stack could not grow: some marked object was dropped unscanned. Scan every marked one of the span again. */
static NO_SANITIZE void rescan_span(struct mspan *s, void *arg)
{
    struct marker *m = arg;
    if (mspan_state_of(s) != MSPAN_INUSE || s->scan == SCAN_NONE)
        return;
    for (size_t i = bits_next(s->gcmark_bits, 0, s->nelems, true); i < s->nelems;
         i = bits_next(s->gcmark_bits, i + 1, s->nelems, true)) {
        scan_words(m, mspan_slot(s, i), mspan_slot(s, i) + s->elemsize, true, false);
        drain_alone(m);
    }
}

void mark_rescan(struct marker *m)
{
    CHECK(!m->shared, "scan.tricolour");
    do {
        m->stack.overflowed = false;
        pageheap_each(rescan_span, m);
    } while (m->stack.overflowed);
}

void mark_drain(struct marker *m)
{
    if (m->shared)
        drain_shared(m);
    else
        drain_alone(m);
    CHECK(!m->stack.top, "scan.tricolour");
    m->counts.overflowed |= m->stack.overflowed;
    m->stack.overflowed = false;
}
