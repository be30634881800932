/* thrown.c - a hash table of exception objects, by address.
 * Owns:   the table, in memory of the library.
 * Locks:  THROWN; readers have the world stopped instead.
 * Keeps:  .probe  from an entry's own place on to where it is, no place is empty; so a search ends at the first empty
 *                 one                                                                       (thrown_remove)
 * Below:  sysmem.   Above: mark/rootjobs.c, api/exception.c. */
#include "world/thrown.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/sysmem.h"
#include "os/os_mem.h"

struct entry {
    uintptr_t lo, hi; /* lo 0: empty */
};

static struct lock lock = LOCK_INIT(RANK_THROWN);
static struct {
    struct entry *at;
    size_t n, size; /* used; places, a power of two */
} table;

static size_t home(uintptr_t lo) { return (size_t)((lo >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (table.size - 1); }
static size_t after(size_t i) { return (i + 1) & (table.size - 1); }

static size_t find(uintptr_t lo)
{
    size_t i = home(lo);
    while (table.at[i].lo && table.at[i].lo != lo)
        i = after(i);
    return i;
}

static bool grow(void)
{
    struct entry *old = table.at;
    size_t size = table.size, more = size ? size * 2 : os_page_size() / sizeof *old;
    struct entry *at = sysmem_alloc(more * sizeof *at, SYS_OTHER);
    if (!at)
        return false;
    table.at = at;
    table.size = more;
    for (size_t i = 0; i < size; i++)
        if (old[i].lo)
            table.at[find(old[i].lo)] = old[i];
    if (size)
        sysmem_free(old, size * sizeof *old, SYS_OTHER);
    return true;
}

/* One place stays empty, for searches to end at. */
static bool make_room(void)
{
    if (table.n < table.size / 2)
        return true;
    return grow() || table.n + 1 < table.size;
}

bool thrown_add(uintptr_t lo, uintptr_t hi)
{
    lock_acquire(&lock);
    bool ok = make_room();
    if (ok) {
        size_t i = find(lo);
        table.n += !table.at[i].lo;
        table.at[i] = (struct entry){lo, hi};
    }
    lock_release(&lock);
    return ok;
}

/* The entries behind the one removed move up, if their own place is not behind the gap. */
static void close_gap(size_t gap)
{
    for (size_t i = after(gap); table.at[i].lo; i = after(i)) {
        size_t distance = (i - home(table.at[i].lo)) & (table.size - 1);
        if (distance >= ((i - gap) & (table.size - 1))) {
            table.at[gap] = table.at[i];
            gap = i;
        }
    }
    table.at[gap] = (struct entry){0, 0};
}

void thrown_remove(uintptr_t lo)
{
    lock_acquire(&lock);
    size_t i = table.size ? find(lo) : 0;
    if (table.size && table.at[i].lo) {
        close_gap(i);
        table.n--;
        CHECK_FULL(table.at[find(lo)].lo == 0, "thrown.probe");
    }
    lock_release(&lock);
}

void thrown_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    for (size_t i = 0; i < table.size && table.n > 0; i++)
        if (table.at[i].lo)
            fn(table.at[i].lo, table.at[i].hi, arg);
}

void thrown_fork_acquire(void) { lock_acquire(&lock); }
void thrown_fork_release(void) { lock_release(&lock); }
