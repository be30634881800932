/* wrap_masks.c - signal masks, as the program sets them.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .signal  the program never blocks the stop signal by these calls
 * Below:  stop, os_real.   Above: the program, and every library that it loads. */
#include "os/os_real.h"
#include "world/stop.h"

int OS_WRAPPED(pthread_sigmask)(int how, const sigset_t *restrict set, sigset_t *restrict old);
int OS_WRAPPED(sigprocmask)(int how, const sigset_t *restrict set, sigset_t *restrict old);

/* Blocking is asked for without our signal; what the program reads back never names it. */
static const sigset_t *without_ours(int how, const sigset_t *set, sigset_t *copy)
{
    if (!set || how == SIG_UNBLOCK || stop_signal() == 0)
        return set;
    *copy = *set;
    sigdelset(copy, stop_signal());
    return copy;
}

int OS_WRAPPED(pthread_sigmask)(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    sigset_t copy;
    return os_real_pthread_sigmask(how, without_ours(how, set, &copy), old);
}

int OS_WRAPPED(sigprocmask)(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    sigset_t copy;
    return os_real_sigprocmask(how, without_ours(how, set, &copy), old);
}
