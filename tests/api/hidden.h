/* hidden.h - objects that some place of a thread holds and nothing else does. */
#ifndef API_HIDDEN_H
#define API_HIDDEN_H

#include "helpers.h"

#include <stdatomic.h>

enum { N = 100, SIZE = 64 };

/* The truth about them, in memory that holds nothing. */
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

#endif
