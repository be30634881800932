/* pagemark.c - describing the pages of spans for the marker.
 * Owns:   the entries, memory of the arena's table.
 * Locks:  the page heap's, held by the caller.
 * Keeps:  .same   an entry says of the page what its span does       (pagemark_check)
 *         .none   a page in no span in use has nelems 0, so that no word refers to anything there
 * Below:  arena.   Above: pageheap, mark/. */
#include "heap/pagemark.h"

#include "base/check.h"

static uint16_t grey_of(const struct mspan *s)
{
    if (s->scan == SCAN_NONE)
        return GREY_NONE;
    if (mspan_is_large(s))
        return GREY_IN_PIECES;
    return (uint16_t)(s->elemsize / sizeof(uintptr_t) | (s->scan >= SCAN_LAYOUT ? GREY_TYPED : 0u));
}

void pagemark_set(const struct mspan *s)
{
    struct pagemark m = {.base = s->base,
                         .bits = s->gcmark_bits,
                         .elemsize = s->elemsize & (((uint64_t)1 << 48) - 1),
                         .scan = s->scan,
                         .divmul = s->divmul,
                         .nelems = s->nelems,
                         .grey = grey_of(s)};
    for (size_t i = 0, page = arena_page(s->base); i < s->npages; i++)
        arena.marks[page + i] = m;
}

void pagemark_clear(const struct mspan *s)
{
    for (size_t i = 0, page = arena_page(s->base); i < s->npages; i++)
        arena.marks[page + i].nelems = 0;
}

void pagemark_check(const struct mspan *s)
{
    for (size_t i = 0, page = arena_page(s->base); i < s->npages; i++) {
        const struct pagemark *m = &arena.marks[page + i];
        CHECK_ALWAYS(m->base == s->base && m->bits == s->gcmark_bits && m->elemsize == s->elemsize &&
                         m->scan == s->scan && m->divmul == s->divmul && m->nelems == s->nelems &&
                         m->grey == grey_of(s),
                     "pagemark.same");
    }
}
