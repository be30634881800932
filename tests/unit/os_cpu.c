/* os_cpu.c - what the context of an interrupted thread shows: its stack, its general and its vector registers. */
#include "../check_main.h"

#include "os/os.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Never in the program as it is, only this number's complement: a copy elsewhere must not be what is found. */
static volatile uint64_t not_secret = ~UINT64_C(0x5ec4e75ec4e75ec4);

static bool holds(struct os_range r, uint64_t word)
{
    for (uintptr_t p = r.lo; p + sizeof word <= r.hi; p += sizeof word)
        if (memcmp((void *)p, &word, sizeof word) == 0)
            return true;
    return false;
}

static bool vectors_hold(const void *context, uint64_t word)
{
    struct os_range r[OS_VECTOR_RANGES];
    size_t n = os_context_vectors(context, r);
    for (size_t i = 0; i < n; i++)
        if (holds(r[i], word))
            return true;
    return false;
}

static _Alignas(uint64_t) char alternate[1 << 16];
static bool in_registers, in_vectors, altstack_right, stack_right;
static uintptr_t interrupted_frame;
static bool on_alternate;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    in_registers = holds(os_context_registers(context), ~not_secret);
    in_vectors = vectors_hold(context, ~not_secret);
    uintptr_t sp = os_context_stack(context);
    stack_right = sp < interrupted_frame && interrupted_frame - sp < 4096;
    struct os_range alt = os_context_altstack(context);
    uintptr_t end = (uintptr_t)alternate + sizeof alternate;
    altstack_right = on_alternate ? alt.hi == end && alt.lo <= interrupted_frame && alt.lo >= (uintptr_t)alternate
                                  : alt.lo == alt.hi;
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = fn;
    sa.sa_flags = SA_SIGINFO | flags;
    ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
}

enum place { NOWHERE, GENERAL, VECTOR, UPPER_VECTOR };

#ifdef __x86_64__

#define SIGNAL_SELF                                                                                                    \
    "syscall" : : "a"(SYS_tgkill),                                                                                     \
                  "D"(getpid()),                                                                                       \
                  "S"(os_tid()),                                                                                       \
                  "d"(SIGUSR1),                                                                                        \
                  "r"(not_secret)                                                                                      \
        : "rcx", "r11", "memory", "r12", "xmm7"

/* The secret is in one register when the signal comes, and in no other place. */
static void interrupt_with_secret(enum place place)
{
    char frame;
    interrupted_frame = (uintptr_t)&frame;
    switch (place) {
    case GENERAL:
        __asm__ volatile("mov %4, %%r12\n\tnot %%r12\n\t" SIGNAL_SELF);
        break;
    case VECTOR:
        __asm__ volatile("mov %4, %%r12\n\tnot %%r12\n\tmovq %%r12, %%xmm7\n\txor %%r12, %%r12\n\t" SIGNAL_SELF);
        break;
    case UPPER_VECTOR:
        __asm__ volatile(
            "mov %4, %%r12\n\tnot %%r12\n\tmovq %%r12, %%xmm7\n\txor %%r12, %%r12\n\t"
            "vinsertf128 $1, %%xmm7, %%ymm7, %%ymm7\n\t"
            "vperm2f128 $0x81, %%ymm7, %%ymm7, %%ymm7\n\tvperm2f128 $0x08, %%ymm7, %%ymm7, %%ymm7\n\t" SIGNAL_SELF);
        break;
    case NOWHERE:
        __asm__ volatile("xor %%r12, %%r12\n\tpxor %%xmm7, %%xmm7\n\t" SIGNAL_SELF);
        break;
    }
}

static bool has_avx(void) { return __builtin_cpu_supports("avx"); }

#else

static void interrupt_with_secret(enum place place)
{
    (void)place;
    char frame;
    interrupted_frame = (uintptr_t)&frame;
    raise(SIGUSR1);
}

static bool has_avx(void) { return false; }

#endif

START_TEST(registers)
{
    handle(SIGUSR1, on_signal, 0);
    interrupt_with_secret(NOWHERE);
    ck_assert(stack_right && altstack_right);
    ck_assert(!in_registers && !in_vectors);
    interrupt_with_secret(GENERAL);
    ck_assert(in_registers && !in_vectors);
    interrupt_with_secret(VECTOR);
    ck_assert(!in_registers && in_vectors);
}
END_TEST

/* os_xstate.holes: the frame lies where the stack is full of the secret, and the kernel does not write all of it. */
START_TEST(between_registers)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    for (size_t i = 0; i < sizeof alternate; i += sizeof not_secret)
        *(volatile uint64_t *)(void *)&alternate[i] = ~not_secret;
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    handle(SIGUSR1, on_signal, SA_ONSTACK);
    interrupt_with_secret(NOWHERE);
    ck_assert(!in_vectors);
    interrupt_with_secret(VECTOR);
    ck_assert(in_vectors);
}
END_TEST

/* os_xstate.whole: the upper half of a vector register alone. */
START_TEST(upper_half)
{
    handle(SIGUSR1, on_signal, 0);
    if (!has_avx())
        return;
    interrupt_with_secret(UPPER_VECTOR);
    ck_assert(!in_registers && in_vectors);
}
END_TEST

static void on_alternate_stack(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    interrupt_with_secret(NOWHERE);
}

/* A handler of the program runs on the alternate stack and is interrupted there. */
START_TEST(alternate_stack)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    handle(SIGUSR1, on_signal, 0);
    handle(SIGUSR2, on_alternate_stack, SA_ONSTACK);
    interrupt_with_secret(NOWHERE);
    ck_assert(altstack_right && stack_right);
    on_alternate = true;
    raise(SIGUSR2);
    ck_assert(altstack_right && stack_right);
}
END_TEST

static void tests(TCase *tc)
{
    (void)has_avx;
    tcase_add_test(tc, alternate_stack);
#ifdef __x86_64__
    tcase_add_test(tc, registers);
    tcase_add_test(tc, between_registers);
    tcase_add_test(tc, upper_half);
#endif
}
CHECK_MAIN("unit/os_cpu", tests)
