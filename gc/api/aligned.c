/* aligned.c - alignments above malloc's.
 * Owns:   nothing. Locks: none.
 * Below:  malloc, slow.   Above: the program.
 *
 * A span starts at a page, so an object is aligned to every power of two that divides its class's size: a class that
 * the alignment divides will do. Beyond a page the object gets a span of its own that starts where it must. */
#include "api/api.h"
#include "watch/guard.h"

#include <errno.h>

/* The least class size that holds `size` and is a multiple of align; 0 if there is none. */
static size_t aligned_class_size(size_t align, size_t size)
{
    if (align > HEAP_PAGE || size > SMALL_MAX)
        return 0;
    for (unsigned c = sizeclass_of(size); c < SIZECLASS_COUNT; c++)
        if (sizeclass_sizes[c] % align == 0)
            return sizeclass_sizes[c];
    return 0;
}

static void *alloc_aligned(size_t align, size_t size, unsigned flags)
{
    if (size == 0)
        size = 1;
    size_t least = (flags & ALLOC_NOSCAN) && size < TINY_SIZE ? TINY_SIZE : size;
    if (align <= sizeclass_alignment(size))
        return flags & ALLOC_NOSCAN ? gc_malloc_noscan(size) : gc_malloc(size);
    size_t bytes = aligned_class_size(align, guard_size(least));
    if (bytes)
        bytes -= guard_size(0); /* which the allocation adds */
    if (bytes)
        return flags & ALLOC_NOSCAN ? gc_malloc_noscan(bytes) : gc_malloc(bytes);
    unsigned pages_log2 = align > HEAP_PAGE ? (unsigned)__builtin_ctzll(align) - PAGE_SHIFT : 0;
    return api_alloc_slow(size > SMALL_MAX ? size : SMALL_MAX + 1, flags | pages_log2 << ALLOC_ALIGN_SHIFT);
}

static void *checked(size_t align, size_t size, unsigned flags)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(align, size, flags);
}

void *gc_aligned_alloc(size_t align, size_t size) { return checked(align, size, 0); }
void *gc_aligned_alloc_noscan(size_t align, size_t size) { return checked(align, size, ALLOC_NOSCAN); }

int gc_posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *p = alloc_aligned(align, size, 0);
    errno = saved;
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}
