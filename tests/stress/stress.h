/* stress.h - what the stress programs share: workers with a repeatable sequence of numbers each, for a time or a number of
 * steps. STRESS_SECONDS says for how long (0: a fixed number of steps), STRESS_SEED repeats a run, STRESS_THREADS how many
 * threads (4). */
#ifndef STRESS_STRESS_H
#define STRESS_STRESS_H

#include "../check_main.h"

#include <pthread.h>
#include <spangc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { STRESS_THREADS_MAX = 64 };

static struct timespec stress_end;
static unsigned long stress_seconds, stress_threads;

/* xorshift64*: small, good enough, repeatable. */
static inline uint64_t stress_random(uint64_t *x)
{
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return *x * UINT64_C(2685821657736338717);
}

static inline bool stress_time_is_up(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > stress_end.tv_sec || (now.tv_sec == stress_end.tv_sec && now.tv_nsec >= stress_end.tv_nsec);
}

/* Run `work` with each of the workers, of `size` bytes, which begin with the state of their numbers, and wait for all. */
static inline void stress_run(void *(*work)(void *worker), void *workers, size_t size)
{
    unsigned long seed = check_env("STRESS_SEED", (unsigned long)time(NULL));
    pthread_t threads[STRESS_THREADS_MAX];
    stress_threads = check_env("STRESS_THREADS", 4);
    stress_seconds = check_env("STRESS_SECONDS", 0);
    ck_assert_uint_le(stress_threads, STRESS_THREADS_MAX);
    fprintf(stderr, "STRESS_SEED=%lu STRESS_THREADS=%lu\n", seed, stress_threads);
    clock_gettime(CLOCK_MONOTONIC, &stress_end);
    stress_end.tv_sec += (time_t)stress_seconds;
    for (unsigned long i = 0; i < stress_threads; i++) {
        char *worker = (char *)workers + i * size;
        *(uint64_t *)(void *)worker = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, worker), 0);
    }
    for (unsigned long i = 0; i < stress_threads; i++)
        pthread_join(threads[i], NULL);
}

#endif
