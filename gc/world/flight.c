/* flight.c - finding the record of a thread by its id, and when it is needed no longer.
 * Owns:   the table; the records are their makers'.
 * Locks:  FLIGHT.
 * Keeps:  .found   a thread that runs the program's code, or whose creation has returned, is listed until it is taken
 *         .kept    a record is given up when it is taken and nobody is in a call that may still touch it, once
 *         .newest  of records with one id the first found is that of the thread which has the id now
 * Below:  lock.   Above: api/wrap_threads.c, api/fork.c.   See doc/design/threads.md
 *
 * An id is the C library's to use again once the thread is joined, or detached and at its end. So whoever joins or
 * detaches finds the record before the C library does its part, and goes by the record's address after it. */
#include "world/flight.h"

#include "base/check.h"
#include "base/lock.h"

enum { BUCKETS = 512 };

static struct lock flight_lock = LOCK_INIT(RANK_FLIGHT);
static struct flight *buckets[BUCKETS];

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
    f->next = NULL;
    f->listed = false;
}

/* The record, if it is to be given up. */
static struct flight *give_up(struct flight *f)
{
    if (!f->taken || f->creating || f->running || f->callers > 0)
        return NULL;
    CHECK(f->listed, "flight.kept");
    unlist(f);
    return f;
}

/* An id that is used again: its earlier thread was joined or detached by a call that did not come by here. */
static struct flight *outdate(struct flight *f)
{
    f->taken = true;
    f->running = false;
    return give_up(f);
}

static struct flight *list(struct flight *f, pthread_t id)
{
    if (f->listed)
        return NULL;
    struct flight *old = find(id), **head = bucket(id);
    f->id = id;
    f->next = *head;
    f->listed = true;
    *head = f;
    return old ? outdate(old) : NULL;
}

struct flight *flight_list(struct flight *f, pthread_t id)
{
    lock_acquire(&flight_lock);
    struct flight *old = list(f, id);
    lock_release(&flight_lock);
    return old;
}

struct flight *flight_made(struct flight *f, const pthread_t *id)
{
    lock_acquire(&flight_lock);
    struct flight *old = f->listed ? NULL : list(f, *id);
    f->creating = false;
    struct flight *r = give_up(f);
    lock_release(&flight_lock);
    if (!old)
        return r;
    old->next = r;
    return old;
}

struct flight *flight_ended(struct flight *f)
{
    lock_acquire(&flight_lock);
    f->running = false;
    struct flight *r = give_up(f);
    lock_release(&flight_lock);
    return r;
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
struct flight *flight_leave(struct flight *f, enum flight_outcome outcome)
{
    lock_acquire(&flight_lock);
    CHECK(f->callers > 0, "flight.kept");
    f->callers--;
    f->running = f->running && outcome != FLIGHT_JOINED;
    f->taken = f->taken || outcome == FLIGHT_JOINED || (outcome == FLIGHT_DETACHED && f->callers == 0);
    struct flight *r = give_up(f);
    lock_release(&flight_lock);
    return r;
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

static struct flight *clear_bucket(struct flight **at, const struct flight *own, struct flight *others)
{
    while (*at) {
        struct flight *f = *at;
        if (f == own) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        f->next = others;
        others = f;
    }
    return others;
}

struct flight *flight_fork_child(pthread_t self)
{
    struct flight *own = find(self), *others = NULL;
    if (own) {
        own->callers = 0;
        own->creating = false;
    }
    for (size_t i = 0; i < BUCKETS; i++)
        others = clear_bucket(&buckets[i], own, others);
    return others;
}
