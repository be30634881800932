/* cloned.h - threads made by clone, as a runtime of its own makes them: no pthread_create, no thread-local storage but
 * what they are given. Such a thread calls nothing of the C library: it has no errno of its own. */
#ifndef API_CLONED_H
#define API_CLONED_H

#include "helpers.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { CLONED_STACK = 64 * 1024, N = 100, SIZE = 64 };

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

/* Objects for a thread, in memory that holds nothing. */
static uintptr_t *hidden;

static NOINLINE void build_hidden(void)
{
    hidden = malloc(N * sizeof *hidden);
    gc_disable();
    for (size_t i = 0; i < N; i++) {
        hidden[i] = hide(make_filled(SIZE, i));
        make_filled(SIZE, i + 1);
    }
}

/* Some place holds them: collect and hand the other slots out again. */
static NOINLINE void collect_around(void)
{
    gc_enable();
    for (int i = 0; i < 3; i++) {
        settle();
        churn(SIZE, 3 * N);
    }
}

static inline void check_hidden(void)
{
    for (size_t i = 0; i < N; i++)
        check_live(reveal(hidden[i]), SIZE, i);
}

/* Nothing holds them now. */
static NOINLINE void check_freed(void)
{
    size_t left = 0;
    settle();
    settle();
    for (size_t i = 0; i < N; i++)
        left += gc_base(reveal(hidden[i])) == reveal(hidden[i]);
    ck_assert_uint_le(left, N / 10);
}

static inline void reveal_all(void *volatile *to)
{
    for (size_t i = 0; i < N; i++)
        to[i] = reveal(hidden[i]);
}

#if defined __x86_64__
/* Objects in registers only, below the stack pointer, and in a vector register. */
void hold_in_16(const uintptr_t h[16], _Atomic int *state);
__asm__(".text\n"
        ".type hold_in_16, @function\n"
        "hold_in_16:\n"
        "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    movq 0(%rdi), %rax;  notq %rax\n"
        "    movq 8(%rdi), %rbx;  notq %rbx\n"
        "    movq 16(%rdi), %rcx; notq %rcx\n"
        "    movq 24(%rdi), %rbp; notq %rbp\n"
        "    movq 32(%rdi), %r8;  notq %r8\n"
        "    movq 40(%rdi), %r9;  notq %r9\n"
        "    movq 48(%rdi), %r10; notq %r10\n"
        "    movq 56(%rdi), %r11; notq %r11\n"
        "    movq 64(%rdi), %r12; notq %r12\n"
        "    movq 72(%rdi), %r13; notq %r13\n"
        "    movq 80(%rdi), %r14; notq %r14\n"
        "    movq 88(%rdi), %r15; notq %r15\n"
        "    movq 96(%rdi), %rdx;  notq %rdx; movq %rdx, %xmm5; pslldq $8, %xmm5\n"
        "    movq 104(%rdi), %rdx; notq %rdx; movq %rdx, %xmm15\n"
        "    movq 112(%rdi), %rdx; notq %rdx; movq %rdx, -120(%rsp)\n"
        "    movq 120(%rdi), %rdi; notq %rdi\n"
        "    xorl %edx, %edx\n"
        "    movl $1, (%rsi)\n"
        "1:  pause\n"
        "    cmpl $2, (%rsi)\n"
        "    jne 1b\n"
        "    movq %rdx, -120(%rsp)\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "    ret\n"
        ".size hold_in_16, .-hold_in_16\n");
#endif

static int warnings;
static char last_warning[512];

static inline void note_warning(const char *message)
{
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

#endif
