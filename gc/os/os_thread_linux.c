/* os_thread_linux.c - thread ids, stacks, futexes, signals, without the wrappers that the program sees.
 * Owns:   nothing. Locks: none.
 * Keeps:  .raw  signal masks and signals go by system call, so that our own wrappers are not entered
 *         .errno  what the stop's handler calls leaves errno alone: see os_syscall
 *         .cancel  nothing that runs while the world is stopped is a point of cancellation: the collecting thread would
 *                  leave with all its locks                                                     (read_pagemap)
 * Below:  the kernel, glibc.   Above: world/. */
#include "os/os_file.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

int os_tid(void) { return (int)os_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0); }
int os_pid(void) { return (int)os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0); }

/* The dynamic linker's, or the C library's in a static program. */
extern void *__libc_stack_end __attribute__((weak));

uintptr_t os_main_stack_address(void) { return &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0; }

NO_CANARY void os_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
    struct timespec t = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    os_syscall(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, seen, timeout_ns == UINT64_MAX ? 0 : (long)&t, 0, 0);
}

uintptr_t os_main_stack_begin(uintptr_t lo, uintptr_t hi)
{
    enum { WITHOUT_LIMIT = 8 << 20 };
    struct rlimit r;
    int saved = errno;
    uintptr_t most = getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur != RLIM_INFINITY ? r.rlim_cur : WITHOUT_LIMIT;
    errno = saved;
    return hi - lo < most ? lo : hi - most;
}

void os_futex_wake(_Atomic uint32_t *word, uint32_t sleepers)
{
    os_syscall(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, sleepers, 0, 0, 0);
}

void os_futex_wake_all(_Atomic uint32_t *word) { os_futex_wake(word, INT32_MAX); }

/* glibc keeps the real-time signals that it uses itself, and those taken here, out of SIGRTMIN..SIGRTMAX. It exports
 * this for such use but declares it in no header; weak, so that other C libraries link. */
extern int __libc_allocate_rtsig(int high) __attribute__((weak));

int os_take_signal(void)
{
    int sig = __libc_allocate_rtsig ? __libc_allocate_rtsig(1) : -1;
    return sig > 0 ? sig : SIGRTMAX - 3;
}

enum os_sent os_signal_thread(int tid, int sig, void *value)
{
    siginfo_t si;
    memset(&si, 0, sizeof si);
    si.si_signo = sig;
    si.si_code = SI_QUEUE;
    si.si_pid = os_pid();
    si.si_uid = getuid();
    si.si_value.sival_ptr = value;
    if (syscall(SYS_rt_tgsigqueueinfo, si.si_pid, tid, sig, &si) == 0)
        return OS_SENT;
    return errno == ESRCH ? OS_GONE : OS_RETRY;
}

/* A main thread that ended before the others stays, as one that ended. The others are gone at once. */
bool os_thread_alive(int tid)
{
    int pid = os_pid();
    if (os_syscall(SYS_tgkill, pid, tid, 0, 0, 0, 0) == -ESRCH)
        return false;
    return tid != pid || os_task_state(tid) != OS_TASK_ENDED;
}

/* The kernel's signal set is _NSIG / 8 bytes, shorter than the C library's. */
enum { KERNEL_SIGSET = 8 };

static void block(const sigset_t *set, sigset_t *old)
{
    memset(old, 0, sizeof *old);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, set, old, KERNEL_SIGSET);
}

void os_fill_signals(sigset_t *set) { memset(set, 0xff, sizeof *set); }

void os_block_signals(sigset_t *old)
{
    sigset_t all;
    os_fill_signals(&all);
    block(&all, old);
}

void os_block_signals_but(int sig, sigset_t *old)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, sig);
    block(&set, old);
}

void os_restore_signals(const sigset_t *old) { syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, KERNEL_SIGSET); }

void os_unblock_signal(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, KERNEL_SIGSET);
}

uint64_t os_signal_bits(const sigset_t *set)
{
    uint64_t bits;
    memcpy(&bits, set, sizeof bits);
    return bits;
}

uint64_t os_pending_signals(void)
{
    uint64_t bits = 0;
    syscall(SYS_rt_sigpending, &bits, KERNEL_SIGSET);
    return bits;
}

uint64_t os_context_blocked(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    return os_signal_bits(&uc->uc_sigmask);
}

bool os_timer_create(int sig, int *id)
{
    struct sigevent e;
    memset(&e, 0, sizeof e);
    e.sigev_notify = SIGEV_THREAD_ID;
    e.sigev_signo = sig;
    e._sigev_un._tid = os_tid();
    return syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, id) == 0;
}

void os_timer_set(int id, uint64_t ns)
{
    struct itimerspec t = {.it_value = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};
    syscall(SYS_timer_settime, id, 0, &t, NULL);
}

void os_timer_delete(int id) { syscall(SYS_timer_delete, id); }

struct os_range os_own_altstack(void)
{
    stack_t ss;
    if (sigaltstack(NULL, &ss) != 0 || (ss.ss_flags & SS_DISABLE))
        return (struct os_range){0, 0};
    return (struct os_range){(uintptr_t)ss.ss_sp, (uintptr_t)ss.ss_sp + ss.ss_size};
}

/* A sandbox may know no mincore: then what can be read counts as there. */
static bool all_readable(uintptr_t p, size_t n, unsigned char *resident)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bool all = os_try_read(p, p + n) == OS_READS;
    for (size_t at = 0; !all && at < n; at += page)
        if (!os_readable(p + at))
            return false;
    memset(resident, 1, n / page);
    return true;
}

bool os_resident(uintptr_t p, size_t n, unsigned char *resident)
{
    if (mincore((void *)p, n, resident) != 0)
        return errno != ENOMEM && all_readable(p, n, resident);
    for (size_t i = 0; i < n / (size_t)sysconf(_SC_PAGESIZE); i++)
        resident[i] &= 1;
    return true;
}

/* Swap may be added while the program runs. */
static bool swapping(void)
{
    struct sysinfo si;
    return sysinfo(&si) != 0 || si.totalswap > 0;
}

/* Bits 63 and 62 of an entry: present, swapped. The latter is set for a guard (MADV_GUARD_INSTALL), too. */
static bool read_pagemap(uintptr_t p, size_t n, unsigned char *used)
{
    enum { BATCH = 64 };
    uint64_t entries[BATCH];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (n > BATCH)
        return false;
    int fd = os_file_open("/proc/thread-self/pagemap");
    if (fd < 0)
        return false;
    long want = (long)(n * sizeof *entries);
    bool ok = os_syscall(SYS_pread64, fd, (long)entries, want, (long)(p / page * sizeof *entries), 0, 0) == want;
    os_file_close(fd);
    for (size_t i = 0; ok && i < n; i++)
        used[i] = entries[i] >> 62 != 0;
    return ok;
}

/* mincore calls a page that is swapped out not resident. Where pagemap cannot be read, all may have contents. */
bool os_in_use(uintptr_t p, size_t n, unsigned char *used)
{
    if (!os_resident(p, n, used))
        return false;
    size_t pages = n / (size_t)sysconf(_SC_PAGESIZE);
    if (memchr(used, false, pages) && swapping() && !read_pagemap(p, pages, used))
        memset(used, true, pages);
    return true;
}
