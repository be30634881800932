/* gcbits.c - bitmaps of 1 to 16 words, recycled through one free list a length.
 * Owns:   the bitmaps that no span has.
 * Locks:  GCBITS; takes PERSISTENT inside.
 * Keeps:  .zero  a bitmap is all zeros when it is handed out
 * Below:  persistentalloc.   Above: mspan.
 *
 * Go takes mark bits anew from arenas that live for two cycles. A span here keeps two bitmaps for life and the sweep
 * exchanges them, which needs no arena, no epoch, and touches memory that is in the cache already. */
#include "heap/gcbits.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/persistentalloc.h"
#include "heap/sizeclass.h"

#include <string.h>

enum { MAX_WORDS = SIZECLASS_MAX_OBJECTS / WORD_BITS, BATCH_BYTES = 4096, LINE = 64 };

static struct lock lock = LOCK_INIT(RANK_GCBITS);
static uint64_t *free_list[MAX_WORDS + 1]; /* the first word of a free bitmap is the next one's address */

static void push(uint64_t *bits, size_t words)
{
    bits[0] = (uint64_t)(uintptr_t)free_list[words];
    free_list[words] = bits;
}

/* Aligned, so that the bitmaps of many small objects, which are written most, share no cache line between threads. */
static bool refill(size_t words)
{
    size_t n = BATCH_BYTES / (words * sizeof(uint64_t));
    uint64_t *batch = persistentalloc(n * words * sizeof(uint64_t), LINE, SYS_GC);
    if (!batch)
        return false;
    while (n-- > 0)
        push(batch + n * words, words);
    return true;
}

uint64_t *gcbits_alloc(size_t nbits)
{
    size_t words = bits_words(nbits);
    CHECK(words >= 1 && words <= MAX_WORDS, "gcbits.zero");
    uint64_t *bits = NULL;
    lock_acquire(&lock);
    if (free_list[words] || refill(words)) {
        bits = free_list[words];
        free_list[words] = (uint64_t *)(uintptr_t)bits[0];
        bits[0] = 0;
    }
    lock_release(&lock);
    for (size_t i = 0; bits && i < words; i++)
        CHECK_FULL(bits[i] == 0, "gcbits.zero");
    return bits;
}

void gcbits_free(uint64_t *bits, size_t nbits)
{
    size_t words = bits_words(nbits);
    memset(bits, 0, words * sizeof *bits);
    lock_acquire(&lock);
    push(bits, words);
    lock_release(&lock);
}

void gcbits_fork_acquire(void) { lock_acquire(&lock); }
void gcbits_fork_release(void) { lock_release(&lock); }
