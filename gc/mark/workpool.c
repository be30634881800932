/* workpool.c - shared blocks, and counting who waits.
 * Owns:   the blocks given and not taken; the session.
 * Locks:  WORKPOOL.
 * Keeps:  .end      a session is over when all inside are idle and no block is left: nothing is grey then
 *                   (workpool_take)
 *         .session  who wakes up after the end, even during a later session, touches nothing of it
 *         .told     who is idle has added its counts
 * Below:  workbuf, os.   Above: markers. */
#include "mark/workpool.h"

#include "base/check.h"
#include "base/lock.h"
#include "os/os.h"

/* Looks at the pool before a marker sleeps: some 30 us, as long as it takes to wake up. */
enum { LOOKS = 2000 };

static struct {
    struct lock lock;
    struct workbuf *blocks;
    uint32_t n; /* of them */
    uint32_t session, inside, idle;
    bool open;
    struct mark_counts counts;
} pool = {.lock = LOCK_INIT(RANK_WORKPOOL)};

_Atomic bool workpool_wanted;
static _Atomic uint32_t changes;  /* futex: rises with each block given, and at the end */
static _Atomic uint32_t sleepers; /* of the futex */

/* Lock held. */
static void tell_wanted(void)
{
    bool wanted = pool.open && pool.idle > pool.n;
    if (wanted != atomic_load_explicit(&workpool_wanted, memory_order_relaxed))
        atomic_store_explicit(&workpool_wanted, wanted, memory_order_relaxed);
}

/* Either the sleeper finds `changes` changed, or this sees the sleeper. */
static void announce(void)
{
    atomic_fetch_add_explicit(&changes, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&sleepers, memory_order_seq_cst) > 0)
        os_futex_wake_all(&changes);
}

static void wait_for_change(uint32_t seen)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load_explicit(&changes, memory_order_relaxed) != seen)
            return;
        cpu_relax();
    }
    atomic_fetch_add_explicit(&sleepers, 1, memory_order_seq_cst);
    os_futex_wait(&changes, seen, UINT64_MAX);
    atomic_fetch_sub_explicit(&sleepers, 1, memory_order_seq_cst);
}

uint32_t workpool_open(void)
{
    lock_acquire(&pool.lock);
    CHECK(!pool.open && !pool.blocks, "workpool.end");
    pool.inside = 1;
    pool.idle = pool.n = 0;
    pool.open = true;
    pool.counts = (struct mark_counts){0};
    uint32_t session = ++pool.session;
    lock_release(&pool.lock);
    return session;
}

bool workpool_join(uint32_t *session)
{
    lock_acquire(&pool.lock);
    bool open = pool.open;
    if (open)
        pool.inside++;
    *session = pool.session;
    lock_release(&pool.lock);
    return open;
}

static struct workbuf *pop_block(void)
{
    struct workbuf *b = pool.blocks;
    if (b) {
        pool.blocks = b->below;
        pool.n--;
    }
    return b;
}

/* Lock held; released meanwhile. False when the session is over. */
static bool wait_idle(uint32_t session)
{
    pool.idle++;
    tell_wanted();
    uint32_t seen = atomic_load_explicit(&changes, memory_order_relaxed);
    lock_release(&pool.lock);
    wait_for_change(seen);
    lock_acquire(&pool.lock);
    if (pool.session != session || !pool.open)
        return false;
    pool.idle--;
    return true;
}

struct workbuf *workpool_take(uint32_t session, struct mark_counts *mine)
{
    struct workbuf *b = NULL;
    lock_acquire(&pool.lock);
    mark_counts_add(&pool.counts, *mine);
    *mine = (struct mark_counts){0};
    bool on = pool.session == session && pool.open;
    while (on && !(b = pop_block())) {
        if (pool.idle + 1 == pool.inside) {
            pool.open = false;
            announce();
            break;
        }
        on = wait_idle(session);
    }
    tell_wanted();
    lock_release(&pool.lock);
    return b;
}

void workpool_give(struct workbuf *b)
{
    lock_acquire(&pool.lock);
    CHECK(pool.open, "workpool.end");
    b->below = pool.blocks;
    pool.blocks = b;
    pool.n++;
    tell_wanted();
    announce();
    lock_release(&pool.lock);
}

struct mark_counts workpool_close(void)
{
    lock_acquire(&pool.lock);
    CHECK(!pool.open && !pool.blocks, "workpool.end");
    struct mark_counts counts = pool.counts;
    lock_release(&pool.lock);
    return counts;
}

void workpool_fork_child(void)
{
    lock_init(&pool.lock, RANK_WORKPOOL);
    atomic_store_explicit(&sleepers, 0, memory_order_relaxed);
}
