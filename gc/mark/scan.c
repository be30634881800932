/* scan.c - the scan loop.
 * Owns:   the mark bits of every span while the world is stopped.
 * Locks:  none.
 * Keeps:  .tricolour  a marked object is black (scanned), grey (in the stack or the object ring), or noscan; when
 *                     mark_drain returns nothing is grey            (checkmark.c traces again and compares)
 *         .noscan     an object of a noscan span is never read      (mark_word)
 *         .typed     of an object of a layout the words that it names are read, and no others   (scan_typed)
 *         .mangled    a pointer that setjmp mangled holds like any other, wherever a jmp_buf fits
 *         .address    an address of the arena fits in the 48 bits of a grey entry      (marker_init)
 * Below:  pagemark, find_object, workbuf.   Above: rootjobs, cycle.   See doc/design/marking.md
 *
 * Marking waits for memory: for what is known of a word's page, for the object. So every word that may be a pointer waits
 * in a ring while its page's line is fetched, and every grey object waits in another while its own are. The idea of such
 * a queue is Cher, Hosking and Vitek's (2004). */
#include "mark/scan.h"

#include "base/check.h"
#include "heap/ephemeron.h"
#include "heap/pageheap.h"
#include "heap/pagemark.h"
#include "heap/typed.h"
#include "os/os_filter.h"
#include "os/os_mangle.h"

#include <string.h>

_Static_assert(SCAN_PIECE / sizeof(uintptr_t) < GREY_TYPED && (int)SMALL_MAX <= (int)SCAN_PIECE,
               "a grey entry counts in 15 bits");

enum { LONG_WORDS = 32 };

/* Setting a mark bit takes as long as scanning about so many bytes. */
enum { BIT_COST = 256 };

static uintptr_t planted_fault; /* the complement of the address: the word itself is a root, and must hold nothing */

void mark_plant_fault(uintptr_t base) { planted_fault = base ? ~base : 0; }

void marker_init(struct marker *m, bool shared)
{
    CHECK((arena.base + arena.max) >> 48 == 0, "scan.address");
    memset(m, 0, sizeof *m);
    m->shared = shared;
}

/* What the loops have to reckon with. Constants in each, so that there is one of them for each set that occurs. */
enum how {
    PLAIN = 0,
    SHARED = 1,  /* other markers: bits are set atomically, and what is grey is given away */
    WATCHED = 2, /* ephemerons wait for what is marked */
    TYPED = 4    /* objects of layouts */
};

static ALWAYS_INLINE enum how how_of(const struct marker *m)
{
    return (m->shared ? SHARED : 0U) | (m->watched ? WATCHED : 0U) | TYPED;
}

/* Set bit i of a word of marks; false when it was set. One marker alone needs no locked instruction, which is most of
 * what an object in the cache costs. */
static ALWAYS_INLINE bool set_mark(uint64_t *word, size_t i, enum how how)
{
    uint64_t old = bits_load(word);
    if (old >> (i % WORD_BITS) & 1)
        return false;
    if (how & SHARED)
        return !(__atomic_fetch_or(word, bits_mask(i), __ATOMIC_RELAXED) >> (i % WORD_BITS) & 1);
    bits_store(word, old | bits_mask(i));
    return true;
}

/* What the loops keep in registers: of a marker, whose stack is open meanwhile, and of the arena. */
struct scan {
    uintptr_t base;
    struct marker *m;
    uintptr_t used;
    const struct pagemark *pages;
    uint64_t scanned; /* bytes */
    unsigned at_word, nwords;
    uint64_t unscanned; /* bytes of noscan objects that were marked */
    uint64_t unread;    /* of these, past BIT_COST of each */
    struct greytop top;
};

static ALWAYS_INLINE struct scan scan_begin(struct marker *m)
{
    return (struct scan){.m = m,
                         .base = arena.base,
                         .used = arena_used(),
                         .pages = arena.marks,
                         .at_word = m->at_word,
                         .nwords = m->nwords,
                         .top = workstack_open(&m->stack)};
}

static ALWAYS_INLINE void scan_end(const struct scan *s)
{
    struct marker *m = s->m;
    m->at_word = s->at_word;
    m->nwords = s->nwords;
    m->counts.marked_bytes += s->scanned + s->unscanned;
    m->counts.scanned_bytes += s->scanned;
    m->counts.unread_bytes += s->unread;
    workstack_close(&m->stack, s->top.at);
}

static ALWAYS_INLINE bool in_arena(const struct scan *s, uintptr_t p) { return p - s->base < s->used; }

static ALWAYS_INLINE const struct pagemark *page_of(const struct scan *s, uintptr_t p)
{
    return &s->pages[(p - s->base) >> PAGE_SHIFT];
}

static ALWAYS_INLINE bool is_typed(struct grey g) { return grey_words(g) & GREY_TYPED; }
static ALWAYS_INLINE size_t grey_bytes(struct grey g) { return (grey_words(g) & ~GREY_TYPED) * sizeof(uintptr_t); }

/* What there was no memory for is left to mark_rescan, and counts as scanned. */
static ALWAYS_INLINE void push(struct marker *m, struct greytop *top, struct grey g)
{
    if (workstack_push(&m->stack, top, g))
        return;
    m->counts.scanned_bytes += grey_bytes(g);
    m->counts.marked_bytes += grey_bytes(g);
}

/* A large object is work by pieces, so that no scan of one object fills the stack. */
static NOINLINE void push_pieces(struct marker *m, struct greytop *top, const struct pagemark *page)
{
    size_t typed = page->scan >= SCAN_LAYOUT ? GREY_TYPED : 0;
    for (uintptr_t at = page->base, end = at + page->elemsize; at < end; at += SCAN_PIECE) {
        size_t piece = end - at < SCAN_PIECE ? end - at : SCAN_PIECE;
        push(m, top, grey_make(at, piece / sizeof(uintptr_t) | typed));
    }
}

/* The word of its value is what is grey of an ephemeron: 8 bytes that were counted with the object. The stack is open. */
static void note_value(struct marker *m, const struct gc_ephemeron *e)
{
    struct greytop top = workstack_open(&m->values);
    workstack_push(&m->values, &top, grey_make((uintptr_t)&e->value, 1));
    workstack_close(&m->values, top.at);
}

/* Object i of the page was marked just now. Of an ephemeron and its key, whichever is marked last is found here. */
static NOINLINE void tell_ephemerons(struct marker *m, const struct pagemark *page, size_t i)
{
    const struct mspan *span = arena_span(page->base);
    const struct gc_ephemeron *e = (const struct gc_ephemeron *)mspan_slot(span, i);
    if (ephemeron_is(span) && ephemeron_key_marked(e))
        note_value(m, e);
    if (!mspan_is_special(span))
        return;
    for (const struct special *sp = specials_list(span, i); sp; sp = sp->next)
        if (sp->kind == SPECIAL_EPHEMERON && ephemeron_marked((uintptr_t)sp))
            note_value(m, (const struct gc_ephemeron *)(const void *)sp);
}

/* An object that is not scanned, or by pieces, or by a layout. */
static NO_SANITIZE ALWAYS_INLINE void mark_other(struct scan *s, const struct pagemark *page, size_t i, enum how how)
{
    if (!set_mark(&page->bits[i / WORD_BITS], i, how))
        return;
    if (page->grey == GREY_NONE) {
        s->unscanned += page->elemsize;
        s->unread += page->elemsize > BIT_COST ? page->elemsize - BIT_COST : 0;
    } else if (how & TYPED && page->grey != GREY_IN_PIECES) {
        push(s->m, &s->top, grey_make(page->base + i * page->elemsize, page->grey));
    } else {
        struct greytop top = s->top; /* a copy, as what has its address taken leaves the registers */
        push_pieces(s->m, &top, page);
        s->top = top;
    }
    if (how & WATCHED)
        tell_ephemerons(s->m, page, i);
}

/* p is an address in the arena. If it lies in an object that is not marked, mark that. With `room` there is room for it
 * in the block, and no other marker: then nothing depends on whether it was marked but how far the stack grows, since a
 * branch on that is one that the processor cannot foresee. */
static NO_SANITIZE ALWAYS_INLINE void mark_word(struct scan *s, uintptr_t p, enum how how, bool room)
{
    const struct pagemark *page = page_of(s, p);
    size_t i = pagemark_index(page, p), words = page->grey;
    if (i >= page->nelems)
        return;
    if (GC_CHECKS && unlikely(planted_fault) && page->base + i * page->elemsize == ~planted_fault)
        return;
    if (unlikely(words - 1U >= GREY_MAX)) {
        mark_other(s, page, i, how);
        return;
    }
    struct grey g = grey_make(page->base + i * words * sizeof(uintptr_t), words);
    uint64_t *word = &page->bits[i / WORD_BITS];
    if (!room) {
        if (!set_mark(word, i, how))
            return;
        push(s->m, &s->top, g);
        if (how & WATCHED)
            tell_ephemerons(s->m, page, i);
        return;
    }
    uint64_t old = bits_load(word);
    bits_store(word, old | bits_mask(i));
    *s->top.at = g;
    s->top.at += ~(old >> (i % WORD_BITS)) & 1;
}

static NO_SANITIZE ALWAYS_INLINE void mark_oldest_word(struct scan *s, enum how how)
{
    uintptr_t p = s->m->words[(s->at_word - s->nwords--) % WORD_RING];
    mark_word(s, p, how, false);
}

/* p is an address in the arena. */
static NO_SANITIZE ALWAYS_INLINE void take_word(struct scan *s, uintptr_t p, enum how how, bool room)
{
    __builtin_prefetch(page_of(s, p));
    uintptr_t *at = &s->m->words[s->at_word++ % WORD_RING], oldest = *at;
    *at = p;
    if (likely(s->nwords == WORD_RING))
        mark_word(s, oldest, how, room);
    else
        s->nwords++;
}

static NO_SANITIZE ALWAYS_INLINE uintptr_t read_word(uintptr_t at) { return *(const volatile uintptr_t *)at; }

/* Rare, so not in the loops. */
static NO_SANITIZE NOINLINE struct scan take_mangled(struct scan s, uintptr_t v, bool past)
{
    uintptr_t p = os_unmangled(v);
    if (in_arena(&s, p))
        take_word(&s, p, how_of(s.m), false);
    if (past && in_arena(&s, p - 1) && find_holds_past(p - 1))
        take_word(&s, p - 1, how_of(s.m), false);
    return s;
}

static NO_SANITIZE ALWAYS_INLINE void scan_words(struct scan *s, uintptr_t lo, uintptr_t hi, enum how how, bool small)
{
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t v = read_word(at);
        if (in_arena(s, v))
            take_word(s, v, how, small && !(how & SHARED));
        if (!small && unlikely(os_may_be_mangled(v)))
            *s = take_mangled(*s, v, false);
    }
}

/* A word that is an address of the arena, or one past it: the same test as the scan's, for many words at a time. */
static struct os_filter filter_of(const struct scan *s)
{
    return (struct os_filter){s->base, s->used, OS_NOTHING_MANGLED - 1, os_mangling.low};
}

/* The same for roots and for many words: where there was no pointer for a while, words are passed over eight at a time.
 * With `past`, an address one past the end of an object is one of it too. */
static NO_SANITIZE ALWAYS_INLINE void sift_words(struct scan *s, uintptr_t lo, uintptr_t hi, bool past, enum how how)
{
    enum { WHILE = 8 };
    const struct os_filter filter = filter_of(s);
    unsigned since = WHILE;
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        if (since++ >= WHILE) {
            at = os_filter_next(&filter, at, hi);
            if (at >= hi)
                return;
            since = 0;
        }
        uintptr_t v = read_word(at);
        if (in_arena(s, v)) {
            take_word(s, v, how, false);
            since = 0;
        }
        if (past && in_arena(s, v - 1) && find_holds_past(v - 1))
            take_word(s, v - 1, how, false);
        if (unlikely(os_may_be_mangled(v)))
            *s = take_mangled(*s, v, past);
    }
}

/* Each word of an object makes at most one other grey: the one that leaves the ring. */
static ALWAYS_INLINE bool has_room(struct scan *s, size_t words)
{
    if (unlikely((size_t)(s->top.end - s->top.at) < words))
        s->top = workstack_more(&s->m->stack, s->top);
    return likely((size_t)(s->top.end - s->top.at) >= words);
}

/* Of the words [lo, hi) of a typed object at `base` those that its layout names; returns how many these are. The elements
 * begin at its base, whichever piece of it this is. */
static NO_SANITIZE ALWAYS_INLINE size_t scan_typed(struct scan *s, const struct gc_layout *l, uintptr_t base,
                                                   uintptr_t lo, uintptr_t hi, enum how how)
{
    size_t n = 0;
    uintptr_t element = lo == base ? base : base + (lo - base) / l->size * l->size;
    for (; element < hi; element += l->size)
        for (const uint16_t *place = l->at, *end = place + l->n; place < end; place++) {
            uintptr_t at = element + *place * sizeof(uintptr_t), v;
            if (at >= hi)
                return n;
            if (at < lo)
                continue;
            n++;
            v = read_word(at);
            if (in_arena(s, v))
                take_word(s, v, how, false);
            if (unlikely(os_may_be_mangled(v)))
                *s = take_mangled(*s, v, false);
        }
    return n;
}

/* What is not read of it counts like objects that are not scanned. */
static NO_SANITIZE ALWAYS_INLINE void scan_typed_grey(struct scan *s, struct grey g, enum how how)
{
    uintptr_t lo = grey_base(g), hi = lo + grey_bytes(g);
    const struct pagemark *page = page_of(s, lo);
    uintptr_t base = page->grey == GREY_IN_PIECES ? page->base : lo;
    size_t read = scan_typed(s, typed_layout(page->scan), base, lo, hi, how);
    s->scanned += read * sizeof(uintptr_t);
    s->unscanned += hi - lo - read * sizeof(uintptr_t);
}

/* One that is smaller than a jmp_buf has no mangled words. That an object is typed makes it look longer than any of those. */
static NO_SANITIZE ALWAYS_INLINE void scan_grey(struct scan *s, struct grey g, enum how how)
{
    uintptr_t lo = grey_base(g), hi = lo + grey_words(g) * sizeof(uintptr_t);
    bool small = grey_words(g) < OS_JMP_BUF_WORDS;
    CHECK(how & TYPED || !is_typed(g), "scan.typed");
    if (how & TYPED && !small && is_typed(g)) {
        scan_typed_grey(s, g, how);
        return;
    }
    s->scanned += hi - lo;
    if (small && !(how & WATCHED) && (how & SHARED || has_room(s, OS_JMP_BUF_WORDS)))
        scan_words(s, lo, hi, how, true);
    else if (grey_words(g) < LONG_WORDS)
        scan_words(s, lo, hi, how, false);
    else
        sift_words(s, lo, hi, false, how);
}

/* Inlined code is as instrumented as the function that it is in. But a local of it that has its address taken, in code that
 * is not marked so, leaves poison behind in a frame of one that is. */
NO_SANITIZE void mark_roots(struct marker *m, uintptr_t lo, uintptr_t hi, bool past)
{
    struct scan s = scan_begin(m);
    sift_words(&s, round_up(lo, sizeof(uintptr_t)), round_down(hi, sizeof(uintptr_t)), past, how_of(m));
    scan_end(&s);
}

NO_SANITIZE void mark_object(struct marker *m, uintptr_t p)
{
    struct scan s = scan_begin(m);
    mark_word(&s, p, how_of(m), false);
    scan_end(&s);
}

/* It holds its value if its key lives. */
static NO_SANITIZE void scan_value(struct scan *s, const struct gc_ephemeron *e)
{
    uintptr_t value = (uintptr_t)&e->value;
    if (ephemeron_key_marked(e))
        sift_words(s, value, value + sizeof(uintptr_t), false, how_of(s->m));
}

NO_SANITIZE void mark_referents(struct marker *m, struct ref r)
{
    uintptr_t lo = ref_base(r), hi = lo + r.span->elemsize;
    struct scan s = scan_begin(m);
    if (ephemeron_is(r.span))
        scan_value(&s, (const struct gc_ephemeron *)lo);
    else if (r.span->scan >= SCAN_LAYOUT)
        scan_typed(&s, typed_layout(r.span->scan), lo, lo, hi, how_of(m));
    else if (r.span->scan == SCAN_ALL)
        sift_words(&s, lo, hi, false, how_of(m));
    scan_end(&s);
}

static NOINLINE struct greytop give_some(struct marker *m, const struct grey *at)
{
    workstack_close(&m->stack, at);
    struct workbuf *b = workstack_split(&m->stack);
    if (b)
        workpool_give(b);
    return workstack_open(&m->stack);
}

/* Objects in flight: n of them, the newest before `at`. A local: nothing is in it between two calls. */
struct ring {
    struct grey objects[OBJECT_RING];
    unsigned at, n;
};

enum { LINE = 64, AHEAD = 512 };

/* The lines in which words are that the layout names; of an array, the first element's. */
static void prefetch_typed(struct grey g)
{
    const struct gc_layout *l = typed_layout(pagemark_of(grey_base(g))->scan);
    const char *p = (const char *)grey_base(g);
    for (unsigned i = 0; i < l->nahead; i++)
        __builtin_prefetch(p + l->ahead[i] * sizeof(uintptr_t));
}

/* Of more than two lines the first ones: the processor sees only then where this goes. */
static NOINLINE void prefetch_long(struct grey g)
{
    if (is_typed(g)) {
        prefetch_typed(g);
        return;
    }
    size_t n = grey_words(g) * sizeof(uintptr_t);
    const char *p = (const char *)grey_base(g);
    for (size_t at = 0; at < n && at < AHEAD; at += LINE)
        __builtin_prefetch(p + at);
    __builtin_prefetch(p + n - sizeof(uintptr_t));
}

/* All lines of a small object. */
static ALWAYS_INLINE void prefetch_grey(struct grey g, enum how how)
{
    size_t n = how & TYPED ? grey_bytes(g) : grey_words(g) * sizeof(uintptr_t);
    const char *p = (const char *)grey_base(g);
    if (n > 2 * LINE) {
        prefetch_long(g);
        return;
    }
    __builtin_prefetch(p);
    __builtin_prefetch(p + n - sizeof(uintptr_t));
}

/* The oldest object in flight; the place of the newest is its own where the ring is full. */
static NO_SANITIZE ALWAYS_INLINE bool take_grey(struct scan *s, struct ring *r, struct grey *g, enum how how)
{
    while (workstack_pop(&s->m->stack, &s->top, g)) {
        prefetch_grey(*g, how);
        struct grey *at = &r->objects[r->at++ % OBJECT_RING], oldest = *at;
        *at = *g;
        if (r->n == OBJECT_RING) {
            *g = oldest;
            return true;
        }
        r->n++;
    }
    if (r->n == 0)
        return false;
    *g = r->objects[(r->at - r->n--) % OBJECT_RING];
    return true;
}

static NO_SANITIZE ALWAYS_INLINE void drain(struct marker *m, enum how how)
{
    struct scan s = scan_begin(m);
    struct ring ring = {{{0}}, 0, 0};
    struct grey g;
    for (;;) {
        if (how & SHARED && unlikely(workpool_hungry()))
            s.top = give_some(m, s.top.at);
        if (take_grey(&s, &ring, &g, how))
            scan_grey(&s, g, how);
        else if (s.nwords > 0)
            mark_oldest_word(&s, how);
        else
            break;
    }
    scan_end(&s);
}

static NO_SANITIZE void drain_plain(struct marker *m) { drain(m, PLAIN); }
static NO_SANITIZE void drain_shared(struct marker *m) { drain(m, SHARED); }
static NO_SANITIZE void drain_typed(struct marker *m) { drain(m, TYPED); }
static NO_SANITIZE void drain_shared_typed(struct marker *m) { drain(m, SHARED | TYPED); }

/* One value noted, to be scanned. */
static bool take_value(struct marker *m)
{
    struct grey g;
    struct greytop values = workstack_open(&m->values), top = workstack_open(&m->stack);
    bool any = workstack_pop(&m->values, &values, &g);
    if (any && workstack_push(&m->stack, &top, g)) {
        m->counts.marked_bytes -= sizeof(uintptr_t);
        m->counts.scanned_bytes -= sizeof(uintptr_t);
    }
    workstack_close(&m->values, values.at);
    workstack_close(&m->stack, top.at);
    return any;
}

static NO_SANITIZE void drain_watched(struct marker *m)
{
    do
        drain(m, WATCHED | TYPED);
    while (take_value(m));
}

static void drain_any(struct marker *m)
{
    bool typed = typed_end() > SCAN_LAYOUT;
    if (m->watched)
        drain_watched(m);
    else if (m->shared)
        (typed ? drain_shared_typed : drain_shared)(m);
    else
        (typed ? drain_typed : drain_plain)(m);
}

/* The stack could not grow: some marked object was dropped unscanned. Scan every marked one of the span again. */
static NO_SANITIZE void rescan_span(struct mspan *span, void *arg)
{
    struct marker *m = arg;
    if (mspan_state_of(span) != MSPAN_INUSE || span->scan == SCAN_NONE)
        return;
    for (size_t i = bits_next(span->gcmark_bits, 0, span->nelems, true); i < span->nelems;
         i = bits_next(span->gcmark_bits, i + 1, span->nelems, true))
        if (bits_test(span->alloc_bits, i) && !mspan_slot_freed(span, i))
            mark_referents(m, (struct ref){span, i});
    drain_any(m);
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
    drain_any(m);
    CHECK(!m->stack.top && !m->values.top, "scan.tricolour");
    m->counts.overflowed |= m->stack.overflowed || m->values.overflowed;
    m->stack.overflowed = m->values.overflowed = false;
}
