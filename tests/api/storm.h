/* storm.h - a thread that does nothing but collect, and threads that are asleep in a system call. */
#ifndef API_STORM_H
#define API_STORM_H

#include "../asleep.h"
#include "helpers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static _Atomic uint32_t storm_count; /* collections that were completed */
static _Atomic bool storm_ends;

static NOINLINE void *storm_run(void *unused)
{
    (void)unused;
    while (!storm_ends) {
        gc_collect();
        storm_count++;
        nanosleep(&(struct timespec){0, 20000}, NULL); /* else others run for some microseconds a millisecond */
    }
    return NULL;
}

static NOINLINE pthread_t storm_begin(void)
{
    pthread_t id;
    storm_ends = false;
    ck_assert_int_eq(pthread_create(&id, NULL, storm_run, NULL), 0);
    return id;
}

static NOINLINE void storm_end(pthread_t id)
{
    storm_ends = true;
    pthread_join(id, NULL);
}

/* Until so many more collections have begun and ended. */
static NOINLINE void storm_pass(uint32_t n)
{
    uint32_t until = storm_count + n + 1;
    while ((int32_t)(storm_count - until) < 0)
        sched_yield();
}

static NOINLINE uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The handler runs every 50 us, whatever it interrupts. */
static NOINLINE void interrupt_often(void (*handler)(int))
{
    struct itimerval often = {{0, 50}, {0, 50}};
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

/* The child's handler calls the library that it interrupted: one line, and the end. */
static NOINLINE void must_be_refused(void (*child)(void *))
{
    struct outcome o;
    run_child(child, NULL, &o);
    ck_assert(WIFSIGNALED(o.status));
    ck_assert_int_eq(WTERMSIG(o.status), SIGABRT);
    ck_assert_uint_eq(count_lines(o.text), 1);
    ck_assert_ptr_nonnull(strstr(o.text, "was called by a signal handler that interrupted the library"));
}

#endif
