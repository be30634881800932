/* interrupted.c - a thread that spins without any call, stopped by the signal: each of its registers, general, MMX,
 * vector and mask, whole, and each word of the red zone below its stack pointer, is the only place of an object.
 * Holds rootjobs.all, os_xstate.whole, os_xstate.holes. */
#include "places.h"
#include "registers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined __x86_64__

static void *spin_twice(void *unused)
{
    spin_with_registers();
    memset(registers_table, 0, HELD_MAX * sizeof *registers_table);
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
    registers_table = calloc(HELD_MAX, sizeof *registers_table);
    held_put((void *volatile *)registers_table, 0, n);
    registers_load = load;
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
    free(registers_table);
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
static volatile uintptr_t sum; /* what is never read again a compiler would not compute */

static NOINLINE void spin_in_c(void)
{
    const unsigned char *a = launder(held_pointer(0)), *b = launder(held_pointer(1)), *c = launder(held_pointer(2));
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
