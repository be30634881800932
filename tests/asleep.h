/* asleep.h - whether a thread of the test is asleep in the kernel, or is no more. */
#ifndef TESTS_ASLEEP_H
#define TESTS_ASLEEP_H

#include "check_main.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int own_tid(void) { return (int)syscall(SYS_gettid); }

/* The state of a thread, as ps shows it. */
static inline char state_of(int tid)
{
    char name[64], text[512];
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
    FILE *f = fopen(name, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *end = strrchr(text, ')');
    ck_assert_ptr_nonnull(end);
    return end[2];
}

/* While nothing collects, a thread of the test that is asleep is in the call it was to make. */
static inline void wait_until_asleep(_Atomic int *tid)
{
    while (*tid == 0 || state_of(*tid) != 'S')
        sched_yield();
}

/* The kernel knows it no longer: nothing of it runs, and its stack is no place that holds anything. */
static inline void wait_until_gone(const _Atomic int *tid)
{
    while (*tid == 0 || syscall(SYS_tgkill, getpid(), *tid, 0) == 0)
        sched_yield();
}

#endif
