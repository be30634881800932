/* workpool.h - grey objects on their way from a marker that has many to one that has none, and the end of marking.
 *
 * A session lasts from open to the moment at which all who take part have nothing left and wait. Who waits then has
 * told what it counted, so the leader need not wait for anybody to wake up. */
#ifndef MARK_WORKPOOL_H
#define MARK_WORKPOOL_H

#include "mark/workbuf.h"

#include <stdatomic.h>

/* What one marker did, or all of them. */
struct mark_counts {
    uint64_t marked_bytes;  /* of all objects found live */
    uint64_t scanned_bytes; /* of objects scanned */
    uint64_t unread_bytes;  /* of objects not scanned, past what their mark bits cost */
    uint64_t root_bytes;    /* of roots read */
    uint64_t cpu_ns;        /* of helpers */
    bool overflowed;        /* some grey object was dropped for want of memory */
};

static inline void mark_counts_add(struct mark_counts *to, struct mark_counts n)
{
    to->marked_bytes += n.marked_bytes;
    to->scanned_bytes += n.scanned_bytes;
    to->unread_bytes += n.unread_bytes;
    to->root_bytes += n.root_bytes;
    to->cpu_ns += n.cpu_ns;
    to->overflowed |= n.overflowed;
}

/* Begin a session, in which the caller, the leader, takes part. */
uint32_t workpool_open(void);

/* Take part in the session that is on; false when there is none, or no longer. */
bool workpool_join(uint32_t *session);

/* For one who has nothing grey left: adds its counts to the session's and clears them, then returns grey objects, or
 * NULL at the end. Sleeps when there is nothing for a while. */
struct workbuf *workpool_take(uint32_t session, struct mark_counts *mine);

/* Whether somebody waits: read for each object, written rarely. */
extern _Atomic bool workpool_wanted;
static ALWAYS_INLINE bool workpool_hungry(void) { return atomic_load_explicit(&workpool_wanted, memory_order_relaxed); }

/* Give a block away. */
void workpool_give(struct workbuf *b);

/* The leader, once workpool_take has returned NULL: what all of them counted. */
struct mark_counts workpool_close(void);

/* After fork, in the child: nobody is in the pool. */
void workpool_fork_child(void);

#endif
