/* typed.c - numbering the mcentrals of layouts.
 * Owns:   their memory. They are never given back, as a number may be in a thread's cache or in a stale record.
 * Locks:  LAYOUT; takes PERSISTENT inside.
 * Keeps:  .one      a layout has at most one mcentral a size class                         (typed_central)
 *         .listed   one that is in its layout's list is complete, and below typed_end        (make)
 * Below:  layout, persistentalloc.   Above: mcentral, typedcache, mark, api/layout.c.   See doc/design/layouts.md */
#include "heap/typed.h"

#include "base/check.h"
#include "heap/persistentalloc.h"

struct mcentral *typed_chunks[TYPED_CHUNKS];

static _Atomic uint32_t end = SCAN_LAYOUT; /* written with the lock held */

uint32_t typed_end(void) { return atomic_load_explicit(&end, memory_order_acquire); }

/* Who reads without the lock may miss one that is being made. */
static struct mcentral *find(const struct gc_layout *l, unsigned sizeclass)
{
    struct mcentral *c = atomic_load_explicit(&l->centrals, memory_order_acquire);
    while (c && spanclass_sizeclass(c->spc) != sizeclass)
        c = c->next_of_layout;
    return c;
}

/* Lock held, here and below. */
static bool have_chunk(uint32_t number)
{
    struct mcentral **chunk = &typed_chunks[number / TYPED_CHUNK];
    if (*chunk)
        return true;
    struct mcentral *made = persistentalloc(TYPED_CHUNK * sizeof *made, _Alignof(struct mcentral), SYS_OTHER);
    __atomic_store_n(chunk, made, __ATOMIC_RELEASE);
    return made;
}

static struct mcentral *make(struct gc_layout *l, unsigned sizeclass)
{
    uint32_t number = atomic_load_explicit(&end, memory_order_relaxed);
    if (number > UINT16_MAX || !have_chunk(number))
        return NULL;
    struct mcentral *c = typed_at((uint16_t)number);
    mcentral_start(c, spanclass_make(sizeclass, false), false);
    c->scan = (uint16_t)number;
    c->layout = l;
    c->next_of_layout = atomic_load_explicit(&l->centrals, memory_order_relaxed);
    atomic_store_explicit(&end, number + 1, memory_order_release);
    atomic_store_explicit(&l->centrals, c, memory_order_release);
    return c;
}

struct mcentral *typed_central(struct gc_layout *l, unsigned sizeclass)
{
    CHECK(l->scan == SCAN_LAYOUT, "layout.plain");
    struct mcentral *c = find(l, sizeclass);
    if (c)
        return c;
    layout_lock();
    c = find(l, sizeclass);
    if (!c)
        c = make(l, sizeclass);
    layout_unlock();
    return c;
}
