/* lock.c - ranks: rising is allowed, everything else aborts where checks are on; and that a lock excludes. */
#include "../check_main.h"

#include "base/check.h"
#include "base/inside.h"
#include "base/lock.h"
#include "os/os_real.h"

#include <pthread.h>

static struct lock low = LOCK_INIT(RANK_ROOTS), mid = LOCK_INIT(RANK_MCENTRAL), high = LOCK_INIT(RANK_PERSISTENT);

START_TEST(rising)
{
    struct lock other;
    lock_init(&other, RANK_CYCLE);
    lock_acquire(&other);
    lock_acquire(&low);
    lock_acquire(&mid);
    lock_acquire(&high);
    lock_release(&mid); /* in any order */
    lock_release(&high);
    lock_acquire(&mid);
    lock_release(&mid);
    lock_release(&low);
    lock_release(&other);
}
END_TEST

START_TEST(held)
{
    ck_assert(!lock_held(RANK_ROOTS));
    lock_acquire(&low);
    ck_assert(lock_held(RANK_ROOTS));
    ck_assert(!lock_held(RANK_MCENTRAL));
    lock_release(&low);
    ck_assert(!lock_held(RANK_ROOTS));
}
END_TEST

/* .rank, in each way that it can be broken. */
START_TEST(falling)
{
    lock_acquire(&high);
    lock_acquire(&low);
}
END_TEST

START_TEST(falling_past_a_gap)
{
    lock_acquire(&low);
    lock_acquire(&high);
    lock_release(&low);
    lock_acquire(&mid);
}
END_TEST

START_TEST(twice)
{
    lock_acquire(&mid);
    lock_acquire(&mid);
}
END_TEST

START_TEST(equal_rank)
{
    struct lock other = LOCK_INIT(RANK_MCENTRAL);
    lock_acquire(&mid);
    lock_acquire(&other);
}
END_TEST

START_TEST(release_of_what_is_not_held) { lock_release(&mid); }
END_TEST

START_TEST(same_rank_below_a_higher_one)
{
    lock_acquire(&high);
    lock_acquire_same_rank(&mid);
}
END_TEST

START_TEST(same_rank_for_fork)
{
    struct lock other = LOCK_INIT(RANK_MCENTRAL);
    lock_acquire(&low);
    lock_acquire_same_rank(&mid);
    lock_acquire_same_rank(&other);
    lock_acquire(&high);
    lock_release(&high);
    lock_release_same_rank(&other);
    lock_release_same_rank(&mid);
    lock_release(&low);
    lock_acquire(&mid);
    lock_release(&mid);
}
END_TEST

/* .inside: not so for SYMBOLS, whose holder may be interrupted by a handler that allocates. */
START_TEST(marks_who_is_inside)
{
    struct lock cycle, symbols;
    lock_init(&cycle, RANK_CYCLE);
    lock_init(&symbols, RANK_SYMBOLS);
    lock_acquire(&symbols);
    ck_assert(!inside());
    lock_acquire(&cycle);
    ck_assert(inside());
    lock_release(&cycle);
    ck_assert(!inside());
    lock_release(&symbols);
    ck_assert(!inside());
}
END_TEST

static long counted;

static void *count(void *lock)
{
    for (int i = 0; i < 20000; i++) {
        lock_acquire(lock);
        long n = *(volatile long *)&counted;
        *(volatile long *)&counted = n + 1;
        lock_release(lock);
    }
    return NULL;
}

static pthread_t begin(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, fn, arg), 0);
    return id;
}

START_TEST(excludes)
{
    pthread_t a = begin(count, &mid), b = begin(count, &mid);
    os_real_pthread_join(a, NULL);
    os_real_pthread_join(b, NULL);
    ck_assert_int_eq(counted, 40000);
}
END_TEST

static void *take_low(void *unused)
{
    (void)unused;
    lock_acquire(&low);
    lock_release(&low);
    return NULL;
}

/* What one thread holds is no matter to the ranks of another. */
START_TEST(ranks_are_per_thread)
{
    lock_acquire(&high);
    os_real_pthread_join(begin(take_low, NULL), NULL);
    lock_release(&high);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, rising);
    tcase_add_test(tc, same_rank_for_fork);
    tcase_add_test(tc, marks_who_is_inside);
    tcase_add_test(tc, excludes);
    tcase_add_test(tc, ranks_are_per_thread);
    if (!GC_CHECKS)
        return;
    tcase_add_test(tc, held);
    tcase_add_test_raise_signal(tc, falling, SIGABRT);
    tcase_add_test_raise_signal(tc, falling_past_a_gap, SIGABRT);
    tcase_add_test_raise_signal(tc, twice, SIGABRT);
    tcase_add_test_raise_signal(tc, equal_rank, SIGABRT);
    tcase_add_test_raise_signal(tc, release_of_what_is_not_held, SIGABRT);
    tcase_add_test_raise_signal(tc, same_rank_below_a_higher_one, SIGABRT);
}
CHECK_MAIN("unit/lock", tests)
