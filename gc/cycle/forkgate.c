/* forkgate.c - no fork between taking the dynamic linker's list of images and giving it back.
 * Owns:   the two counts.
 * Locks:  none; the counts are futexes.
 * Keeps:  .out  a thread that forks has no other inside, but for one that waits for the program itself
 * Below:  os.   Above: cycle.
 *
 * A child inherits the dynamic linker's lock as it was, and its first collection would wait for it for ever. */
#include "cycle/forkgate.h"

#include "os/os.h"

enum { NAP_NS = 20 * 1000 * 1000 };

static _Atomic uint32_t forking;       /* threads in fork; futex of those who want to collect */
static _Atomic uint32_t inside_images; /* threads that hold or wait for the list of images; futex of those who fork */

void forkgate_leave(void)
{
    if (atomic_fetch_sub_explicit(&inside_images, 1, memory_order_seq_cst) == 1 &&
        atomic_load_explicit(&forking, memory_order_seq_cst))
        os_futex_wake_all(&inside_images);
}

/* Either this thread sees the other fork, or that one sees this thread inside. */
void forkgate_enter(void)
{
    for (;;) {
        uint32_t n = atomic_load_explicit(&forking, memory_order_seq_cst);
        if (n > 0) {
            os_futex_wait(&forking, n, UINT64_MAX);
            continue;
        }
        atomic_fetch_add_explicit(&inside_images, 1, memory_order_seq_cst);
        if (atomic_load_explicit(&forking, memory_order_seq_cst) == 0)
            return;
        forkgate_leave();
    }
}

/* The wait ends: a thread inside may wait for the program, which holds the list in a dl_iterate_phdr of its own and
 * allocates there. That child is lost to collections whatever we do. */
void forkgate_close(uint64_t wait_ns)
{
    uint32_t n;
    uint64_t end = os_now_ns() + wait_ns;
    atomic_fetch_add_explicit(&forking, 1, memory_order_seq_cst);
    while ((n = atomic_load_explicit(&inside_images, memory_order_seq_cst)) > 0 && os_now_ns() < end)
        os_futex_wait(&inside_images, n, NAP_NS);
}

void forkgate_open(void)
{
    if (atomic_fetch_sub_explicit(&forking, 1, memory_order_seq_cst) == 1)
        os_futex_wake_all(&forking);
}

void forkgate_fork_child(void)
{
    atomic_store_explicit(&inside_images, 0, memory_order_relaxed);
    atomic_store_explicit(&forking, 0, memory_order_relaxed);
}
