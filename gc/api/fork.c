/* fork.c - the heap stays whole in both processes.
 * Owns:   nothing.
 * Locks:  all of them, from prepare to parent or child.
 * Keeps:  .whole  at the moment of the fork no thread is within a change of the heap that needs a lock
 *         .stdio  who holds the lock of stdio's list of files may be waiting for one of ours (a stream of fopencookie that
 *                 allocates as fflush(NULL) writes it), and fork takes that lock after prepare: so we take it before ours
 *         .still  no handler of the program runs on the forking thread while it holds the locks
 * Below:  every floor.   Above: fork, through pthread_atfork.
 *
 * Prepare stops the world: then no thread is in a region, so no heap lock is held, and all can be taken. The caches of
 * all threads are emptied. Then the threads run on (they may hold malloc's lock, which fork itself takes next) until they
 * need one of those locks, which is before they can take a slot or a span: the child finds their caches as they were.
 *
 * Registered by the constructor, so our prepare runs after those of the program and our child handler before them. */
#include "api/fork.h"

#include "api/api.h"
#include "base/report.h"
#include "cycle/cycle.h"
#include "cycle/finalizers.h"
#include "cycle/sweeper.h"
#include "cycle/sysmon.h"
#include "heap/gcbits.h"
#include "heap/layout.h"
#include "heap/pageheap.h"
#include "heap/persistentalloc.h"
#include "heap/pinned.h"
#include "mark/markers.h"
#include "os/os.h"
#include "os/os_symbols.h"
#include "watch/buckets.h"
#include "watch/chrometrace.h"
#include "watch/events.h"
#include "world/flight.h"
#include "world/roots.h"
#include "world/stacks.h"
#include "world/stop.h"
#include "world/thrown.h"

#include <pthread.h>

static void acquire_heap(void)
{
    pinned_fork_acquire();
    roots_fork_acquire();
    flight_fork_acquire();
    stacks_fork_acquire();
    thrown_fork_acquire();
    layout_fork_acquire();
    mcentral_fork_acquire();
    pageheap_fork_acquire();
    gcbits_fork_acquire();
    specials_fork_acquire();
    endcalls_fork_acquire();
    buckets_fork_acquire();
    thread_fork_acquire();
    persistentalloc_fork_acquire();
}

static void release_heap(void)
{
    persistentalloc_fork_release();
    thread_fork_release();
    buckets_fork_release();
    endcalls_fork_release();
    specials_fork_release();
    gcbits_fork_release();
    pageheap_fork_release();
    mcentral_fork_release();
    layout_fork_release();
    thrown_fork_release();
    stacks_fork_release();
    flight_fork_release();
    roots_fork_release();
    pinned_fork_release();
}

static bool caches_empty; /* of the other threads, at the fork that is on. All the locks */

static sigset_t blocked; /* by the program, in the thread that forks. All the locks */

/* The stop signal stays open: the locks may be a collection's, which then waits for this thread to stop.
 * A world that will not stop is no reason to wait for ever: the child is then as good as that of any program whose
 * threads held a lock, and the parent is not harmed. */
static void prepare(void)
{
    sigset_t old;
    api_refuse_interrupted("fork");
    os_stdio_lock();
    os_block_signals_but(stop_signal(), &old);
    cycle_fork_acquire();
    blocked = old;
    bool stopped = world_stop(NULL, cycle_stop_wait_ns()).stopped;
    if (stopped)
        thread_flush_all();
    else
        lock_acquire(&world_lock);
    acquire_heap();
    if (stopped)
        world_start_locked();
    caches_empty = stopped;
}

static void in_parent(void)
{
    sigset_t old = blocked;
    release_heap();
    world_unlock();
    cycle_fork_release();
    os_restore_signals(&old);
    os_stdio_unlock();
}

static void in_child(void)
{
    sigset_t old = blocked;
    release_heap();
    stop_fork_child();
    thread_fork_child(caches_empty);
    events_fork_child();
    chrometrace_fork_child();
    os_symbols_fork_child();
    sweeper_fork_child();
    sysmon_fork_child();
    finalizers_fork_child();
    markers_fork_child();
    api_threads_fork_child();
    world_unlock();
    cycle_fork_child();
    os_stdio_reset();
    os_restore_signals(&old);
}

void fork_init(void) { pthread_atfork(prepare, in_parent, in_child); }
