/* comers.c - a thread that starts or ends, asleep in wait for the world lock, gets it before a stopper that had it has it
 * again. Holds thread.comers. */
#include "../asleep.h"

#include "world/thread.h"

#include <pthread.h>

enum { ROUNDS = 60 };

static _Atomic int round_on, served, tid;

static void *come(void *unused)
{
    tid = own_tid();
    for (int i = 1; i <= ROUNDS; i++) {
        while (round_on < i)
            sched_yield();
        world_lock_shortly();
        served = i;
        lock_release(&world_lock);
    }
    return unused;
}

/* Patience ends, so that one round or another may go the other way on a busy machine. */
START_TEST(come_before_the_next_stop)
{
    pthread_t t;
    int first = 0;
    ck_assert_int_eq(pthread_create(&t, NULL, come, NULL), 0);
    while (tid == 0)
        sched_yield();
    for (int i = 1; i <= ROUNDS; i++) {
        lock_acquire(&world_lock);
        round_on = i;
        wait_until_asleep(&tid);
        lock_release(&world_lock);
        world_let_comers_first();
        lock_acquire(&world_lock);
        first += served == i;
        lock_release(&world_lock);
        while (served < i)
            sched_yield();
    }
    ck_assert_int_eq(pthread_join(t, NULL), 0);
    ck_assert_int_ge(first, ROUNDS / 2);
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, come_before_the_next_stop); }
CHECK_MAIN("unit/comers", tests)
