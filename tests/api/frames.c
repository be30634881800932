/* frames.c - objects held by memory of alloca and of variable-length arrays, by a callback's callers, and by a jmp_buf.
 * Holds rootjobs.all, boundary.frame. */
#include "places.h"

#include <alloca.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

enum { PLACES = 1000 };

static NOINLINE void in_alloca(size_t n, size_t offset)
{
    holds_then_not(launder(alloca(n * sizeof(void *))), n, offset);
}

#pragma GCC diagnostic ignored "-Wvla"
static NOINLINE void in_vla(size_t n, size_t offset)
{
    void *place[n];
    holds_then_not(launder(place), n, offset);
}

static const size_t offsets[] = {0, 1, 33, HELD_SIZE - 1, HELD_SIZE};
enum { OFFSETS = sizeof offsets / sizeof *offsets };

START_TEST(memory_of_alloca) { in_alloca(PLACES, offsets[_i]); }
END_TEST
START_TEST(variable_length_array) { in_vla(PLACES, offsets[_i]); }
END_TEST

/* As a thread that another one stops. */
static _Atomic int state;

static void wait_until(int n)
{
    while (state < n)
        sched_yield();
}

static NOINLINE void hold_and_wait(void *volatile *place)
{
    held_put(place, 0, PLACES);
    state = 1;
    wait_until(2);
    held_clear(place, PLACES);
    state = 3;
    wait_until(4);
}

static NOINLINE void wait_in_vla(size_t n)
{
    void *place[n];
    hold_and_wait(launder(place));
}

static void *wait_in_dynamic_memory(void *vla)
{
    if (vla)
        wait_in_vla(PLACES);
    else
        hold_and_wait(launder(alloca(PLACES * sizeof(void *))));
    return NULL;
}

START_TEST(of_another_thread)
{
    pthread_t t;
    held_make(PLACES, offsets[_i / 2]);
    ck_assert_int_eq(pthread_create(&t, NULL, wait_in_dynamic_memory, _i % 2 ? &state : NULL), 0);
    wait_until(1);
    held_shake();
    held_check();
    state = 2;
    wait_until(3);
    held_must_go();
    state = 4;
    pthread_join(t, NULL);
}
END_TEST

/* ---- a callback: the C library's frames hold what they were given ---- */

static int calls;

static int compare(const void *key, const void *member)
{
    calls++;
    held_shake();
    check_live(held_start(0), HELD_SIZE, 0);
    check_live(held_start(1), HELD_SIZE, 1);
    return key < member ? -1 : 1;
}

/* The one in the header is inline. */
static void *(*volatile library_bsearch)(const void *, const void *, size_t, size_t,
                                         int (*)(const void *, const void *)) = bsearch;

static NOINLINE void search(void) { library_bsearch(held_pointer(0), held_pointer(1), HELD_SIZE / 8, 8, compare); }

START_TEST(in_bsearch)
{
    held_make(2, 0);
    search();
    ck_assert_int_ge(calls, 3);
    ck_assert_uint_eq(held_left(), 0);
}
END_TEST

static int compare_elsewhere(const void *key, const void *member)
{
    calls++;
    state = 1;
    wait_until(2);
    state = 0;
    return key < member ? -1 : 1;
}

static void *search_in_thread(void *unused)
{
    library_bsearch(held_pointer(0), held_pointer(1), HELD_SIZE / 8, 8, compare_elsewhere);
    state = 5;
    return unused;
}

START_TEST(in_bsearch_of_another_thread)
{
    pthread_t t;
    held_make(2, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, search_in_thread, NULL), 0);
    for (wait_until(1); state != 5; wait_until(1)) {
        if (state != 1)
            continue;
        held_shake();
        held_check();
        state = 2;
        while (state == 2)
            sched_yield();
    }
    ck_assert_int_ge(calls, 3);
    pthread_join(t, NULL);
}
END_TEST

/* ---- setjmp: the registers that it stores ---- */

#if defined __x86_64__ && defined __GLIBC__

/* Each of these sets `env` with one register holding `p` and all others cleared, runs fn while `p` is nowhere but in
 * env, and comes back to itself by longjmp; it returns what the register then holds. What setjmp left below the stack
 * pointer is overwritten. glibc stores rbp mangled. */
typedef void *(*jump_fn)(jmp_buf env, void *p, void (*fn)(void));

#define JUMP(reg)                                                                                                      \
    void *jump_##reg(jmp_buf env, void *p, void (*fn)(void));                                                          \
    __asm__(".text\n.type jump_" #reg ", @function\n"                                                                  \
            "jump_" #reg ":\n"                                                                                         \
            "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"                             \
            "    pushq %rdi; pushq %rdx; pushq $0\n"                                                                   \
            "    movq %rsi, %" #reg "\n"                                                                               \
            "    xorl %esi, %esi\n"                                                                                    \
            "    call _setjmp@PLT\n"                                                                                   \
            "    testl %eax, %eax\n"                                                                                   \
            "    jnz 1f\n"                                                                                             \
            "    xorl %ebx, %ebx; xorl %ebp, %ebp; xorl %r12d, %r12d; xorl %r13d, %r13d; xorl %r14d, %r14d; xorl "     \
            "%r15d, %r15d\n"                                                                                           \
            "    .rept 32; pushq $0; .endr; addq $256, %rsp\n"                                                         \
            "    call *8(%rsp)\n"                                                                                      \
            "    movq 16(%rsp), %rdi\n"                                                                                \
            "    movl $1, %esi\n"                                                                                      \
            "    call longjmp@PLT\n"                                                                                   \
            "1:  movq %" #reg ", %rax\n"                                                                               \
            "    addq $24, %rsp\n"                                                                                     \
            "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"                                   \
            "    ret\n"                                                                                                \
            ".size jump_" #reg ", .-jump_" #reg "\n")

JUMP(rbx);
JUMP(rbp);
JUMP(r12);
JUMP(r13);
JUMP(r14);
JUMP(r15);

static const jump_fn jumps[] = {jump_rbx, jump_rbp, jump_r12, jump_r13, jump_r14, jump_r15};
enum { JUMPS = sizeof jumps / sizeof *jumps };

static jmp_buf env_in_bss;

static void shake_and_check(void)
{
    held_shake();
    held_check();
}

static NOINLINE void jump_over_collections(jump_fn jump, struct __jmp_buf_tag *env)
{
    held_make(1, 0);
    gc_clear_stack(64 * 1024);
    uintptr_t back = hide(jump(env, held_pointer(0), shake_and_check));
    ck_assert_uint_eq(back, held.hidden[0]);
    check_live(reveal(back), HELD_SIZE, 0);
}

static NOINLINE void jump_on_stack(jump_fn jump)
{
    jmp_buf env;
    jump_over_collections(jump, env);
}

START_TEST(in_a_jmp_buf)
{
    jump_over_collections(jumps[_i], env_in_bss);
    jump_on_stack(jumps[_i]);
    jump_over_collections(jumps[_i], gc_malloc(sizeof(jmp_buf)));
}
END_TEST

/* Many in memory that is not scanned hold nothing: it is the jmp_buf that does. */
static size_t left;
static void count_left(void) { left += held_left(); }

START_TEST(not_in_a_jmp_buf_elsewhere)
{
    struct __jmp_buf_tag *env = malloc(sizeof(jmp_buf));
    for (int i = 0; i < 200; i++) {
        held_make(1, 0);
        gc_clear_stack(64 * 1024); /* the frames that follow have gaps, with what is there */
        jumps[_i](env, held_pointer(0), count_left);
    }
    ck_assert_uint_le(left, 10);
    free(env);
}
END_TEST

#endif

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, memory_of_alloca, 0, OFFSETS);
    tcase_add_loop_test(tc, variable_length_array, 0, OFFSETS);
    tcase_add_loop_test(tc, of_another_thread, 0, OFFSETS * 2);
    tcase_add_test(tc, in_bsearch);
    tcase_add_test(tc, in_bsearch_of_another_thread);
#if defined __x86_64__ && defined __GLIBC__
    tcase_add_loop_test(tc, in_a_jmp_buf, 0, JUMPS);
    tcase_add_loop_test(tc, not_in_a_jmp_buf_elsewhere, 0, JUMPS);
#endif
}
CHECK_MAIN("api/frames", tests)
