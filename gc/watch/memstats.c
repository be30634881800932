/* memstats.c - adding up.
 * Owns:   nothing.
 * Locks:  CYCLE, and WORLD while stopped; those of the heap one at a time inside.
 * Keeps:  .sum      the *_sys fields sum to sys; heap_inuse + heap_idle == heap_sys       (memstats_read)
 *         .objects  mallocs - frees == heap_objects, and so by size
 * Below:  heap, world, cycle.   Above: api.
 *
 * Nothing is counted on the allocation path: a span knows how many of its slots were handed out when it leaves a
 * cache, and the sweep how many came free. So the caches are emptied first. */
#include "watch/memstats.h"

#include "base/check.h"
#include "cycle/cycle.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "heap/pinned.h"
#include "heap/sysmem.h"
#include "os/os.h"
#include "world/mask.h"
#include "world/stackpool.h"
#include "world/stop.h"

#include <string.h>

_Static_assert(sizeof((struct gc_memstats *)0)->by_size / sizeof(struct gc_by_size) > SIZECLASS_COUNT,
               "by_size has room for every class");

static void read_sys(struct gc_memstats *st, const struct pageheap_stats *ph)
{
    st->heap_sys = sysmem_bytes(SYS_HEAP);
    st->stack_inuse = stackpool_inuse();
    st->stack_sys = sysmem_bytes(SYS_STACK);
    st->mspan_sys = sysmem_bytes(SYS_MSPAN);
    st->mcache_sys = sysmem_bytes(SYS_MCACHE);
    st->buckhash_sys = sysmem_bytes(SYS_BUCKHASH);
    st->gc_sys = sysmem_bytes(SYS_GC);
    st->other_sys = sysmem_bytes(SYS_OTHER);
    st->sys = sysmem_total();
    st->heap_inuse = ph->inuse;
    st->heap_idle = st->heap_sys - ph->inuse;
    st->heap_released = ph->released;
    st->mspan_inuse = ph->span_records;
    st->mcache_inuse = thread_record_bytes();
}

static void add_class(struct gc_memstats *st, unsigned sizeclass, uint64_t size, uint64_t mallocs, uint64_t frees)
{
    st->by_size[sizeclass].mallocs += mallocs;
    st->by_size[sizeclass].frees += frees;
    st->mallocs += mallocs;
    st->frees += frees;
    st->total_alloc += mallocs * size;
    st->alloc += (mallocs - frees) * size;
}

static void add_typed(spanclass spc, uint64_t mallocs, uint64_t frees, void *st)
{
    if (spanclass_sizeclass(spc) > 0) /* large ones are counted by their pages */
        add_class(st, spanclass_sizeclass(spc), spanclass_size(spc), mallocs, frees);
}

static void read_objects(struct gc_memstats *st, const struct pageheap_stats *ph)
{
    for (unsigned c = 1; c < SIZECLASS_COUNT; c++)
        st->by_size[c].size = sizeclass_sizes[c];
    for (unsigned spc = SPANCLASS_LARGE_NOSCAN + 1; spc < SPANCLASS_COUNT; spc++) {
        uint64_t mallocs, frees;
        mcentral_read_counts((spanclass)spc, &mallocs, &frees);
        add_class(st, spanclass_sizeclass((spanclass)spc), spanclass_size((spanclass)spc), mallocs, frees);
    }
    mcentral_each_typed(add_typed, st);
    add_class(st, 0, 0, ph->large_mallocs, ph->large_frees);
    st->total_alloc += ph->large_malloc_bytes;
    st->alloc += ph->large_malloc_bytes - ph->large_free_bytes;
    st->heap_alloc = st->alloc;
    st->heap_objects = st->mallocs - st->frees;
}

static void read_cycles(struct gc_memstats *st)
{
    const struct cycle_totals *t = cycle_totals();
    uint64_t cpu = os_process_cpu_ns();
    st->next_gc = atomic_load_explicit(&heap_trigger, memory_order_relaxed);
    st->last_gc = t->last_end;
    st->pause_total_ns = t->pause_ns;
    memcpy(st->pause_ns, t->pauses, sizeof st->pause_ns);
    memcpy(st->pause_end, t->pause_ends, sizeof st->pause_end);
    st->num_gc = t->cycles;
    st->num_forced_gc = t->forced;
    st->gc_cpu_fraction = cpu ? (double)t->cpu_ns / (double)cpu : 0;
}

static void read_stopped(struct gc_memstats *st)
{
    struct pageheap_stats ph;
    pageheap_read_stats(&ph);
    for (const struct thread *t = thread_list; t; t = t->next)
        st->lookups += t->mcache.lookups;
    st->lookups += thread_lookups_of_the_dead();
    read_sys(st, &ph);
    read_objects(st, &ph);
    read_cycles(st);
}

void memstats_read(const struct boundary *at, struct gc_memstats *st)
{
    sigset_t old;
    memset(st, 0, sizeof *st);
    cycle_lock_acquire();
    mask_block(&old);
    bool stopped = world_stop(at, cycle_stop_wait_ns()).stopped;
    if (stopped) {
        thread_flush_all();
        pinned_flush();
    } else {
        lock_acquire(&world_lock); /* the figures are then those of the last flush */
    }
    read_stopped(st);
    if (stopped)
        world_start();
    else
        lock_release(&world_lock);
    mask_restore(&old);
    cycle_lock_release();
    CHECK(st->heap_inuse <= st->heap_sys, "memstats.sum");
}
