/* layout.c - one record for each pair of an element's size and the words of it that may hold pointers.
 * Owns:   the records, and the table in which they are found again; none is ever given back.
 * Locks:  LAYOUT; takes PERSISTENT inside.
 * Keeps:  .one      two layouts differ in size or in bits                                  (layout_new)
 *         .plain    one with no pointer, or nothing else, is SCAN_NONE or SCAN_ALL: its objects are like any others
 *         .places   `at` names the bits that are set, and no others              (tests/unit/layout.c)
 * Below:  persistentalloc.   Above: typed, mark, api/layout.c.   See doc/design/layouts.md */
#include "heap/layout.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/persistentalloc.h"

#include <string.h>

enum { CHAINS = 1024, LINE_WORDS = 8 };

static struct lock lock = LOCK_INIT(RANK_LAYOUT);
static struct gc_layout **chains; /* made with the first; not in static memory, which is scanned */

void layout_lock(void) { lock_acquire(&lock); }
void layout_unlock(void) { lock_release(&lock); }
void layout_fork_acquire(void) { lock_acquire(&lock); }
void layout_fork_release(void) { lock_release(&lock); }

/* Multiplying by an odd constant mixes upwards only: what is high comes down again. */
static uint64_t hash_of(size_t size, const uint64_t *bits)
{
    uint64_t h = size;
    for (size_t w = 0; w < bits_words(layout_words(size)); w++) {
        h = (h ^ bits[w]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h;
}

static size_t bits_bytes(size_t size) { return bits_words(layout_words(size)) * sizeof(uint64_t); }

static struct gc_layout *find(uint64_t hash, size_t size, const uint64_t *bits)
{
    for (struct gc_layout *l = chains[hash % CHAINS]; l; l = l->next)
        if (l->hash == hash && l->size == size && memcmp(l->bits, bits, bits_bytes(size)) == 0)
            return l;
    return NULL;
}

static uint16_t scan_of(size_t size, size_t npointers)
{
    if (npointers == 0)
        return SCAN_NONE;
    return npointers == layout_words(size) ? SCAN_ALL : SCAN_LAYOUT;
}

static void list_places(struct gc_layout *l, uint16_t *at)
{
    size_t words = layout_words(l->size);
    l->at = at;
    for (size_t i = bits_next(l->bits, 0, words, true); i < words; i = bits_next(l->bits, i + 1, words, true)) {
        at[l->n++] = (uint16_t)i;
        if (l->nahead == 0 || (l->nahead < LAYOUT_AHEAD && i - l->ahead[l->nahead - 1] >= LINE_WORDS))
            l->ahead[l->nahead++] = (uint16_t)i;
    }
}

/* What the places take, which only SCAN_LAYOUT has. */
static size_t places_bytes(uint16_t scan, size_t n) { return scan == SCAN_LAYOUT ? n * sizeof(uint16_t) : 0; }

static struct gc_layout *make(uint64_t hash, size_t size, const uint64_t *bits)
{
    size_t n = bits_count(bits, bits_words(layout_words(size))), bytes = bits_bytes(size);
    uint16_t scan = scan_of(size, n);
    struct gc_layout *l =
        persistentalloc(sizeof *l + bytes + places_bytes(scan, n), _Alignof(struct gc_layout), SYS_OTHER);
    if (!l)
        return NULL;
    l->hash = hash;
    l->size = size;
    l->scan = scan;
    memcpy(l->bits, bits, bytes);
    if (scan == SCAN_LAYOUT)
        list_places(l, (uint16_t *)(void *)((char *)l->bits + bytes));
    l->next = chains[hash % CHAINS];
    chains[hash % CHAINS] = l;
    return l;
}

struct gc_layout *layout_new(size_t size, const uint64_t *bits)
{
    CHECK(size > 0 && layout_words(size) <= LAYOUT_MAX_WORDS, "layout.places");
    uint64_t hash = hash_of(size, bits);
    struct gc_layout *l = NULL;
    lock_acquire(&lock);
    if (!chains)
        chains = persistentalloc(CHAINS * sizeof(struct gc_layout *), _Alignof(struct gc_layout *), SYS_OTHER);
    if (chains && !(l = find(hash, size, bits)))
        l = make(hash, size, bits);
    lock_release(&lock);
    return l;
}
