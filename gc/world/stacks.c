/* stacks.c - the table of coroutine stacks.
 * Owns:   the records, in blocks that are never given back; a treap of them by address.
 * Locks:  STACKS; the collector has the world stopped instead.
 * Keeps:  .apart    the stacks in the tree do not overlap                                       (stacks_add)
 *         .running  whether a thread runs on a stack is told by its SP at the stop, not by what it said before, so a
 *                   stop at any moment of a switch finds both stacks right                      (stacks_note_sp)
 *         .lowest   what is read of a stack begins at the lowest SP that can be on it           (begin_of)
 * Below:  sysmem, os.   Above: stackpool, thread, rootjobs, api.   See doc/design/coroutines.md
 *
 * The tree is used when a stack comes or goes, and once for each stopped thread; the walk over all stacks goes along
 * the blocks, which is memory in sequence. */
#include "world/stacks.h"

#include "base/check.h"
#include "heap/sysmem.h"
#include "os/os.h"
#include "os/os_mem.h"

#include <errno.h>
#include <string.h>

enum { FIRST_BLOCK = 128, MAX_BLOCKS = 32 }; /* records; each block has twice as many as the one before */

struct lock stacks_lock = LOCK_INIT(RANK_STACKS);

static struct {
    struct stack *at;
    size_t used, n;
} blocks[MAX_BLOCKS];
static size_t nblocks;
static struct stack *free_records;
static struct stack *root;
static uint32_t stop_number; /* world lock */

/* ---- records ---- */

static bool add_block(void)
{
    if (nblocks == MAX_BLOCKS)
        return false;
    size_t n = (size_t)FIRST_BLOCK << nblocks, bytes = round_up(n * sizeof(struct stack), os_page_size());
    struct stack *at = sysmem_alloc(bytes, SYS_OTHER);
    if (!at)
        return false;
    blocks[nblocks].at = at;
    blocks[nblocks++].n = bytes / sizeof(struct stack);
    return true;
}

static struct stack *record_new(void)
{
    struct stack *s = free_records;
    if (s) {
        free_records = s->next;
        return s;
    }
    if ((nblocks == 0 || blocks[nblocks - 1].used == blocks[nblocks - 1].n) && !add_block())
        return NULL;
    return &blocks[nblocks - 1].at[blocks[nblocks - 1].used++];
}

struct stack *stacks_of(const struct gc_stack *handle)
{
    for (size_t i = 0; i < nblocks; i++) {
        uintptr_t off = (uintptr_t)handle - (uintptr_t)blocks[i].at;
        if (off < blocks[i].used * sizeof(struct stack))
            return off % sizeof(struct stack) == 0 ? &blocks[i].at[off / sizeof(struct stack)] : NULL;
    }
    return NULL;
}

/* ---- the tree ---- */

/* A treap's priorities are to be random; a hash of the address is, and needs no room. */
static uint64_t priority(const struct stack *s)
{
    uint64_t x = s->lo;
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

/* The stack with the highest start not above p. */
static struct stack *floor_of(uintptr_t p)
{
    struct stack *best = NULL;
    for (struct stack *s = root; s;) {
        if (s->lo <= p)
            best = s;
        s = s->lo <= p ? s->right : s->left;
    }
    return best;
}

/* SP may stand at the end of an empty stack. */
struct stack *stacks_around(uintptr_t p)
{
    struct stack *s = floor_of(p);
    return s && p <= s->hi ? s : NULL;
}

static void tree_insert(struct stack *s)
{
    struct stack **at = &root, **l = &s->left, **r = &s->right;
    uint64_t p = priority(s);
    while (*at && priority(*at) >= p)
        at = s->lo < (*at)->lo ? &(*at)->left : &(*at)->right;
    struct stack *t = *at;
    *at = s;
    while (t) {
        if (t->lo < s->lo) {
            *l = t;
            l = &t->right;
            t = *l;
        } else {
            *r = t;
            r = &t->left;
            t = *r;
        }
    }
    *l = *r = NULL;
}

static void tree_remove(struct stack *s)
{
    struct stack **at = &root, *a = s->left, *b = s->right;
    while (*at != s)
        at = s->lo < (*at)->lo ? &(*at)->left : &(*at)->right;
    while (a && b) {
        if (priority(a) > priority(b)) {
            *at = a;
            at = &a->right;
            a = *at;
        } else {
            *at = b;
            at = &b->left;
            b = *at;
        }
    }
    *at = a ? a : b;
}

static bool overlaps(uintptr_t lo, uintptr_t hi)
{
    const struct stack *s = floor_of(hi - 1);
    return s && s->hi > lo;
}

void stacks_reset(struct stack *s, enum stack_kind kind)
{
    s->pub = (struct gc_stack){NULL, (void *)s->lo, (void *)s->hi};
    s->regs_lo = s->regs_hi = 0;
    s->context = NULL;
    s->kind = (uint8_t)kind;
}

struct stack *stacks_add(uintptr_t lo, uintptr_t hi, enum stack_kind kind, int *error)
{
    CHECK(lo < hi && lock_held(RANK_STACKS), "stacks.apart");
    *error = EINVAL;
    if (kind != STACK_OWN && overlaps(lo, hi))
        return NULL;
    *error = ENOMEM;
    struct stack *s = record_new();
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->lo = lo;
    s->hi = hi;
    stacks_reset(s, kind);
    if (kind != STACK_OWN)
        tree_insert(s);
    return s;
}

void stacks_remove(struct stack *s)
{
    CHECK(s->kind != STACK_NONE && lock_held(RANK_STACKS), "stacks.apart");
    if (s->kind != STACK_OWN)
        tree_remove(s);
    stacks_reset(s, STACK_NONE);
    s->next = free_records;
    free_records = s;
}

/* ---- a collection ---- */

void stacks_begin_notes(void) { stop_number++; }

static bool is_noted(const struct stack *s) { return s->noted == stop_number; }

static void note(struct stack *s, uintptr_t from, bool doubtful)
{
    uintptr_t low = from < s->lo ? s->lo : from;
    s->doubtful = is_noted(s) ? s->doubtful && doubtful : doubtful;
    s->low = is_noted(s) && s->low < low ? s->low : low;
    s->noted = stop_number;
}

/* Where one stack ends and another begins, SP may be that of the lower one, empty, or of the upper one, full. */
static void note_lower_neighbour(const struct stack *s, uintptr_t sp, uintptr_t from)
{
    struct stack *below = sp == s->lo ? floor_of(sp - 1) : NULL;
    if (below && below->hi == sp && below->kind != STACK_IDLE)
        note(below, from, true);
}

bool stacks_note_sp(uintptr_t sp, uintptr_t from)
{
    struct stack *s = stacks_around(sp);
    if (!s || (s->kind == STACK_IDLE && sp == s->hi))
        return false;
    if (s->kind == STACK_IDLE)
        report_fatal("a thread runs on the stack %#lx-%#lx, which gc_stack_free was given; aborting",
                     (unsigned long)s->lo, (unsigned long)s->hi);
    note_lower_neighbour(s, sp, from);
    note(s, from, false);
    return true;
}

void stacks_note_own(struct stack *own, uintptr_t from) { note(own, from, false); }

NO_SANITIZE void stacks_note_words(struct stack *own, uintptr_t lo, uintptr_t hi)
{
    for (uintptr_t at = round_up(lo, sizeof at); at + sizeof at <= hi; at += sizeof at) {
        uintptr_t word = *(const volatile uintptr_t *)at, from = word - OS_RED_ZONE;
        struct stack *s = stacks_around(word);
        if (s && s->kind != STACK_IDLE)
            note(s, from, true);
        if (own && word >= own->lo && word < own->hi)
            note(own, from, true);
    }
}

/* Where a suspended stack's use begins; hi: nothing on it is in use; 0: not known. A thread's own stack is never
 * empty: its thread-local variables lie there. */
static uintptr_t saved_sp(const struct stack *s)
{
    uintptr_t sp = (uintptr_t) * (void *const volatile *)&s->pub.sp;
    if (sp == s->hi)
        return s->kind == STACK_OWN ? 0 : sp;
    if (s->context)
        sp = os_saved_sp(s->context);
    return sp >= s->lo && sp <= s->hi ? sp : 0;
}

/* The lowest SP that can be on the stack, or 0 when that is not known. */
static uintptr_t begin_of(const struct stack *s, bool all_in_doubt)
{
    if (is_noted(s) && !s->doubtful)
        return s->low;
    uintptr_t sp = all_in_doubt ? 0 : saved_sp(s);
    return is_noted(s) && s->low < sp ? s->low : sp;
}

/* The registers are read also while the stack runs: a switch loads them after it has changed SP. */
static void use_of(const struct stack *s, bool all_in_doubt, struct stack_use *use)
{
    uintptr_t begin = begin_of(s, all_in_doubt);
    bool finished = begin == s->hi && !is_noted(s);
    *use = (struct stack_use){.lo = begin ? begin : s->lo, .hi = s->hi, .untouched = begin == 0};
    use->ref = &s->regs_lo;
    if (finished)
        return;
    use->regs_lo = s->regs_lo;
    use->regs_hi = s->regs_hi;
}

void stacks_each_use(bool all_in_doubt, void (*fn)(const struct stack_use *use, void *arg), void *arg)
{
    struct stack_use use;
    for (size_t b = 0; b < nblocks; b++) {
        for (size_t i = 0; i < blocks[b].used; i++) {
            const struct stack *s = &blocks[b].at[i];
            if (s->kind == STACK_NONE || s->kind == STACK_IDLE)
                continue;
            use_of(s, all_in_doubt, &use);
            fn(&use, arg);
        }
    }
}

void stacks_fork_acquire(void) { lock_acquire(&stacks_lock); }
void stacks_fork_release(void) { lock_release(&stacks_lock); }
