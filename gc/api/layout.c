/* layout.c - gc_layout_new, gc_layout_fields, and the allocation by a layout but for the fast path.
 * Owns:   nothing.
 * Locks:  LAYOUT, inside heap/layout.c and heap/typed.c.
 * Below:  layout, typed, slow, malloc.   Above: malloc.c, realloc.c, the program. */
#include "api/api.h"
#include "heap/typed.h"
#include "watch/guard.h"

#include <errno.h>
#include <string.h>

enum { WORD = sizeof(uintptr_t) };

_Static_assert(GC_SPAN_LAYOUT_MAX == LAYOUT_MAX_WORDS * WORD, "the largest element");

/* One past the last word that is named, or 0. */
static size_t last_named(const uint64_t *bits, size_t nwords)
{
    for (size_t w = nwords; w-- > 0;)
        if (bits[w])
            return w * WORD_BITS + WORD_BITS - (size_t)__builtin_clzll(bits[w]);
    return 0;
}

/* Of the array that elements of another size are in, the second has no word where a scan looks. */
static bool valid(size_t size, const uint64_t *bits)
{
    if (size == 0 || size > GC_SPAN_LAYOUT_MAX || !bits)
        return false;
    size_t last = last_named(bits, bits_words(layout_words(size)));
    return last == 0 || (size % WORD == 0 && last <= size / WORD);
}

/* In a region. What gc_malloc_typed needs is there before anybody has the layout. */
static struct gc_layout *new_in_region(size_t size, const uint64_t *bits)
{
    struct gc_layout *l = layout_new(size, bits);
    if (!l || l->scan != SCAN_LAYOUT || size > SMALL_MAX)
        return l;
    struct mcentral *c = typed_central(l, sizeclass_of(size));
    if (!c)
        return NULL;
    if (layout_single(l) == 0)
        __atomic_store_n(&l->single, c->scan, __ATOMIC_RELAXED);
    return l;
}

struct gc_layout *gc_layout_new(size_t size, const uint64_t *bitmap)
{
    if (!valid(size, bitmap)) {
        errno = EINVAL;
        return NULL;
    }
    int saved = errno;
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    struct gc_layout *l = new_in_region(size, bitmap);
    region_leave(&t->mcache);
    errno = l ? saved : ENOMEM;
    return l;
}

static bool set_field(uint64_t *bits, size_t size, const struct gc_layout_field *f)
{
    if (f->offset % WORD || f->bytes % WORD || f->bytes == 0 || f->offset > size || f->bytes > size - f->offset)
        return false;
    bits_set_range(bits, f->offset / WORD, (f->offset + f->bytes) / WORD);
    return true;
}

struct gc_layout *gc_layout_fields(size_t size, const struct gc_layout_field *fields, size_t n)
{
    uint64_t bits[LAYOUT_MAX_WORDS / WORD_BITS];
    bool good = size <= GC_SPAN_LAYOUT_MAX && (fields || n == 0);
    if (good)
        memset(bits, 0, bits_words(layout_words(size)) * sizeof *bits);
    for (size_t i = 0; good && i < n; i++)
        good = set_field(bits, size, &fields[i]);
    return gc_layout_new(size, good ? bits : NULL);
}

/* With check=1 an object is followed by a zone. */
static unsigned class_for(size_t bytes)
{
    size_t all = bytes > SMALL_MAX ? bytes : guard_size(bytes);
    return all > SMALL_MAX ? 0 : sizeclass_of(all);
}

static struct mcentral *central_for(struct gc_layout *l, size_t bytes)
{
    int saved = errno;
    struct thread *t = api_thread_for("gc_malloc_typed");
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    struct mcentral *c = typed_central(l, class_for(bytes));
    region_leave(&t->mcache);
    errno = saved;
    return c;
}

static void *out_of_memory(size_t bytes)
{
    int saved = errno;
    void *p = api_out_of_memory(bytes);
    errno = p ? saved : ENOMEM;
    return p;
}

void *api_alloc_typed(const struct gc_layout *l, size_t bytes)
{
    if (l->scan == SCAN_ALL || bytes == 0)
        return gc_malloc(bytes);
    if (l->scan == SCAN_NONE)
        return gc_calloc_noscan(1, bytes);
    const struct mcentral *c = central_for((struct gc_layout *)l, bytes);
    return c ? api_alloc_slow(bytes, (unsigned)c->scan << ALLOC_LAYOUT_SHIFT) : out_of_memory(bytes);
}

void *gc_calloc_typed(const struct gc_layout *layout, size_t n)
{
    size_t bytes;
    if (!layout) {
        errno = EINVAL;
        return NULL;
    }
    if (__builtin_mul_overflow(n, layout->size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return n == 1 ? gc_malloc_typed(layout) : api_alloc_typed(layout, bytes);
}
