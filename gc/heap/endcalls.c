/* endcalls.c - records of finalizers and cleanups, and the queue of those that are due.
 * Owns:   the chunks that records lie in, never given back; the queue.
 * Locks:  SPECIAL for slots and records, so that a registration takes one lock; LIFETIME for the queue; takes PERSISTENT
 *         inside.
 * Keeps:  .held   what a record in use refers to lives: the chunks are roots                   (rootjobs.c)
 *         .zero   a record that is free refers to nothing                                      (endcalls_drop_locked)
 *         .once   a record is in a slot, or in the queue, or taken: none is called twice
 * Below:  specials, persistentalloc.   Above: cycle/finalizers.c, cycle/lifetimes.c, rootjobs, api/finalize.c. */
#include "heap/endcalls.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/persistentalloc.h"

enum { CHUNK = 16 * 1024 };

enum { CHUNK_RECORDS = (CHUNK - sizeof(void *)) / sizeof(struct endcall) };

struct chunk {
    struct chunk *older; /* full */
    struct endcall at[CHUNK_RECORDS];
};

static struct lock lock = LOCK_INIT(RANK_LIFETIME);
static struct chunk *newest;
static size_t used = CHUNK_RECORDS; /* records of the newest chunk that were ever in use */
static struct special *free_records;
static struct special *first, **last = &first; /* the queue */
static _Atomic size_t pending;

/* Lock of specials held, here and below. */
static struct endcall *take_fresh(void)
{
    if (used == CHUNK_RECORDS) {
        struct chunk *c = persistentalloc(sizeof *c, _Alignof(struct chunk), SYS_OTHER);
        if (!c)
            return NULL;
        c->older = newest;
        newest = c;
        used = 0;
    }
    return &newest->at[used++];
}

static struct endcall *take_record(enum special_kind kind)
{
    struct endcall *e = (struct endcall *)(void *)free_records;
    if (e)
        free_records = e->special.next;
    else
        e = take_fresh();
    if (e)
        e->special = (struct special){.kind = kind};
    return e;
}

void endcalls_drop_locked(struct endcall *e)
{
    *e = (struct endcall){.special = {.next = free_records}};
    free_records = &e->special;
}

static struct endcall *make(struct mspan *s, size_t i, enum special_kind kind)
{
    struct endcall *e = take_record(kind);
    if (!e || specials_add_locked(s, i, &e->special))
        return e;
    endcalls_drop_locked(e);
    return NULL;
}

bool endcalls_add_cleanup(struct mspan *s, size_t i, gc_cleanup_fn fn, void *arg)
{
    specials_lock();
    struct endcall *e = make(s, i, SPECIAL_CLEANUP);
    if (e) {
        e->fn.cleanup = fn;
        e->arg = arg;
    }
    specials_unlock();
    return e;
}

static void remove_finalizer(struct mspan *s, size_t i, struct endcall *e)
{
    specials_remove(s, i, &e->special);
    endcalls_drop_locked(e);
}

static struct endcall *find_finalizer(const struct mspan *s, size_t i)
{
    return (struct endcall *)(void *)specials_find(s, i, SPECIAL_FINALIZER);
}

static bool set_finalizer(struct mspan *s, size_t i, struct endcall *e, struct endcall_old now)
{
    if (!e && !(e = make(s, i, SPECIAL_FINALIZER)))
        return false;
    e->fn.finalizer = now.fn;
    e->arg = now.arg;
    e->special.own = 0;
    return true;
}

bool endcalls_set_finalizer(struct mspan *s, size_t i, gc_finalizer_fn fn, void *arg, struct endcall_old *old)
{
    bool done = true;
    specials_lock();
    struct endcall *e = find_finalizer(s, i);
    *old = e ? (struct endcall_old){e->fn.finalizer, e->arg} : (struct endcall_old){NULL, NULL};
    if (fn)
        done = set_finalizer(s, i, e, (struct endcall_old){fn, arg});
    else if (e)
        remove_finalizer(s, i, e);
    specials_unlock();
    return done;
}

bool endcalls_queue(struct endcall *e, void *obj)
{
    lock_acquire(&lock);
    e->obj = obj;
    e->special.next = NULL;
    *last = &e->special;
    last = &e->special.next;
    bool empty = atomic_fetch_add_explicit(&pending, 1, memory_order_seq_cst) == 0;
    lock_release(&lock);
    return empty;
}

struct endcall *endcalls_take(void)
{
    lock_acquire(&lock);
    struct endcall *e = (struct endcall *)(void *)first;
    if (e) {
        first = e->special.next;
        last = first ? last : &first;
        atomic_fetch_sub_explicit(&pending, 1, memory_order_relaxed);
    }
    lock_release(&lock);
    return e;
}

void endcalls_drop(struct endcall *e)
{
    specials_lock();
    endcalls_drop_locked(e);
    specials_unlock();
}

size_t endcalls_pending(void) { return atomic_load_explicit(&pending, memory_order_seq_cst); }

void endcalls_each_range(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    size_t n = used;
    for (const struct chunk *c = newest; c; c = c->older, n = CHUNK_RECORDS)
        fn((uintptr_t)c->at, (uintptr_t)(c->at + n), arg);
}

void endcalls_fork_acquire(void) { lock_acquire(&lock); }
void endcalls_fork_release(void) { lock_release(&lock); }
