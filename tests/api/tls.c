/* tls.c - objects held by thread-local variables and by pthread_setspecific values alone, of the main thread and of
 * others: they survive, and once the places are cleared they are freed. Holds os_tls.bounds, rootjobs.all. */
#include "helpers.h"

#include <pthread.h>

enum { N = 100, KEYS = 64, SIZE = 64 };

static _Thread_local void *initialised[N] = {(void *)1};
static _Thread_local void *zeroed[N];
static pthread_key_t keys[KEYS];

static NOINLINE void set_variables(void **place)
{
    for (size_t i = 0; i < N; i++) {
        place[i] = make_filled(SIZE, i);
        make_filled(SIZE, i + 1);
    }
}

static NOINLINE void check_variables(void *const *place)
{
    for (size_t i = 0; i < N; i++)
        check_filled(place[i], SIZE, i);
}

static NOINLINE void clear_variables(void **place) { memset(place, 0, N * sizeof *place); }

static NOINLINE void shake(void)
{
    for (int i = 0; i < 2; i++) {
        settle();
        churn(SIZE, 4 * N);
    }
}

static void *variables(void *unused)
{
    set_variables(initialised);
    set_variables(zeroed);
    shake();
    check_variables(initialised);
    check_variables(zeroed);
    return unused;
}

static void *freed_variables(void *unused)
{
    set_variables(zeroed);
    shake();
    uint64_t before = heap_objects();
    clear_variables(zeroed);
    settle();
    uint64_t after = heap_objects();
    if (after + N * 9 / 10 > before)
        ck_abort_msg("%d objects were dropped, %llu before, %llu after", N, (unsigned long long)before,
                     (unsigned long long)after);
    return unused;
}

static NOINLINE void set_keys(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        pthread_setspecific(keys[i], make_filled(SIZE, i));
        make_filled(SIZE, i + 1);
    }
}

static void *specific(void *unused)
{
    set_keys();
    shake();
    for (size_t i = 0; i < KEYS; i++)
        check_filled(pthread_getspecific(keys[i]), SIZE, i);
    return unused;
}

/* Over rounds: more than 1,000 values in all, half of them of keys above 31. */
static void *freed_values(void *unused)
{
    uint64_t freed = 0;
    enum { ROUNDS = 16 };
    for (int round = 0; round < ROUNDS; round++) {
        set_keys();
        shake();
        uint64_t before = heap_objects();
        for (size_t i = 0; i < KEYS; i++)
            pthread_setspecific(keys[i], NULL);
        settle();
        freed += before - heap_objects();
    }
    ck_assert_uint_ge(freed, ROUNDS * KEYS * 9 / 10);
    return unused;
}

static void in_another_thread(void *(*fn)(void *))
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, fn, NULL), 0);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}

static void make_keys(void)
{
    for (size_t i = 0; i < KEYS; i++)
        ck_assert_int_eq(pthread_key_create(&keys[i], NULL), 0);
}

START_TEST(known) { ck_assert_ptr_nonnull(strstr(gc_features(), "tls=all")); }
END_TEST
START_TEST(of_main) { variables(NULL); }
END_TEST
START_TEST(of_a_thread) { in_another_thread(variables); }
END_TEST
START_TEST(freed_of_main) { freed_variables(NULL); }
END_TEST
START_TEST(freed_of_a_thread) { in_another_thread(freed_variables); }
END_TEST

START_TEST(values_of_main)
{
    make_keys();
    specific(NULL);
}
END_TEST

START_TEST(values_of_a_thread)
{
    make_keys();
    in_another_thread(specific);
}
END_TEST

START_TEST(freed_values_of_main)
{
    make_keys();
    freed_values(NULL);
}
END_TEST

START_TEST(freed_values_of_a_thread)
{
    make_keys();
    in_another_thread(freed_values);
}
END_TEST

/* The collecting thread is not the one whose variables are asked about. */
static pthread_barrier_t meet;

static void *wait_with_variables(void *unused)
{
    set_variables(zeroed);
    set_keys();
    pthread_barrier_wait(&meet);
    pthread_barrier_wait(&meet);
    check_variables(zeroed);
    for (size_t i = 0; i < KEYS; i++)
        check_filled(pthread_getspecific(keys[i]), SIZE, i);
    return unused;
}

static void held_by_a_waiting_thread(void (*collect)(void))
{
    pthread_t t;
    make_keys();
    pthread_barrier_init(&meet, NULL, 2);
    ck_assert_int_eq(pthread_create(&t, NULL, wait_with_variables, NULL), 0);
    pthread_barrier_wait(&meet);
    collect();
    pthread_barrier_wait(&meet);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}

START_TEST(of_a_waiting_thread) { held_by_a_waiting_thread(shake); }
END_TEST

/* What the caller vouches for is stacks and registers, not these. */
static void shake_without_stacks(void)
{
    for (int i = 0; i < 2; i++) {
        gc_collect_without_stacks();
        churn(SIZE, 4 * N);
    }
}

START_TEST(without_stacks) { held_by_a_waiting_thread(shake_without_stacks); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, known);
    tcase_add_test(tc, of_main);
    tcase_add_test(tc, of_a_thread);
    tcase_add_test(tc, freed_of_main);
    tcase_add_test(tc, freed_of_a_thread);
    tcase_add_test(tc, values_of_main);
    tcase_add_test(tc, values_of_a_thread);
    tcase_add_test(tc, freed_values_of_main);
    tcase_add_test(tc, freed_values_of_a_thread);
    tcase_add_test(tc, of_a_waiting_thread);
    tcase_add_test(tc, without_stacks);
}
CHECK_MAIN("api/tls", tests)
