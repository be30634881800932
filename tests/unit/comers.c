/* comers.c - a thread that starts or ends, asleep in wait for the world lock, gets it before a stopper that had it has it
 * again. Holds thread.comers. */
#include "../asleep.h"

#include "os/os.h"
#include "world/thread.h"

#include <pthread.h>

enum { ROUNDS = 60, PATIENCE_NS = 5 * 1000 * 1000 /* world_let_comers_first's */ };

static _Atomic int round_on, served, tid;
static _Atomic bool enough;

static void *come(void *unused)
{
    struct sched_param none = {0};
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    tid = own_tid();
    for (int i = 1; !enough; i++) {
        while (round_on < i && !enough)
            sched_yield();
        world_lock_shortly();
        served = i;
        lock_release(&world_lock);
    }
    return unused;
}

/* A thread of SCHED_BATCH does not displace the one that wakes it, which has the lock again by then if it does not wait. On
 * a busy machine patience ends in one round or another, and these do not count. */
START_TEST(come_before_the_next_stop)
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, come, NULL), 0);
    while (tid == 0)
        sched_yield();
    for (int i = 1, first = 0; first < ROUNDS; i++) {
        lock_acquire(&world_lock);
        round_on = i;
        wait_until_asleep(&tid);
        lock_release(&world_lock);
        uint64_t before = os_now_ns();
        world_let_comers_first();
        bool patient = os_now_ns() - before >= PATIENCE_NS;
        lock_acquire(&world_lock);
        bool was_first = served == i;
        lock_release(&world_lock);
        ck_assert(was_first || patient);
        first += was_first;
        while (served < i)
            sched_yield();
    }
    enough = true;
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, come_before_the_next_stop); }
CHECK_MAIN("unit/comers", tests)
