/* persistentalloc.c - a bump pointer through chunks.
 * Owns:   the current chunk. What is left of one when the next is begun is lost, and stays counted as SYS_OTHER.
 * Locks:  PERSISTENT, a leaf.
 * Keeps:  .bump  off <= PERSISTENT_CHUNK; what lies above it is still zero
 * Below:  sysmem.   Above: fixalloc, gcbits, tables that only grow.
 *
 * Go keeps a chunk per M beside the global one, to spare the lock; here callers take whole chunks for their own free
 * lists (fixalloc, gcbits), so the lock is taken once per 16 KiB and a second level would buy nothing. */
#include "heap/persistentalloc.h"

#include "base/check.h"
#include "base/lock.h"
#include "os/os_mem.h"

static struct lock lock = LOCK_INIT(RANK_PERSISTENT);
static char *chunk;
static size_t off;

static void *alloc_direct(size_t n, enum sys_kind kind) { return sysmem_alloc(round_up(n, os_page_size()), kind); }

static void *bump(size_t n, size_t align)
{
    size_t at = round_up(off, align);
    if (!chunk || at + n > PERSISTENT_CHUNK) {
        char *fresh = sysmem_alloc(PERSISTENT_CHUNK, SYS_OTHER);
        if (!fresh)
            return NULL;
        chunk = fresh;
        at = 0;
    }
    off = at + n;
    CHECK(off <= PERSISTENT_CHUNK, "persistentalloc.bump");
    return chunk + at;
}

void *persistentalloc(size_t n, size_t align, enum sys_kind kind)
{
    CHECK(n > 0 && is_power_of_two(align) && align <= os_page_size(), "persistentalloc.bump");
    if (n >= PERSISTENT_DIRECT)
        return alloc_direct(n, kind);
    lock_acquire(&lock);
    void *p = bump(n, align);
    if (p)
        sysmem_move(n, SYS_OTHER, kind);
    lock_release(&lock);
    return p;
}

void persistentalloc_fork_acquire(void) { lock_acquire(&lock); }
void persistentalloc_fork_release(void) { lock_release(&lock); }
