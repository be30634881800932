/* pinned.c - one mcache that all threads share, over mcentrals of pinned spans.
 * Owns:   that cache.
 * Locks:  PINNED; takes those of mcentral and below inside.
 * Keeps:  .apart  a pinned span holds pinned objects only: marking takes every slot of it as a root  (rootjobs)
 * Below:  mcache, persistentalloc.   Above: api/uncollectable.c. */
#include "heap/pinned.h"

#include "heap/persistentalloc.h"

static struct lock lock = LOCK_INIT(RANK_PINNED);
static struct mcache *cache; /* not in static memory, which is scanned */

static bool make_cache(void)
{
    if (!cache && (cache = persistentalloc(sizeof *cache, _Alignof(struct mcache), SYS_MCACHE)))
        cache->pinned = true;
    return cache;
}

void *pinned_alloc(spanclass spc, size_t size, bool *chosen)
{
    void *p = NULL;
    lock_acquire(&lock);
    if (make_cache() && (p = mcache_alloc(cache, spc, size))) {
        *chosen = mcache_fresh(cache);
        mcache_set_fresh(cache, 0);
    }
    lock_release(&lock);
    return p;
}

void pinned_flush(void)
{
    if (cache)
        mcache_flush(cache);
}

void pinned_fork_acquire(void) { lock_acquire(&lock); }
void pinned_fork_release(void) { lock_release(&lock); }
