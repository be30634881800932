/* cloned.h - threads made by clone, as a runtime of its own makes them: no pthread_create, no thread-local storage but
 * what they are given. Such a thread calls nothing of the C library: it has no errno of its own. */
#ifndef API_CLONED_H
#define API_CLONED_H

#include "hidden.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { CLONED_STACK = 64 * 1024 };

#if defined __x86_64__
static inline long raw(long n, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
#else
static inline long raw(long n, long a, long b, long c, long d) { return syscall(n, a, b, c, d); }
#endif

static inline void sleep_on(_Atomic int *word, int seen) { raw(SYS_futex, (long)word, FUTEX_WAIT, seen, 0); }
static inline void wake(_Atomic int *word) { raw(SYS_futex, (long)word, FUTEX_WAKE, INT32_MAX, 0); }

static inline void wait_until(_Atomic int *word, int value)
{
    for (int v; (v = atomic_load(word)) != value;)
        sleep_on(word, v);
}

static inline void tell(_Atomic int *word, int value)
{
    atomic_store(word, value);
    wake(word);
}

struct cloned {
    char *stack;
    _Atomic int tid; /* cleared by the kernel as it ends */
};

static inline void *map_pages(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

/* With flags CLONE_SETTLS, `tls` is its thread pointer; else it shares the maker's. */
static inline void start_cloned(struct cloned *c, int (*fn)(void *), void *arg, int flags, void *tls)
{
    if (!c->stack)
        c->stack = map_pages(CLONED_STACK);
    atomic_store(&c->tid, -1);
    int all = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    if (clone(fn, c->stack + CLONED_STACK - 256, all | flags, arg, NULL, tls, &c->tid) < 0)
        ck_abort_msg("clone: %d", errno);
}

static inline void join_cloned(struct cloned *c)
{
    for (int v; (v = atomic_load(&c->tid)) != 0;)
        sleep_on(&c->tid, v);
}

/* Of the thread: 0, 1 it holds, 2 it is to end. */
static _Atomic int state;

static NOINLINE void check_while_held(void)
{
    wait_until(&state, 1);
    collect_around();
    check_hidden();
    tell(&state, 2);
}

static int warnings;
static char last_warning[512];

static inline void note_warning(const char *message)
{
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

#endif
