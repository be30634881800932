/* os_ptrace_linux.c - a tracer that holds threads of this process which no signal reaches.
 * Owns:   nothing; the caller's memory is the tracer's, its stack included, until os_hold_end.
 * Locks:  none.
 * Keeps:  .unseen  the tracer has no exit signal and shares files and memory: no SIGCHLD, no wait but one for clones, no
 *                  copy of a descriptor tells the program that it was there
 *         .bare    it runs on the caller's thread pointer, and while the C library's locks may be held: it makes system
 *                  calls and nothing else
 *         .end     when it ends, whatever ends it, the kernel lets go of all that it holds
 * Below:  ptrace(2).   Above: world/deaf.c.
 *
 * A thread cannot trace one of its own process, so the tracer is a process of its own, as in the StopTheWorld of LLVM's
 * leak sanitizer. PTRACE_SEIZE and PTRACE_INTERRUPT send no signal: the kernel restarts an interrupted call by itself. */
#include "os/os.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum { STACK = 64 * 1024, TABLE_ALIGN = 64, LEAST_NAP_NS = 10 * 1000, NAP_NS = 1000 * 1000 };

/* DONE is the tracer's word, the others the holder's. */
enum phase { PHASE_ASKED, PHASE_DONE, PHASE_END };

/* In the caller's memory, before the areas for registers and the stack. */
struct os_holder {
    _Atomic uint32_t phase;  /* futex */
    _Atomic uint32_t exists; /* the tracer's id, cleared by the kernel when it no longer uses this memory */
    int owner, pid;          /* the process that holds, and the tracer */
    size_t n;
    struct os_held held[];
};

static size_t table_bytes(size_t n)
{
    return round_up(sizeof(struct os_holder) + n * sizeof(struct os_held), TABLE_ALIGN);
}

size_t os_hold_bytes(size_t n)
{
    size_t area = os_held_area();
    return area ? table_bytes(n) + n * area + STACK : 0;
}

struct os_holder *os_hold_layout(void *memory, size_t n)
{
    struct os_holder *h = memory;
    h->n = n;
    for (size_t i = 0; i < n; i++) {
        h->held[i] = (struct os_held){.state = OS_HELD_ASKED};
        h->held[i].area = (char *)memory + table_bytes(n) + i * os_held_area();
    }
    return h;
}

struct os_held *os_hold_at(struct os_holder *h, size_t i) { return &h->held[i]; }

/* ---- the tracer: .bare ---- */

static NO_CANARY NO_SANITIZE long trace(int request, const struct os_held *t, long data)
{
    return os_syscall(SYS_ptrace, request, t->tid, 0, data, 0, 0);
}

static NO_CANARY NO_SANITIZE size_t seize(struct os_holder *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++) {
        struct os_held *t = &h->held[i];
        if (t->state != OS_HELD_ASKED)
            continue;
        long e = trace(PTRACE_SEIZE, t, 0);
        if (e == 0)
            e = trace(PTRACE_INTERRUPT, t, 0);
        if (e == -ESRCH)
            t->state = OS_HELD_GONE;
        else if (e != 0)
            t->state = OS_HELD_REFUSED;
        else
            n++;
    }
    return n;
}

static NO_CANARY NO_SANITIZE struct os_held *find(struct os_holder *h, long tid)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->held[i].tid == tid)
            return &h->held[i];
    return NULL;
}

/* It may have stopped to take a signal instead: that is given to it when it is let go. */
static NO_CANARY NO_SANITIZE void note_stop(struct os_held *t, int status)
{
    if (!WIFSTOPPED(status)) {
        t->state = OS_HELD_GONE;
        return;
    }
    t->sig = status >> 16 ? 0 : WSTOPSIG(status);
    t->state = os_held_read(t) ? OS_HELD_STOPPED : OS_HELD_REFUSED;
    if (t->state == OS_HELD_REFUSED)
        trace(PTRACE_DETACH, t, t->sig);
}

/* Looks and naps by turns: a wait in the kernel could not be called off, and a tracer that is killed loses the signals
 * that threads stopped for. */
static NO_CANARY NO_SANITIZE void await_stops(struct os_holder *h, size_t n)
{
    uint64_t nap = LEAST_NAP_NS;
    while (n > 0 && atomic_load_explicit(&h->phase, memory_order_acquire) == PHASE_ASKED) {
        int status = 0;
        long tid = os_syscall(SYS_wait4, -1, (long)&status, __WALL | WNOHANG, 0, 0, 0);
        struct os_held *t = tid > 0 ? find(h, tid) : NULL;
        if (t && t->state == OS_HELD_ASKED) {
            note_stop(t, status);
            n--;
        } else if (tid <= 0) {
            os_futex_wait(&h->phase, PHASE_ASKED, nap);
            nap = nap < NAP_NS ? nap * 2 : NAP_NS;
        }
    }
}

/* DONE, unless the holder has called it off. Returns what it wants next. */
static NO_CANARY NO_SANITIZE uint32_t report_done(struct os_holder *h)
{
    uint32_t phase = PHASE_ASKED;
    if (atomic_compare_exchange_strong_explicit(&h->phase, &phase, PHASE_DONE, memory_order_acq_rel,
                                                memory_order_acquire)) {
        os_futex_wake_all(&h->phase);
        while ((phase = atomic_load_explicit(&h->phase, memory_order_acquire)) == PHASE_DONE)
            os_futex_wait(&h->phase, PHASE_DONE, UINT64_MAX);
    }
    return phase;
}

static NO_CANARY NO_SANITIZE int tracer(void *arg)
{
    struct os_holder *h = arg;
    os_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    if (os_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != h->owner)
        return 0; /* it ended before that */
    do
        await_stops(h, seize(h));
    while (report_done(h) != PHASE_END);
    for (size_t i = 0; i < h->n; i++)
        if (h->held[i].state == OS_HELD_STOPPED)
            trace(PTRACE_DETACH, &h->held[i], h->held[i].sig);
    return 0;
}

/* ---- the holder ---- */

/* ThreadSanitizer stands before clone and takes every call of it for a fork. It leaves the C library's other name for it. */
#ifdef __GLIBC__
__typeof__(clone) __clone;
#define clone __clone
#endif

/* No handler of the program may run in the tracer. */
static bool start(struct os_holder *h)
{
    sigset_t old;
    char *stack = (char *)h + os_hold_bytes(h->n);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED | CLONE_CHILD_CLEARTID;
    atomic_store_explicit(&h->phase, PHASE_ASKED, memory_order_relaxed);
    atomic_store_explicit(&h->exists, 1, memory_order_relaxed);
    h->owner = os_pid();
    os_block_signals(&old);
    h->pid = clone(tracer, (void *)round_down((uintptr_t)stack, 16), flags, h, NULL, NULL, &h->exists);
    os_restore_signals(&old);
    return h->pid > 0;
}

static bool wait_until_done(struct os_holder *h, uint64_t end)
{
    while (atomic_load_explicit(&h->phase, memory_order_acquire) != PHASE_DONE) {
        if (os_now_ns() >= end || atomic_load_explicit(&h->exists, memory_order_relaxed) == 0)
            return false;
        os_futex_wait(&h->phase, PHASE_ASKED, NAP_NS);
    }
    return true;
}

static bool refused(const struct os_holder *h)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->held[i].state == OS_HELD_REFUSED)
            return true;
    return false;
}

/* The Yama module wants a tracer that is no ancestor to be named. It forgets the name when the tracer ends; one that the
 * program gave before is lost. */
static bool ask_again(struct os_holder *h)
{
    if (os_syscall(SYS_prctl, PR_SET_PTRACER, h->pid, 0, 0, 0, 0) != 0)
        return false;
    for (size_t i = 0; i < h->n; i++)
        if (h->held[i].state == OS_HELD_REFUSED)
            h->held[i].state = OS_HELD_ASKED;
    atomic_store_explicit(&h->phase, PHASE_ASKED, memory_order_release);
    os_futex_wake_all(&h->phase);
    return true;
}

/* Its memory is free to be used again once the kernel has said that it is gone, whoever waited for it. */
static void bury(struct os_holder *h)
{
    while (os_syscall(SYS_wait4, h->pid, 0, __WALL, 0, 0, 0) == -EINTR)
        ;
    for (uint32_t e; (e = atomic_load_explicit(&h->exists, memory_order_acquire)) != 0;)
        os_futex_wait(&h->exists, e, NAP_NS);
}

/* A sandbox may kill who calls ptrace, and before Linux 5.16 that killed all who share its memory. */
static bool may_be_killed(void)
{
    enum { FILTERED = 2 };
    struct utsname u;
    if (os_syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) != FILTERED)
        return false;
    return uname(&u) != 0 || strverscmp(u.release, "5.16") < 0;
}

enum os_hold os_hold(struct os_holder *h, uint64_t end)
{
    if (may_be_killed() || !start(h))
        return OS_HOLD_REFUSED;
    bool done = wait_until_done(h, end);
    if (done && refused(h) && ask_again(h))
        done = wait_until_done(h, end);
    if (done && !refused(h))
        return OS_HOLD_DONE;
    bool killed = atomic_load_explicit(&h->exists, memory_order_relaxed) == 0;
    os_hold_end(h);
    return done || killed ? OS_HOLD_REFUSED : OS_HOLD_LATE;
}

void os_hold_end(struct os_holder *h)
{
    atomic_store_explicit(&h->phase, PHASE_END, memory_order_release);
    os_futex_wake_all(&h->phase);
    bury(h);
}
