/* buckets.c - the table: a fixed number of chains, each bucket made once and never freed.
 * Owns:   the buckets and their counts.
 * Locks:  BUCKETS; takes PERSISTENT inside.
 * Keeps:  .mark   what was counted since the last mark ended is pending, all before it is known     (settle)
 *         .live   of what is known no more was freed and collected than allocated                    (buckets_read)
 * Below:  persistentalloc, sweep (the number of the last mark).   Above: mprof, the writers.
 *
 * Go walks all buckets at the end of each mark. Here a bucket is settled when it is next looked at, so that a stop does
 * not take longer for a program that allocates in many places. */
#include "watch/buckets.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/fixalloc.h"
#include "heap/persistentalloc.h"
#include "heap/sweep.h"
#include "world/region.h"

#include <stdlib.h>
#include <string.h>

enum { CHAINS = 1 << 12 }; /* 32 KiB */

static struct lock lock = LOCK_INIT(RANK_BUCKETS);
static struct bucket **chains, *newest;
static struct fixalloc records; /* of struct sample */
static _Atomic size_t count;

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
    return h ^ h >> 32;
}

static uint64_t hash_of(const uintptr_t *stack, size_t depth, uint64_t object_bytes, uint64_t rate)
{
    uint64_t h = mix(object_bytes, rate);
    for (size_t i = 0; i < depth; i++)
        h = mix(h, stack[i]);
    return h;
}

static bool same(const struct bucket *b, const struct bucket *key, const uintptr_t *stack)
{
    return b->hash == key->hash && b->object_bytes == key->object_bytes && b->rate == key->rate &&
           b->depth == key->depth && (b->depth == 0 || memcmp(b->stack, stack, b->depth * sizeof *stack) == 0);
}

/* Lock held. */
static struct bucket *make(struct bucket **chain, const struct bucket *key, const uintptr_t *stack)
{
    size_t n = key->depth * sizeof *stack;
    struct bucket *b = persistentalloc(sizeof *b + n, _Alignof(struct bucket), SYS_BUCKHASH);
    if (!b)
        return NULL;
    *b = *key;
    if (n > 0)
        memcpy(b->stack, stack, n);
    b->next = *chain;
    *chain = b;
    b->older = newest;
    newest = b;
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return b;
}

/* Lock held. */
static struct bucket *find_or_make(const struct bucket *key, const uintptr_t *stack)
{
    if (!chains && !(chains = persistentalloc(CHAINS * sizeof *chains, _Alignof(struct bucket *), SYS_BUCKHASH)))
        return NULL;
    struct bucket **chain = &chains[key->hash % CHAINS], *b = *chain;
    while (b && !same(b, key, stack))
        b = b->next;
    return b ? b : make(chain, key, stack);
}

/* Lock held. */
static struct sample *take_record(void)
{
    if (records.size == 0)
        fixalloc_init(&records, sizeof(struct sample), _Alignof(struct sample), SYS_BUCKHASH);
    return fixalloc_alloc(&records);
}

/* Lock held. */
static void settle(struct bucket *b)
{
    uint32_t now = sweepgen_now();
    if (b->pending_since == now)
        return;
    b->known.allocs += b->pending.allocs;
    b->known.freed += b->pending.freed;
    b->pending = (struct bucket_counts){0};
    b->pending_since = now;
}

struct sample *buckets_alloc(const uintptr_t *stack, size_t depth, uint64_t object_bytes, uint64_t rate)
{
    struct bucket key = {.hash = hash_of(stack, depth, object_bytes, rate),
                         .object_bytes = object_bytes,
                         .rate = rate,
                         .depth = (uint32_t)depth,
                         .pending_since = sweepgen_now()};
    lock_acquire(&lock);
    struct bucket *b = find_or_make(&key, stack);
    struct sample *s = b ? take_record() : NULL;
    if (s) {
        *s = (struct sample){.special = {.kind = SPECIAL_SAMPLE}, .bucket = b};
        settle(b);
        b->pending.allocs++;
    }
    lock_release(&lock);
    return s;
}

/* A sweep follows a mark that the object was allocated before, so its death is known with that mark. */
static void count_end(struct bucket *b, enum special_end why)
{
    settle(b);
    if (why == SPECIAL_SWEPT)
        b->known.collected++;
    else
        b->pending.freed++;
}

void buckets_count_end(struct sample *s, enum special_end why)
{
    lock_acquire(&lock);
    count_end(s->bucket, why);
    lock_release(&lock);
}

void buckets_end(struct sample *s, enum special_end why)
{
    lock_acquire(&lock);
    if (s->state == SAMPLE_LIVE)
        count_end(s->bucket, why);
    fixalloc_free(&records, s);
    lock_release(&lock);
}

void buckets_take_back(struct sample *s)
{
    lock_acquire(&lock);
    settle(s->bucket);
    s->bucket->pending.allocs--;
    fixalloc_free(&records, s);
    lock_release(&lock);
}

/* Before the first mark there is nothing to go by, and all that is counted is shown. */
static struct bucket_counts counts_of(struct bucket *b)
{
    struct bucket_counts c;
    settle(b);
    c = b->known;
    if (sweepgen_now() == SWEEPGEN_FIRST) {
        c.allocs += b->pending.allocs;
        c.freed += b->pending.freed;
    }
    CHECK(c.freed + c.collected <= c.allocs, "buckets.live");
    return c;
}

struct bucket_figures *buckets_read(struct mcache *c, size_t *n)
{
    size_t room = atomic_load_explicit(&count, memory_order_relaxed) + 64;
    struct bucket_figures *f = malloc(room * sizeof *f);
    *n = 0;
    if (!f)
        return NULL;
    region_enter(c);
    lock_acquire(&lock);
    for (struct bucket *b = newest; b && *n < room; b = b->older) {
        struct bucket_counts counts = counts_of(b);
        if (counts.allocs)
            f[(*n)++] = (struct bucket_figures){b, counts};
    }
    lock_release(&lock);
    region_leave(c);
    return f;
}

void buckets_fork_acquire(void) { lock_acquire(&lock); }
void buckets_fork_release(void) { lock_release(&lock); }
