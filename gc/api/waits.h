/* waits.h - what the wrappers of waiting calls share: time that is left, masks that leave the stop signal open. */
#ifndef API_WAITS_H
#define API_WAITS_H

#include "os/os_calls.h"
#include "world/interrupts.h"
#include "world/stop.h"

enum { WAITS_SECOND_NS = 1000000000, WAITS_MS_NS = 1000000 };

/* A point in time `t` after `start`; the end of all time when that is later. */
static inline uint64_t waits_end(uint64_t start, const struct timespec *t)
{
    uint64_t ns;
    if (__builtin_mul_overflow((uint64_t)t->tv_sec, (uint64_t)WAITS_SECOND_NS, &ns) ||
        __builtin_add_overflow(ns, (uint64_t)t->tv_nsec, &ns) || __builtin_add_overflow(ns, start, &ns))
        return UINT64_MAX;
    return ns;
}

static inline struct timespec waits_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / WAITS_SECOND_NS), (long)(ns % WAITS_SECOND_NS)};
}

static inline uint64_t waits_left_ns(uint64_t end, uint64_t now) { return end > now ? end - now : 0; }

static inline struct timespec waits_left(uint64_t end) { return waits_timespec(waits_left_ns(end, os_now_ns())); }

/* The program's set without the stop signal: a thread that waits with that signal blocked could not be stopped, and
 * one that waits for it would take it away. */
static inline const sigset_t *waits_open(const sigset_t *set, sigset_t *copy)
{
    if (!set || stop_signal() == 0)
        return set;
    *copy = *set;
    sigdelset(copy, stop_signal());
    return copy;
}

#endif
