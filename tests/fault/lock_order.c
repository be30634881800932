/* lock_order.c - the order of locks as the library itself would break it: a call that takes a lower lock while a higher
 * one is held, or stops the world in a region, aborts. Holds lock.rank, region.nest, stop.region.
 * The locks alone are tested in unit/lock.c. */
#include "fault.h"

#include "cycle/cycle.h"
#include "heap/gcbits.h"
#include "heap/persistentalloc.h"
#include "world/region.h"
#include "world/roots.h"
#include "world/stop.h"

static void alloc_under_pageheap(void *unused)
{
    (void)unused;
    pageheap_fork_acquire();
    launder(gc_malloc(100000)); /* mcentral, or the page heap a second time */
}

static void collect_under_roots(void *unused)
{
    (void)unused;
    roots_fork_acquire();
    gc_collect();
}

static void stop_under_gcbits(void *unused)
{
    (void)unused;
    gcbits_fork_acquire();
    world_stop(NULL, 1000000);
}

static void release_what_is_not_held(void *unused)
{
    (void)unused;
    persistentalloc_fork_release();
}

static void collect_in_collection(void *unused)
{
    (void)unused;
    cycle_lock_acquire();
    gc_collect();
}

static void allocate_in_region(void *unused)
{
    (void)unused;
    launder(gc_malloc(10));
    region_enter(mcache_self);
    launder(gc_malloc(10));
}

static void stop_in_region(void *unused)
{
    (void)unused;
    launder(gc_malloc(10));
    region_enter(mcache_self);
    world_stop(NULL, 1000000);
}

static const struct wrong {
    void (*fn)(void *);
    const char *invariant;
} wrongs[] = {
    {alloc_under_pageheap, "lock.rank"},     {collect_under_roots, "lock.rank"},   {stop_under_gcbits, "lock.rank"},
    {release_what_is_not_held, "lock.rank"}, {collect_in_collection, "lock.rank"}, {allocate_in_region, "region.nest"},
    {stop_in_region, "stop.region"},
};

START_TEST(aborts)
{
    struct outcome o;
    must_abort_saying(wrongs[_i].fn, NULL, wrongs[_i].invariant, &o);
}
END_TEST

static void tests(TCase *tc) { tcase_add_loop_test(tc, aborts, 0, sizeof wrongs / sizeof *wrongs); }
FAULT_MAIN("fault/lock_order", tests, 1)
