/* interrupted.c - a thread that spins without any call, stopped by the signal: each of its registers, general, MMX,
 * vector and mask, whole, and each word of the red zone below its stack pointer, is the only place of an object.
 * Holds rootjobs.all, os_cpu.xsave. */
#include "places.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined __x86_64__

enum {
    GENERAL = 15, /* all but the stack pointer */
    MMX = 8,
    RED_ZONE = 16,
    FIXED = GENERAL + MMX + RED_ZONE,
    XMM = 16 * 2,
    YMM = 16 * 4,
    MASK = 7, /* k0 too is saved, but is not loaded as others are */
    ZMM = 32 * 8
};

/* Where the registers come from: malloc memory, which is not scanned. */
void **spin_table;
void (*spin_load)(void **table);
volatile int spin_state;

/* Loads everything from spin_table, the vectors by spin_load, stores 1 to spin_state and spins until it is 2. */
void spin_with_registers(void);
__asm__(".text\n"
        ".type spin_with_registers, @function\n"
        "spin_with_registers:\n"
        "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    subq $8, %rsp\n"
        "    movq spin_table(%rip), %rdi\n"
        "    leaq 8*39(%rdi), %rdi\n"
        "    call *spin_load(%rip)\n"
        "    movq spin_table(%rip), %rdi\n"
        /* the red zone, by way of one register */
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movq 8*(23+\\i)(%rdi), %rax\n"
        "    movq %rax, -8-8*\\i(%rsp)\n"
        ".endr\n"
        ".irp i, 0,1,2,3,4,5,6,7\n"
        "    movq 8*(15+\\i)(%rdi), %mm\\i\n"
        ".endr\n"
        "    movq 8*0(%rdi), %rax\n"
        "    movq 8*1(%rdi), %rbx\n"
        "    movq 8*2(%rdi), %rcx\n"
        "    movq 8*3(%rdi), %rdx\n"
        "    movq 8*4(%rdi), %rsi\n"
        "    movq 8*5(%rdi), %rbp\n"
        "    movq 8*6(%rdi), %r8\n"
        "    movq 8*7(%rdi), %r9\n"
        "    movq 8*8(%rdi), %r10\n"
        "    movq 8*9(%rdi), %r11\n"
        "    movq 8*10(%rdi), %r12\n"
        "    movq 8*11(%rdi), %r13\n"
        "    movq 8*12(%rdi), %r14\n"
        "    movq 8*13(%rdi), %r15\n"
        "    movq 8*14(%rdi), %rdi\n"
        "    movl $1, spin_state(%rip)\n"
        "1:  pause\n"
        "    cmpl $2, spin_state(%rip)\n"
        "    jne 1b\n"
        "    emms\n"
        "    addq $8, %rsp\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "    ret\n"
        ".size spin_with_registers, .-spin_with_registers\n"

        ".type load_xmm, @function\n"
        "load_xmm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movdqu 16*\\i(%rdi), %xmm\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_xmm, .-load_xmm\n"

        ".type load_ymm, @function\n"
        "load_ymm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovdqu 32*\\i(%rdi), %ymm\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_ymm, .-load_ymm\n"

        ".type load_zmm, @function\n"
        "load_zmm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "    vmovdqu64 64*\\i(%rdi), %zmm\\i\n"
        ".endr\n"
        ".irp i, 1,2,3,4,5,6,7\n"
        "    kmovq 64*32+8*(\\i-1)(%rdi), %k\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_zmm, .-load_zmm\n");
void load_xmm(void **table);
void load_ymm(void **table);
void load_zmm(void **table);

static void *spin_twice(void *unused)
{
    spin_with_registers();
    memset(spin_table, 0, HELD_MAX * sizeof *spin_table);
    spin_with_registers();
    return unused;
}

static void wait_until_it_spins(void)
{
    while (spin_state != 1)
        sched_yield();
}

/* The registers in the objects' order, then cleared: the thread spins on. */
static void spin_and_check(void (*load)(void **), size_t vectors, size_t offset)
{
    pthread_t t;
    size_t n = FIXED + vectors;
    held_make(n, offset);
    spin_table = calloc(HELD_MAX, sizeof *spin_table);
    held_put((void *volatile *)spin_table, 0, n);
    spin_load = load;
    spin_state = 0;
    ck_assert_int_eq(pthread_create(&t, NULL, spin_twice, NULL), 0);
    wait_until_it_spins();
    held_shake();
    held_check();
    spin_state = 2;
    while (spin_state == 2)
        sched_yield();
    held_must_go();
    spin_state = 2;
    pthread_join(t, NULL);
    free(spin_table);
}

/* Rounds enough that the objects which must go are more than 1,000. */
static void spin_all(void (*load)(void **), size_t vectors, size_t offset)
{
    if (sanitizer_is("thread"))
        return; /* it hands signals on at library calls only, and the thread makes none */
    for (size_t n = 0; n <= 1000; n += FIXED + vectors)
        spin_and_check(load, vectors, offset);
}

START_TEST(xmm) { spin_all(load_xmm, XMM, 0); }
END_TEST
START_TEST(xmm_interior) { spin_all(load_xmm, XMM, 37); }
END_TEST
START_TEST(xmm_one_past_the_end) { spin_all(load_xmm, XMM, HELD_SIZE); }
END_TEST

START_TEST(ymm)
{
    if (!__builtin_cpu_supports("avx"))
        return;
    spin_all(load_ymm, YMM, 0);
    spin_all(load_ymm, YMM, 37);
    spin_all(load_ymm, YMM, HELD_SIZE);
}
END_TEST

START_TEST(zmm)
{
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw")) {
        fprintf(stderr, "api/interrupted: zmm: this CPU has no AVX-512: nothing was tested\n");
        return;
    }
    spin_all(load_zmm, ZMM + MASK, 0);
    spin_all(load_zmm, ZMM + MASK, 37);
    spin_all(load_zmm, ZMM + MASK, HELD_SIZE);
}
END_TEST

#endif

/* In C, whatever the CPU: what the compiler keeps where while a loop without a call runs. */
static _Atomic int go;
static _Atomic uintptr_t sum;

static NOINLINE void spin_in_c(void)
{
    const unsigned char *a = held_pointer(0), *b = held_pointer(1), *c = held_pointer(2);
    uintptr_t n = 0;
    atomic_store_explicit(&go, 1, memory_order_release);
    while (atomic_load_explicit(&go, memory_order_relaxed) == 1) {
        n += a[n % HELD_SIZE] + b[n % HELD_SIZE];
        n ^= c[n % HELD_SIZE];
    }
    sum = n + a[0] + b[0] + c[0];
}

static void *spinner(void *unused)
{
    spin_in_c();
    return unused;
}

START_TEST(in_c)
{
    pthread_t t;
    if (sanitizer_is("thread"))
        return;
    held_make(3, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, spinner, NULL), 0);
    while (go != 1)
        sched_yield();
    held_shake();
    held_check();
    go = 2;
    pthread_join(t, NULL);
}
END_TEST

static void tests(TCase *tc)
{
#if defined __x86_64__
    tcase_add_test(tc, xmm);
    tcase_add_test(tc, xmm_interior);
    tcase_add_test(tc, xmm_one_past_the_end);
    tcase_add_test(tc, ymm);
    tcase_add_test(tc, zmm);
#endif
    tcase_add_test(tc, in_c);
}
CHECK_MAIN("api/interrupted", tests)
