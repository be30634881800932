/* flight.c - finding the record of a thread by its id, and when it is needed no longer.
 * Owns:   the records, the table, the list of all.
 * Locks:  FLIGHT; the collector has the world stopped instead.
 * Keeps:  .found   a thread that runs the program's code, or whose creation has returned, is listed until it is taken
 *         .kept    a record is given up when it is taken and nobody is in a call that may still touch it, once
 *         .newest  of records with one id the first found is that of the thread which has the id now
 * Below:  fixalloc.   Above: api/wrap_threads.c, api/fork.c, mark/rootjobs.c.   See doc/design/threads.md
 *
 * An id is the C library's to use again once the thread is joined, or detached and at its end. So whoever joins or
 * detaches finds the record before the C library does its part, and goes by the record's address after it. */
#include "world/flight.h"

#include "base/check.h"
#include "base/lock.h"
#include "heap/fixalloc.h"

#include <string.h>

enum { BUCKETS = 512 };

static struct lock flight_lock = LOCK_INIT(RANK_FLIGHT);
static struct flight *buckets[BUCKETS];
static struct flight *all;
static struct fixalloc records;

/* ---- records; flight lock held ---- */

static struct flight *record_new(void)
{
    if (records.size == 0)
        fixalloc_init(&records, sizeof(struct flight), _Alignof(struct flight), SYS_OTHER);
    struct flight *f = fixalloc_alloc(&records);
    if (!f)
        return NULL;
    memset(f, 0, sizeof *f);
    f->link = &all;
    f->after = all;
    if (all)
        all->link = &f->after;
    all = f;
    return f;
}

static void record_free(struct flight *f)
{
    CHECK(*f->link == f, "flight.kept");
    *f->link = f->after;
    if (f->after)
        f->after->link = f->link;
    fixalloc_free(&records, f);
}

struct flight *flight_new(void *held, bool joinable)
{
    lock_acquire(&flight_lock);
    struct flight *f = record_new();
    if (f) {
        f->held = held;
        f->creating = f->running = joinable;
    }
    lock_release(&flight_lock);
    return f;
}

void flight_drop(struct flight *f)
{
    lock_acquire(&flight_lock);
    CHECK(!f->listed, "flight.kept");
    record_free(f);
    lock_release(&flight_lock);
}

void flight_each(void (*fn)(void *held))
{
    for (const struct flight *f = all; f; f = f->after)
        fn(f->held);
}

size_t flight_count(void) { return records.inuse / sizeof(struct flight); }

/* ---- the table ---- */

/* Ids are addresses, mostly the same distance from each other. */
static struct flight **bucket(pthread_t id)
{
    return &buckets[(uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (BUCKETS - 1)];
}

static struct flight *find(pthread_t id)
{
    struct flight *f = *bucket(id);
    while (f && !pthread_equal(f->id, id))
        f = f->next;
    return f;
}

static void unlist(struct flight *f)
{
    struct flight **at = bucket(f->id);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->listed = false;
}

static void free_unless_needed(struct flight *f)
{
    if (!f->taken || f->creating || f->running || f->callers > 0)
        return;
    CHECK(f->listed, "flight.kept");
    unlist(f);
    record_free(f);
}

/* An id that is used again: its earlier thread was joined or detached by a call that did not come by here. */
static void outdate(struct flight *f)
{
    f->taken = true;
    f->running = false;
    free_unless_needed(f);
}

static void list(struct flight *f, pthread_t id)
{
    if (f->listed)
        return;
    struct flight *old = find(id), **head = bucket(id);
    f->id = id;
    f->next = *head;
    f->listed = true;
    *head = f;
    if (old)
        outdate(old);
}

void flight_list(struct flight *f, pthread_t id)
{
    lock_acquire(&flight_lock);
    list(f, id);
    lock_release(&flight_lock);
}

void flight_made(struct flight *f, const pthread_t *id)
{
    lock_acquire(&flight_lock);
    if (!f->listed)
        list(f, *id);
    f->creating = false;
    free_unless_needed(f);
    lock_release(&flight_lock);
}

void flight_ended(struct flight *f)
{
    lock_acquire(&flight_lock);
    f->running = false;
    free_unless_needed(f);
    lock_release(&flight_lock);
}

struct flight *flight_enter(pthread_t id)
{
    lock_acquire(&flight_lock);
    struct flight *f = find(id);
    if (f)
        f->callers++;
    lock_release(&flight_lock);
    return f;
}

/* A thread that was joined has ended, even if it did so by a bare system call. Where somebody else is about to join
 * it, glibc says that it detached it, and did not. */
void flight_leave(struct flight *f, enum flight_outcome outcome)
{
    lock_acquire(&flight_lock);
    CHECK(f->callers > 0, "flight.kept");
    f->callers--;
    f->running = f->running && outcome != FLIGHT_JOINED;
    f->taken = f->taken || outcome == FLIGHT_JOINED || (outcome == FLIGHT_DETACHED && f->callers == 0);
    free_unless_needed(f);
    lock_release(&flight_lock);
}

void flight_result(pthread_t id, void *result)
{
    lock_acquire(&flight_lock);
    struct flight *f = find(id);
    if (f && !f->taken) /* it may have ended already: a destructor may end the thread again */
        f->held = result;
    lock_release(&flight_lock);
}

void flight_fork_acquire(void) { lock_acquire(&flight_lock); }
void flight_fork_release(void) { lock_release(&flight_lock); }

void flight_fork_child(pthread_t self)
{
    struct flight *own = find(self);
    memset(buckets, 0, sizeof buckets);
    for (struct flight *f = all, *after; f; f = after) {
        after = f->after;
        if (f != own)
            record_free(f);
    }
    if (!own)
        return;
    own->callers = 0;
    own->creating = false;
    own->next = NULL;
    *bucket(self) = own;
}
