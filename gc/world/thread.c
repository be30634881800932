/* thread.c - records of threads, with their caches.
 * Owns:   thread_list, the records.
 * Locks:  WORLD for the list, THREADREC for free records.
 * Keeps:  .stable  a record's memory stays a record: a late signal may still point at it     (fixalloc)
 *         .listed  a thread that may hold pointers to objects is in the list                 (api)
 *         .comers  who starts or ends goes before a stopper that comes later, but does not hold it up for long
 *                  (world_let_comers_first)
 *         .empty   a record that is free has a cache that holds nothing       (record_alloc)
 *         .reserve a thread that was announced can be listed by a stopper that finds it, whatever memory there is: no more
 *                  records are in reserve than threads are announced, and fewer only as others were found without memory
 * Below:  mcache, os.   Above: stop, roots, api. */
#include "world/thread.h"

#include "base/check.h"
#include "base/inside.h"
#include "heap/fixalloc.h"
#include "os/os.h"
#include "os/os_real.h"
#include "world/region.h"
#include "world/stacks.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

struct thread *thread_list;
_Atomic uint32_t thread_count;
struct lock world_lock = LOCK_INIT(RANK_WORLD);

static _Atomic uint32_t comers; /* wait for the world lock for some instructions' work */

static struct lock record_lock = LOCK_INIT(RANK_THREADREC);
static struct fixalloc records;
static uint64_t dead_lookups; /* world lock */

/* Threads that will be, and the records in reserve for who finds them meanwhile, by `next`. Record lock. */
static uint32_t announced, n_reserve;
static struct thread *reserve;

enum { TURNS = 50, NAP_NS = 50 * 1000, PATIENCE_NS = 5 * 1000 * 1000 };

/* Those who wait may be kept from running, by a debugger too: so nobody waits for long for them. No handler that interrupts this may fork: the child counts from 0. */
void world_lock_shortly(void)
{
    inside_enter();
    atomic_fetch_add_explicit(&comers, 1, memory_order_relaxed);
    lock_acquire(&world_lock);
    atomic_fetch_sub_explicit(&comers, 1, memory_order_relaxed);
    inside_leave();
}

void world_let_comers_first(void)
{
    uint32_t n = atomic_load_explicit(&comers, memory_order_relaxed);
    uint64_t end = n > 0 ? os_now_ns() + PATIENCE_NS : 0;
    for (int i = 0; n > 0 && os_now_ns() < end; i++) {
        if (i < TURNS)
            sched_yield();
        else
            os_futex_wait(&comers, n, NAP_NS);
        n = atomic_load_explicit(&comers, memory_order_relaxed);
    }
}

/* The destructor of this key tells that a thread ends. */
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

/* Other keys' destructors may still allocate, in this round and in later ones: as long as there are any to come, let
 * them go first while the C library makes another round. The value counts the rounds. Before each destructor its value
 * was set to NULL, this one's too. */
static void on_thread_exit(void *rounds)
{
    uintptr_t n = (uintptr_t)rounds;
    if (n < (uintptr_t)os_exit_rounds() && os_any_specific((uintptr_t)pthread_self()) &&
        pthread_setspecific(exit_key, (void *)(n + 1)) == 0)
        return;
    thread_unregister();
}

static void make_exit_key(void)
{
    if (pthread_key_create(&exit_key, on_thread_exit) != 0)
        report_fatal("no pthread key is left for the end of threads to be seen (PTHREAD_KEYS_MAX); aborting");
}

/* But for the cache's slots and batches, ten kilobytes: they are empty, as the thread before left them, or fresh. */
static void clear(struct thread *t)
{
    CHECK_FULL(mcache_is_empty(&t->mcache), "thread.empty");
    char *rest = (char *)(&t->mcache + 1);
    memset(&t->mcache, 0, offsetof(struct mcache, slots));
    memset(rest, 0, (size_t)((char *)(t + 1) - rest));
}

/* Record lock held. */
static struct thread *record_alloc(void)
{
    if (records.size == 0)
        fixalloc_init(&records, round_up(sizeof(struct thread), 64), 64, SYS_MCACHE);
    struct thread *t = fixalloc_alloc(&records);
    if (t)
        clear(t);
    return t;
}

static bool put_in_reserve(struct thread *t)
{
    if (!t)
        return false;
    t->next = reserve;
    reserve = t;
    n_reserve++;
    return true;
}

static struct thread *take_from_reserve(void)
{
    struct thread *t = reserve;
    if (!t)
        return NULL;
    reserve = t->next;
    n_reserve--;
    return t;
}

struct thread *thread_announce(void)
{
    lock_acquire(&record_lock);
    struct thread *t = record_alloc();
    if (t && put_in_reserve(record_alloc())) {
        announced++;
    } else if (t) {
        fixalloc_free(&records, t);
        t = NULL;
    }
    lock_release(&record_lock);
    return t;
}

/* It is listed now, or will never be. */
static void announcement_over(void)
{
    lock_acquire(&record_lock);
    CHECK(announced > 0 && n_reserve <= announced, "thread.reserve");
    announced--;
    if (n_reserve > announced)
        fixalloc_free(&records, take_from_reserve());
    lock_release(&record_lock);
}

/* After fork, in the child: those who were to be are not. */
static void forget_announced(void)
{
    lock_acquire(&record_lock);
    for (struct thread *t; (t = take_from_reserve()) != NULL;)
        fixalloc_free(&records, t);
    announced = 0;
    lock_release(&record_lock);
}

static struct thread *record_new(bool reserved_too)
{
    lock_acquire(&record_lock);
    struct thread *t = record_alloc();
    if (!t && reserved_too)
        t = take_from_reserve();
    lock_release(&record_lock);
    return t;
}

static void drop_own_stack(struct thread *t)
{
    if (!t->own_stack)
        return;
    lock_acquire(&stacks_lock);
    stacks_remove(t->own_stack);
    lock_release(&stacks_lock);
    t->own_stack = NULL;
}

static void record_free(struct thread *t)
{
    dead_lookups += t->mcache.lookups;
    t->tid = 0;
    drop_own_stack(t);
    lock_acquire(&record_lock);
    fixalloc_free(&records, t);
    lock_release(&record_lock);
}

static void link_in(struct thread *t)
{
    t->prev = NULL;
    t->next = thread_list;
    if (thread_list)
        thread_list->prev = t;
    thread_list = t;
    atomic_fetch_add_explicit(&thread_count, 1, memory_order_relaxed);
}

static void link_out(struct thread *t)
{
    if (t->next)
        t->next->prev = t->prev;
    if (t->prev)
        t->prev->next = t->next;
    else
        thread_list = t->next;
    atomic_fetch_sub_explicit(&thread_count, 1, memory_order_relaxed);
}

struct thread *thread_find(int tid)
{
    for (struct thread *t = thread_list; t; t = t->next)
        if (t->tid == tid)
            return t;
    return NULL;
}

/* A tid is unique among the living, so a record with ours is of a thread that ended unseen, or was made of us by a
 * stopper. */
void thread_forget_found(int tid)
{
    struct thread *other = thread_find(tid);
    if (other)
        thread_forget_dead(other);
}

struct thread *thread_list_found(int tid)
{
    struct thread *t = record_new(true);
    if (!t)
        return NULL;
    t->tid = tid;
    t->found = true;
    link_in(t);
    return t;
}

void thread_announced_in_vain(struct thread *t)
{
    world_lock_shortly();
    record_free(t);
    announcement_over();
    lock_release(&world_lock);
}

static void adopt(struct thread *t, bool was_announced)
{
    /* A thread of ours is not scanned, and must not be the one that makes malloc reserve an arena for it: 64 MiB of
     * address space, which a program under ulimit -v misses. */
    if (!t->internal && !os_stack_bounds(&t->stack_lo, &t->stack_hi))
        report_fatal("the bounds of the stack of thread %d cannot be found (pthread_getattr_np); aborting", os_tid());
    if (t->tid == 0)
        t->tid = os_tid();
    t->self = (uintptr_t)pthread_self();
    /* Only the first thread's record lies outside its stack, if the C library is glibc. */
    t->main = (t->self < t->stack_lo || t->self >= t->stack_hi) && t->tid == os_pid();
    pthread_once(&exit_once, make_exit_key);
    pthread_setspecific(exit_key, (void *)1);
    world_lock_shortly();
    thread_forget_found(t->tid);
    link_in(t);
    if (was_announced)
        announcement_over();
    mcache_self = &t->mcache;
    lock_release(&world_lock);
}

void thread_adopt(struct thread *t) { adopt(t, true); }

struct thread *thread_register(void)
{
    world_lock_shortly();
    struct thread *t = record_new(false);
    lock_release(&world_lock);
    if (t)
        adopt(t, false);
    return t;
}

static void flush_in_region(struct thread *t)
{
    region_enter(&t->mcache);
    mcache_flush(&t->mcache);
    region_leave(&t->mcache);
}

void thread_unregister(void)
{
    struct thread *t = thread_self();
    if (!t)
        return;
    inside_enter(); /* a handler may not fill the cache again */
    flush_in_region(t);
    world_lock_shortly();
    link_out(t);
    mcache_self = &mcache_none;
    record_free(t);
    lock_release(&world_lock);
    inside_leave();
}

NO_CANARY void thread_become_found(struct thread *t, uintptr_t pointer)
{
    t->found = true;
    t->main = false;
    t->self = pointer;
    t->stack_lo = t->stack_hi = 0;
}

void thread_forget_dead(struct thread *t)
{
    CHECK(lock_held(RANK_WORLD), "thread.listed");
    mcache_flush(&t->mcache);
    link_out(t);
    record_free(t);
}

void thread_flush_all(void)
{
    for (struct thread *t = thread_list; t; t = t->next)
        mcache_flush(&t->mcache);
}

uint64_t thread_lookups_of_the_dead(void) { return dead_lookups; }
uint64_t thread_record_bytes(void) { return records.inuse; }

void thread_fork_child(bool caches_empty)
{
    struct thread *self = thread_self();
    atomic_store_explicit(&comers, 0, memory_order_relaxed);
    for (struct thread *t = thread_list, *next; t; t = next) {
        next = t->next;
        if (t == self)
            continue;
        CHECK(!caches_empty || mcache_is_empty(&t->mcache), "fork.whole");
        thread_forget_dead(t);
    }
    if (self)
        self->tid = os_tid();
    forget_announced();
}

void thread_fork_acquire(void) { lock_acquire(&record_lock); }
void thread_fork_release(void) { lock_release(&record_lock); }
