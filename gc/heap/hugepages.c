/* hugepages.c - huge pages where they pay, and none where memory was given back.
 * Owns:   arena.huge, the number of borders.
 * Locks:  the page heap's, held by the caller.
 * Keeps:  .borders  neighbouring granules that differ are at most MAX_BORDERS: at each the kernel begins a new record of
 *                   the mapping, of which a process may have 65,530
 * Below:  arena, os_mem.   Above: pageheap, scavenge.   See doc/design/memory.md
 *
 * Huge pages save marking the page walks, and the first touch most of its cost. Not for the first granules, of which a
 * program with a small heap touches little, nor for large objects that are not scanned: nobody but the program touches
 * those, and perhaps not all of them. And not where a part of a granule was released: the kernel's own thread would
 * gather the rest into a huge page again, and the part be back in memory. */
#include "heap/hugepages.h"

#include "base/check.h"
#include "os/os_mem.h"

enum { SMALL_HEAP = (12 << 20) / GRANULE, MAX_BORDERS = 8192 };

static int32_t borders;

static bool is_huge(size_t granule) { return bits_test(arena.huge, granule); }

/* The table covers what is mapped; past its end there are no huge pages. */
static int borders_of(size_t granule)
{
    bool next = granule + 1 < arena_used() / GRANULE && is_huge(granule + 1);
    return (granule > 0 && is_huge(granule - 1) != is_huge(granule)) + (next != is_huge(granule));
}

static void change(size_t granule, bool huge)
{
    void *p = (void *)(arena.base + granule * GRANULE);
    if (is_huge(granule) == huge || (borders + 2 > MAX_BORDERS && huge))
        return;
    borders -= borders_of(granule);
    if (huge) {
        os_prefer_huge_pages(p, GRANULE);
        bits_set(arena.huge, granule);
    } else {
        os_avoid_huge_pages(p, GRANULE);
        bits_clear(arena.huge, granule);
    }
    borders += borders_of(granule);
}

void hugepages_prefer(size_t page, size_t npages, bool large_noscan)
{
    CHECK((page | npages) % GRANULE_PAGES == 0, "pagerun.granule");
    size_t first = page / GRANULE_PAGES, end = (page + npages) / GRANULE_PAGES;
    if (large_noscan)
        return;
    for (size_t g = first > SMALL_HEAP ? first : SMALL_HEAP; g < end; g++)
        change(g, true);
}

void hugepages_give_up(size_t page, size_t npages)
{
    size_t first = page / GRANULE_PAGES, last = (page + npages - 1) / GRANULE_PAGES;
    for (size_t g = first; g <= last; g++)
        if (g * GRANULE_PAGES < page || (g + 1) * GRANULE_PAGES > page + npages)
            change(g, false);
}
