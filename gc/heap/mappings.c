/* mappings.c - a table of ranges, a word each.
 * Owns:   the table, which is static: noting a mapping needs no memory and cannot fail.
 * Locks:  none: a word is claimed, changed and emptied by one compare and swap. Callers hold locks of any rank, or none.
 * Keeps:  .word   an entry is one word, so that no reader sees half of one, and no word is an address: the table lies in
 *                 static data, which is scanned
 *         .once   every mapped byte is in one entry, or counted as in none      (tests/unit/mappings.c, tests/api/figures.c)
 * Below:  os_mem.   Above: sysmem. */
#include "heap/mappings.h"

#include "base/check.h"
#include "os/os_mem.h"

#include <stdatomic.h>

/* From the top: the number of the first page, how many pages, whether it may be extended. 0 is an empty entry. Without
 * that bit a mapping that happens to lie above another would become one with it, and could not be taken out again.
 * There are some eighty a gigabyte of heap. */
enum { PAGES_BITS = 27, ENTRIES = 4096 };
static const uint64_t most_pages = (UINT64_C(1) << PAGES_BITS) - 1;

static _Atomic uint64_t table[ENTRIES];
static _Atomic uint64_t unlisted; /* bytes */

static uint64_t pack(uint64_t page, uint64_t pages, bool grows)
{
    CHECK(pages > 0 && pages <= most_pages && page < UINT64_C(1) << (63 - PAGES_BITS), "mappings.word");
    return (page << PAGES_BITS | pages) << 1 | grows;
}

static uint64_t page_of(uint64_t w) { return w >> (PAGES_BITS + 1); }
static uint64_t pages_of(uint64_t w) { return w >> 1 & most_pages; }
static uint64_t page_number(const void *p) { return (uintptr_t)p / os_page_size(); }

/* The first word that is `old` becomes `new`; false when none is. */
static bool change(uint64_t old, uint64_t new)
{
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t expected = old;
        if (atomic_load_explicit(&table[i], memory_order_relaxed) == old &&
            atomic_compare_exchange_strong_explicit(&table[i], &expected, new, memory_order_relaxed,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}

static void add(const void *p, size_t n, bool grows)
{
    if (!change(0, pack(page_number(p), n / os_page_size(), grows)))
        atomic_fetch_add_explicit(&unlisted, n, memory_order_relaxed);
}

void mappings_add(const void *p, size_t n) { add(p, n, false); }

void mappings_extend(const void *p, size_t n)
{
    uint64_t page = page_number(p), pages = n / os_page_size();
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t w = atomic_load_explicit(&table[i], memory_order_relaxed);
        if ((w & 1) && page_of(w) + pages_of(w) == page && pages_of(w) + pages <= most_pages &&
            change(w, pack(page_of(w), pages_of(w) + pages, true)))
            return;
    }
    add(p, n, true);
}

void mappings_remove(const void *p, size_t n)
{
    if (!change(pack(page_number(p), n / os_page_size(), false), 0)) {
        uint64_t old = atomic_fetch_sub_explicit(&unlisted, n, memory_order_relaxed);
        CHECK(old >= n, "mappings.once");
    }
}

uint64_t mappings_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t w = atomic_load_explicit(&table[i], memory_order_relaxed);
        uintptr_t lo = (uintptr_t)page_of(w) * os_page_size();
        if (w)
            fn(lo, lo + (uintptr_t)pages_of(w) * os_page_size(), arg);
    }
    return atomic_load_explicit(&unlisted, memory_order_relaxed);
}
