/* wrap_exec.c - a program that replaces itself leaves no signal of ours behind: one that is pending lives on in the new
 * program, where nobody handles it, and kills it.
 * Owns:   nothing.
 * Locks:  WORLD, over the call. It is taken in no handler that interrupted the library, and in no child of vfork, whose
 *         memory is its parent's.
 * Keeps:  .none  when the kernel is entered, no stop signal waits for this thread, and none can be sent to it
 *         .mask  the new program begins with the mask that the program set; no handler of the program has had to wait
 *                for it, nor runs with the lock but in the few instructions before the call
 * Below:  stop, thread, os_calls.   Above: the program, and every library that it loads. */
#include "os/os.h"
#include "os/os_calls.h"
#include "base/inside.h"
#include "world/region.h"
#include "world/stop.h"
#include "world/thread.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>

int OS_WRAPPED(execl)(const char *path, const char *arg, ...);
int OS_WRAPPED(execlp)(const char *file, const char *arg, ...);
int OS_WRAPPED(execle)(const char *path, const char *arg, ...);

/* What was sent before the lock was taken is handled by the end of any system call, such as the one that asks what is
 * pending. The program's signals that came meanwhile are its handlers' first. */
static bool taken(uint64_t open)
{
    lock_acquire(&world_lock);
    if (!(os_pending_signals() & open))
        return true;
    lock_release(&world_lock);
    return false;
}

static bool keep_stops_away(void)
{
    const struct thread *t = thread_self();
    if (!t || t->tid != os_tid() || inside() || atomic_load_explicit(&t->mcache.busy, memory_order_relaxed))
        return false;
    for (bool done = false; !done;) {
        sigset_t old;
        os_block_signals_but(stop_signal(), &old);
        done = taken(~os_signal_bits(&old));
        os_restore_signals(&old);
    }
    return true;
}

static int failed(bool kept, int r)
{
    int saved = errno;
    if (kept)
        lock_release(&world_lock);
    errno = saved;
    return r;
}

#define WRAP(name, parameters, arguments)                                                                              \
    int OS_WRAPPED(name) parameters                                                                                    \
    {                                                                                                                  \
        bool kept = keep_stops_away();                                                                                 \
        return failed(kept, os_real_##name arguments);                                                                 \
    }

WRAP(execve, (const char *path, char *const argv[], char *const env[]), (path, argv, env))
WRAP(execv, (const char *path, char *const argv[]), (path, argv))
WRAP(execvp, (const char *file, char *const argv[]), (file, argv))
WRAP(execvpe, (const char *file, char *const argv[], char *const env[]), (file, argv, env))
WRAP(fexecve, (int fd, char *const argv[], char *const env[]), (fd, argv, env))
WRAP(execveat, (int fd, const char *path, char *const argv[], char *const env[], int flags),
     (fd, path, argv, env, flags))

/* ---- arguments in a row: no memory but the stack's is to be had in a signal handler or a child of vfork ---- */

static size_t count(va_list ap)
{
    size_t n = 1;
    while (va_arg(ap, char *))
        n++;
    return n;
}

#define COLLECT(argv, first)                                                                                           \
    va_list ap_;                                                                                                       \
    va_start(ap_, first);                                                                                              \
    size_t n_ = count(ap_);                                                                                            \
    va_end(ap_);                                                                                                       \
    char **argv = alloca((n_ + 1) * sizeof *argv);                                                                     \
    argv[0] = (char *)(first);                                                                                         \
    va_start(ap_, first);                                                                                              \
    for (size_t i_ = 1; i_ <= n_; i_++)                                                                                \
    argv[i_] = va_arg(ap_, char *)

int OS_WRAPPED(execl)(const char *path, const char *arg, ...)
{
    COLLECT(argv, arg);
    va_end(ap_);
    bool kept = keep_stops_away();
    return failed(kept, os_real_execv(path, argv));
}

int OS_WRAPPED(execlp)(const char *file, const char *arg, ...)
{
    COLLECT(argv, arg);
    va_end(ap_);
    bool kept = keep_stops_away();
    return failed(kept, os_real_execvp(file, argv));
}

int OS_WRAPPED(execle)(const char *path, const char *arg, ...)
{
    COLLECT(argv, arg);
    char *const *env = va_arg(ap_, char *const *);
    va_end(ap_);
    bool kept = keep_stops_away();
    return failed(kept, os_real_execve(path, argv, env));
}
