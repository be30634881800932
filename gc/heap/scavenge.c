/* scavenge.c - which free pages to release.
 * Owns:   how they are released, and whether the OS refused.
 * Locks:  the page heap's, held by the caller.
 * Keeps:  .released  a released page has its bit in arena.released set; it is not dirty unless the OS only may take it
 * Below:  pagerun, hugepages, os_mem.   Above: pageheap.   See doc/design/memory.md */
#include "heap/scavenge.h"

#include "heap/hugepages.h"
#include "heap/pagerun.h"
#include "os/os_mem.h"

static bool lazy;
static bool refused; /* memory that is locked, for one, cannot be released: not to be tried again and again */

void scavenge_lazily(bool lazily) { lazy = lazily; }

static bool release(size_t lo, size_t hi)
{
    void *p = (void *)arena_address(lo);
    size_t n = (hi - lo) << PAGE_SHIFT;
    hugepages_give_up(lo, hi - lo);
    if (!(lazy && os_release_lazily(p, n))) {
        if (!os_release(p, n))
            return false;
        bits_clear_range(arena.dirty, lo, hi);
    }
    bits_set_range(arena.released, lo, hi);
    return true;
}

/* At most `most` pages, but whole granules where the run has them: each is one huge page. */
static size_t release_run(struct mspan *s, size_t most)
{
    size_t page = arena_page(s->base), end = page + s->npages, n = 0;
    for (size_t lo = page; lo < end && n < most;) {
        lo = bits_next(arena.released, lo, end, false);
        size_t hi = bits_next(arena.released, lo, end, true);
        if (hi - lo > most - n)
            hi = round_up(lo + (most - n), GRANULE_PAGES) < hi ? round_up(lo + (most - n), GRANULE_PAGES) : hi;
        if (lo < hi && !release(lo, hi)) {
            refused = true;
            break;
        }
        n += hi - lo;
        lo = hi;
    }
    s->released_pages += (uint32_t)n;
    return n;
}

static bool has_memory(const struct mspan *s) { return s->released_pages < s->npages; }

struct scan {
    uint64_t before;
    size_t most, done;
};

static bool release_old(struct mspan *s, void *arg)
{
    struct scan *scan = arg;
    if (has_memory(s) && s->unused_since <= scan->before)
        scan->done += release_run(s, scan->most - scan->done);
    return scan->done < scan->most && !refused;
}

size_t scavenge_runs(uint64_t before, size_t most)
{
    struct scan scan = {before, most, 0};
    refused = false;
    pagerun_each(release_old, &scan);
    return scan.done;
}

static bool older(struct mspan *s, void *arg)
{
    uint64_t *oldest = arg;
    if (has_memory(s) && s->unused_since < *oldest)
        *oldest = s->unused_since;
    return true;
}

uint64_t scavenge_oldest(void)
{
    uint64_t oldest = UINT64_MAX;
    if (!refused)
        pagerun_each(older, &oldest);
    return oldest;
}
