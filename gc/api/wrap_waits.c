/* wrap_waits.c - calls that wait and that the kernel never restarts after a signal handler: a stop does not end them.
 * Owns:   nothing.
 * Locks:  none. Most of these may be called by signal handlers, and are points of cancellation.
 * Keeps:  .time   a wait that was entered again ends when it would have, never earlier
 *         .errno  result and errno are those of the last real call; EINTR is seen when a handler of the program ran
 * Below:  interrupts, os_calls.   Above: the program, and every library that it loads. */
#include "api/waits.h"

#include <errno.h>

/* ---- sleeping ---- */

static uint64_t now_of(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return waits_end(0, &t);
}

/* A stop interrupted a sleep: on to its end. Returns 0 or EINTR, and then what is left. */
static NO_SANITIZE int sleep_on(struct wait *w, clockid_t clock, uint64_t end, struct timespec *left)
{
    struct timespec until = waits_timespec(end);
    int e;
    do
        e = os_real_clock_nanosleep(clock, TIMER_ABSTIME, &until, NULL);
    while (wait_again_after(w, e));
    wait_end(w);
    if (e != 0 && left)
        *left = waits_timespec(waits_left_ns(end, now_of(clock)));
    return e;
}

/* `t` and `left` may be the same. */
int OS_WRAPPED(nanosleep)(const struct timespec *t, struct timespec *left)
{
    struct wait w = wait_begin();
    struct timespec rest;
    uint64_t start = os_now_ns();
    int r = os_real_nanosleep(t, left ? &rest : NULL);
    if (r != 0 && wait_again(&w)) {
        int e = sleep_on(&w, CLOCK_MONOTONIC, waits_end(start, t), left);
        return e == 0 ? 0 : (errno = e, -1);
    }
    if (r != 0 && left && errno == EINTR)
        *left = rest;
    wait_end(&w);
    return r;
}

/* How long it takes does not depend on the clock of the day being set. */
static clockid_t clock_for(clockid_t clock) { return clock == CLOCK_REALTIME ? CLOCK_MONOTONIC : clock; }

static NO_SANITIZE int sleep_for(clockid_t clock, const struct timespec *t, struct timespec *left)
{
    struct wait w = wait_begin();
    struct timespec rest;
    uint64_t start = now_of(clock_for(clock));
    int e = os_real_clock_nanosleep(clock, 0, t, left ? &rest : NULL);
    if (wait_again_after(&w, e))
        return sleep_on(&w, clock_for(clock), waits_end(start, t), left);
    if (e == EINTR && left)
        *left = rest;
    wait_end(&w);
    return e;
}

int OS_WRAPPED(clock_nanosleep)(clockid_t clock, int flags, const struct timespec *t, struct timespec *left)
{
    if (!(flags & TIMER_ABSTIME))
        return sleep_for(clock, t, left);
    struct wait w = wait_begin();
    int e;
    do
        e = os_real_clock_nanosleep(clock, flags, t, left);
    while (wait_again_after(&w, e));
    wait_end(&w);
    return e;
}

int OS_WRAPPED(thrd_sleep)(const struct timespec *t, struct timespec *left)
{
    struct wait w = wait_begin();
    struct timespec rest;
    uint64_t start = os_now_ns();
    int r = os_real_thrd_sleep(t, left ? &rest : NULL);
    if (r == -1 && wait_again_after(&w, EINTR))
        return sleep_on(&w, CLOCK_MONOTONIC, waits_end(start, t), left) == 0 ? 0 : -1;
    if (r == -1 && left)
        *left = rest;
    wait_end(&w);
    return r;
}

int OS_WRAPPED(usleep)(useconds_t us)
{
    struct wait w = wait_begin();
    uint64_t start = os_now_ns();
    int r = os_real_usleep(us);
    if (r != 0 && wait_again(&w)) {
        int e = sleep_on(&w, CLOCK_MONOTONIC, start + (uint64_t)us * 1000, NULL);
        return e == 0 ? 0 : (errno = e, -1);
    }
    wait_end(&w);
    return r;
}

/* Its result says little: what is left is in whole seconds, 0 for less than one. */
unsigned OS_WRAPPED(sleep)(unsigned seconds)
{
    struct wait w = wait_begin();
    int saved = errno;
    struct timespec left;
    uint64_t end = os_now_ns() + (uint64_t)seconds * WAITS_SECOND_NS;
    unsigned r = os_real_sleep(seconds);
    if (wait_only_stopped(&w) && os_now_ns() < end && wait_again_after(&w, EINTR)) {
        int e = sleep_on(&w, CLOCK_MONOTONIC, end, &left);
        errno = e == 0 ? saved : e;
        return e == 0 ? 0 : (unsigned)left.tv_sec;
    }
    wait_end(&w);
    return r;
}

int OS_WRAPPED(pause)(void)
{
    struct wait w = wait_begin();
    int r;
    do
        r = os_real_pause();
    while (wait_again(&w));
    wait_end(&w);
    return r;
}

/* ---- files ---- */

/* After a poll failed: again, for the time that is left of it. */
static NO_SANITIZE int poll_on(struct wait *w, struct pollfd *fds, nfds_t n, bool timed, uint64_t end,
                               const sigset_t *mask)
{
    int r = -1;
    while (r < 0 && wait_again(w)) {
        struct timespec left = timed ? waits_left(end) : (struct timespec){0, 0};
        r = os_real_ppoll(fds, n, timed ? &left : NULL, mask);
    }
    wait_end(w);
    return r;
}

static uint64_t end_after_ms(uint64_t start, int ms) { return start + (uint64_t)ms * WAITS_MS_NS; }

int OS_WRAPPED(poll)(struct pollfd *fds, nfds_t n, int ms)
{
    struct wait w = wait_begin();
    uint64_t start = ms > 0 ? os_now_ns() : 0;
    int r = os_real_poll(fds, n, ms);
    return r >= 0 ? r : poll_on(&w, fds, n, ms >= 0, end_after_ms(start, ms), NULL);
}

int OS_WRAPPED(__poll_chk)(struct pollfd *fds, nfds_t n, int ms, size_t bytes)
{
    struct wait w = wait_begin();
    uint64_t start = ms > 0 ? os_now_ns() : 0;
    int r = os_real___poll_chk(fds, n, ms, bytes);
    return r >= 0 ? r : poll_on(&w, fds, n, ms >= 0, end_after_ms(start, ms), NULL);
}

int OS_WRAPPED(ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
    struct wait w = wait_begin();
    sigset_t copy;
    const sigset_t *open = waits_open(mask, &copy);
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real_ppoll(fds, n, t, open);
    if (r >= 0 || errno != EINTR)
        return r;
    return poll_on(&w, fds, n, t, t ? waits_end(start, t) : 0, open);
}

int OS_WRAPPED(__ppoll_chk)(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask, size_t bytes)
{
    struct wait w = wait_begin();
    sigset_t copy;
    const sigset_t *open = waits_open(mask, &copy);
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real___ppoll_chk(fds, n, t, open, bytes);
    if (r >= 0 || errno != EINTR)
        return r;
    return poll_on(&w, fds, n, t, t ? waits_end(start, t) : 0, open);
}

/* The sets are as they were when it fails; the time is written to. */
int OS_WRAPPED(select)(int n, fd_set *restrict rd, fd_set *restrict wr, fd_set *restrict ex, struct timeval *restrict t)
{
    struct wait w = wait_begin();
    uint64_t end = 0;
    if (t)
        end = waits_end(os_now_ns(), &(struct timespec){t->tv_sec, t->tv_usec * 1000});
    int r = os_real_select(n, rd, wr, ex, t);
    while (r < 0 && wait_again(&w)) {
        if (t) {
            struct timespec left = waits_left(end);
            *t = (struct timeval){left.tv_sec, (left.tv_nsec + 999) / 1000};
        }
        r = os_real_select(n, rd, wr, ex, t);
    }
    wait_end(&w);
    return r;
}

int OS_WRAPPED(pselect)(int n, fd_set *restrict rd, fd_set *restrict wr, fd_set *restrict ex,
                        const struct timespec *restrict t, const sigset_t *restrict mask)
{
    struct wait w = wait_begin();
    sigset_t copy;
    const sigset_t *open = waits_open(mask, &copy);
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real_pselect(n, rd, wr, ex, t, open);
    while (r < 0 && wait_again(&w)) {
        struct timespec left = t ? waits_left(waits_end(start, t)) : (struct timespec){0, 0};
        r = os_real_pselect(n, rd, wr, ex, t ? &left : NULL, open);
    }
    wait_end(&w);
    return r;
}

/* Rounded up: what is left of a millisecond is not to be waited for in a loop. */
static int ms_left(uint64_t end)
{
    uint64_t ns = waits_left_ns(end, os_now_ns());
    return (int)((ns + WAITS_MS_NS - 1) / WAITS_MS_NS);
}

int OS_WRAPPED(epoll_wait)(int fd, struct epoll_event *events, int n, int ms)
{
    struct wait w = wait_begin();
    uint64_t end = end_after_ms(ms > 0 ? os_now_ns() : 0, ms);
    int r = os_real_epoll_wait(fd, events, n, ms);
    while (r < 0 && wait_again(&w))
        r = os_real_epoll_wait(fd, events, n, ms > 0 ? ms_left(end) : ms);
    wait_end(&w);
    return r;
}

int OS_WRAPPED(epoll_pwait)(int fd, struct epoll_event *events, int n, int ms, const sigset_t *mask)
{
    struct wait w = wait_begin();
    sigset_t copy;
    const sigset_t *open = waits_open(mask, &copy);
    uint64_t end = end_after_ms(ms > 0 ? os_now_ns() : 0, ms);
    int r = os_real_epoll_pwait(fd, events, n, ms, open);
    while (r < 0 && wait_again(&w))
        r = os_real_epoll_pwait(fd, events, n, ms > 0 ? ms_left(end) : ms, open);
    wait_end(&w);
    return r;
}

int OS_WRAPPED(epoll_pwait2)(int fd, struct epoll_event *events, int n, const struct timespec *t, const sigset_t *mask)
{
    struct wait w = wait_begin();
    sigset_t copy;
    const sigset_t *open = waits_open(mask, &copy);
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real_epoll_pwait2(fd, events, n, t, open);
    while (r < 0 && wait_again(&w)) {
        struct timespec left = t ? waits_left(waits_end(start, t)) : (struct timespec){0, 0};
        r = os_real_epoll_pwait2(fd, events, n, t ? &left : NULL, open);
    }
    wait_end(&w);
    return r;
}

/* ---- semaphores and messages ---- */

/* Of calls that are simply made again: their time is a point in time, or they have none. */
#define WRAP(type, name, parameters, arguments)                                                                        \
    type OS_WRAPPED(name) parameters                                                                                   \
    {                                                                                                                  \
        struct wait w = wait_begin();                                                                                  \
        type r;                                                                                                        \
        do                                                                                                             \
            r = os_real_##name arguments;                                                                              \
        while (r < 0 && wait_again(&w));                                                                               \
        wait_end(&w);                                                                                                  \
        return r;                                                                                                      \
    }

WRAP(int, sem_timedwait, (sem_t *restrict sem, const struct timespec *restrict until), (sem, until))
WRAP(int, sem_clockwait, (sem_t *restrict sem, clockid_t clock, const struct timespec *restrict until),
     (sem, clock, until))
WRAP(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n))
WRAP(ssize_t, msgrcv, (int id, void *m, size_t n, long type, int flags), (id, m, n, type, flags))
WRAP(int, msgsnd, (int id, const void *m, size_t n, int flags), (id, m, n, flags))

int OS_WRAPPED(semtimedop)(int id, struct sembuf *ops, size_t n, const struct timespec *t)
{
    struct wait w = wait_begin();
    uint64_t start = t ? os_now_ns() : 0;
    int r = os_real_semtimedop(id, ops, n, t);
    while (r < 0 && wait_again(&w)) {
        struct timespec left = t ? waits_left(waits_end(start, t)) : (struct timespec){0, 0};
        r = os_real_semtimedop(id, ops, n, t ? &left : NULL);
    }
    wait_end(&w);
    return r;
}
