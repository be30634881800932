/* typedcache.c - whom a thread's lines serve.
 * Owns:   the ways of every mcache.
 * Locks:  LAYOUT for what is taken one at a time; those of mcentral and below inside.
 * Keeps:  .shared  who gets one slot alone holds no span after it, and of such spans with room a mcentral makes no second
 *                  while it has one: many layouts of few objects cost a span each, however many threads there are (take_one)
 *         .line    see mcache.c
 * Below:  mcache, typed.   Above: api/slow.c.   See doc/design/layouts.md
 *
 * A program may have thousands of layouts, most of them with few objects. A span for each in every thread would be most of
 * its memory, so a thread gets a span of its own where a line is free, or where it came WARM times in a row without. */
#include "heap/typedcache.h"

#include "base/check.h"

enum { WARM = 8 };

/* The first free slot of a span that nobody else has. */
static void *take_slot(struct mspan *s, size_t size)
{
    s->alloc_count -= (int32_t)mspan_fold_free(s);
    size_t i = bits_next(s->alloc_bits, 0, s->nelems, false);
    CHECK(i < s->nelems, "mcentral.room");
    bits_set(s->alloc_bits, i);
    if (size == s->elemsize)
        __atomic_store_n(&s->exact, true, __ATOMIC_RELAXED);
    return (void *)mspan_slot(s, i);
}

/* Under one lock from taking the span to giving it back: another thread that comes meanwhile would find none, and make one. */
static void *take_one(struct mcache *c, struct mcentral *m, size_t size)
{
    struct span_batch b = {0};
    void *p = NULL;
    layout_lock();
    struct mspan *s = mcentral_cache_span(m, &b);
    if (s) {
        p = take_slot(s, size);
        if (sampler_take(&c->sampler, s->elemsize))
            mcache_set_fresh(c, (uintptr_t)p);
        mcentral_uncache_span(&b, s);
    }
    mcentral_return_batch(m, &b);
    layout_unlock();
    return p;
}

/* Whether the way's last visitor has come often enough. */
static bool is_warm(struct mcache_way *w, uint16_t scan)
{
    if (w->waits != scan) {
        w->waits = scan;
        w->times = 0;
    }
    return ++w->times >= WARM;
}

static unsigned free_line(const struct mcache_way *w)
{
    unsigned i = 0;
    while (i < MCACHE_WAY_LINES && w->scan[i])
        i++;
    return i;
}

/* A line for this mcentral, or 0. */
static unsigned admit(struct mcache *c, uint16_t scan)
{
    unsigned way = scan % MCACHE_WAYS;
    struct mcache_way *w = &c->ways[way];
    unsigned i = free_line(w);
    if (i == MCACHE_WAY_LINES) {
        if (!is_warm(w, scan))
            return 0;
        w->waits = 0;
        i = w->oldest++ % MCACHE_WAY_LINES;
    }
    unsigned nr = SPANCLASS_COUNT + way * MCACHE_WAY_LINES + i;
    mcache_empty_line(c, (uint8_t)nr);
    w->scan[i] = scan;
    return nr;
}

void *typedcache_alloc(struct mcache *c, struct mcentral *m, size_t size)
{
    unsigned nr = mcache_line(c, m->scan);
    if (!nr)
        nr = admit(c, m->scan);
    return nr ? mcache_alloc(c, (uint8_t)nr, size) : take_one(c, m, size);
}
