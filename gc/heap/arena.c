/* arena.c - reserving the range, growing what is mapped of it, and its tables.
 * Owns:   struct arena and the tables' address space.
 * Locks:  the page heap's, held by the caller of arena_grow.
 * Keeps:  .tables  every page below `used` has mapped table entries  (arena_grow maps them first)
 *         .range   base is a multiple of GRANULE and used <= reserved <= max
 * Below:  sysmem, os_mem.   Above: pageheap, and every pointer test.
 *
 * The range asked for is Go's, 0x00c000000000: far from what a C program maps itself, and no such value is valid UTF-8.
 * When address space is limited the first reservation is a part of what is left, and arena_grow reserves more right
 * above it: the range stays one range, so the pointer test stays one compare. */
#include "heap/arena.h"

#include "base/check.h"
#include "heap/pagemark.h"
#include "heap/sysmem.h"
#include "os/os_mem.h"

static const uintptr_t hint = UINT64_C(0x00c000000000);

struct arena arena;

/* A table over pages: address space for all of it, memory from the front on as the heap grows. */
struct table {
    char *base;
    size_t mapped, max, step;
};
static struct table span_table = {.step = 64 * 1024}, mark_table = {.step = 64 * 1024};
static struct table run_table, special_table, dirty_table, released_table, huge_table;

static bool table_reserve(struct table *t, size_t bytes)
{
    if (t->step == 0)
        t->step = os_page_size();
    t->max = round_up(bytes, t->step);
    t->base = os_reserve(0, t->max, false);
    return t->base;
}

static bool table_map(struct table *t, size_t bytes)
{
    if (bytes <= t->mapped)
        return true;
    size_t n = round_up(bytes, t->step) - t->mapped;
    if (!sysmem_map(t->base + t->mapped, n, SYS_GC))
        return false;
    t->mapped += n;
    return true;
}

static bool tables_reserve(size_t max)
{
    size_t pages = max >> PAGE_SHIFT;
    if (!table_reserve(&span_table, pages * sizeof(struct mspan *)) ||
        !table_reserve(&mark_table, pages * sizeof(struct pagemark)) ||
        !table_reserve(&run_table, pages * sizeof(struct mspan *)) ||
        !table_reserve(&special_table, pages * sizeof(void *)) || !table_reserve(&dirty_table, pages / 8) ||
        !table_reserve(&released_table, pages / 8) || !table_reserve(&huge_table, pages / GRANULE_PAGES / 8 + 8))
        return false;
    arena.marks = (struct pagemark *)(void *)mark_table.base;
    arena.spans = (struct mspan **)(void *)span_table.base;
    arena.runs = (struct mspan **)(void *)run_table.base;
    arena.specials = (void **)(void *)special_table.base;
    arena.dirty = (uint64_t *)(void *)dirty_table.base;
    arena.released = (uint64_t *)(void *)released_table.base;
    arena.huge = (uint64_t *)(void *)huge_table.base;
    return true;
}

static bool tables_map(size_t used)
{
    size_t pages = used >> PAGE_SHIFT;
    return table_map(&span_table, pages * sizeof(struct mspan *)) &&
           table_map(&mark_table, pages * sizeof(struct pagemark)) &&
           table_map(&run_table, pages * sizeof(struct mspan *)) && table_map(&special_table, pages * sizeof(void *)) &&
           table_map(&dirty_table, round_up(pages, WORD_BITS) / 8) &&
           table_map(&released_table, round_up(pages, WORD_BITS) / 8) &&
           table_map(&huge_table, round_up(pages / GRANULE_PAGES, WORD_BITS) / 8);
}

static bool reserve_range(uint64_t want)
{
    for (size_t n = round_down(want, GRANULE); n >= ARENA_MIN; n = round_down(n / 2, GRANULE)) {
        char *p = os_reserve(hint, n, false);
        if (!p)
            continue;
        arena.base = round_up((uintptr_t)p, GRANULE);
        arena.reserved = round_down((uintptr_t)p + n - arena.base, GRANULE);
        return true;
    }
    return false;
}

bool arena_init(uint64_t want, uint64_t max)
{
    CHECK(HEAP_PAGE % os_page_size() == 0, "arena.range");
    if (!reserve_range(want))
        return false;
    uint64_t four = (uint64_t)arena.reserved * 4;
    arena.max = round_down(max < four ? max : four, GRANULE);
    if (arena.max < arena.reserved)
        arena.max = arena.reserved;
    return tables_reserve(arena.max);
}

/* Reserve more right above: as much again, or, where that is refused, just what is asked. */
static bool extend(size_t need)
{
    size_t room = arena.max - arena.reserved, n = arena.reserved < room ? arena.reserved : room;
    if (need > room)
        return false;
    for (n = n < need ? need : n;; n = need) {
        if (os_reserve(arena.base + arena.reserved, n, true)) {
            arena.reserved += n;
            return true;
        }
        if (n == need)
            return false;
    }
}

uintptr_t arena_grow(size_t bytes)
{
    size_t used = arena_used();
    CHECK(bytes > 0 && bytes % GRANULE == 0, "arena.range");
    if (bytes > arena.max - used)
        return 0;
    if (sysmem_frozen())
        return 0;
    if (used + bytes > arena.reserved && !extend(used + bytes - arena.reserved))
        return 0;
    if (!tables_map(used + bytes))
        return 0;
    uintptr_t p = arena.base + used;
    if (!sysmem_map((void *)p, bytes, SYS_HEAP))
        return 0;
    atomic_store_explicit(&arena.used, used + bytes, memory_order_release);
    return p;
}
