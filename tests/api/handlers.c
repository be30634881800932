/* handlers.c - objects held by what a signal interrupted, and by the handler's own frames, while a collection runs that
 * the handler itself or another thread does: on the thread's stack, and on alternate ones wherever they lie.
 * Holds rootjobs.all, boundary.frame. */
#include "places.h"
#include "registers.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

enum { ALT_SIZE = 64 * 1024, LOCALS = 1000 };

/* ---- who collects ---- */

static sem_t asked, done;
static void (*request)(void);

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void *serve(void *unused)
{
    for (;;) {
        wait_for(&asked);
        if (!request)
            return unused;
        request();
        sem_post(&done);
    }
}

static void collect_by_another(void (*fn)(void))
{
    request = fn;
    sem_post(&asked);
    wait_for(&done);
}

static void collect_myself(void (*fn)(void)) { fn(); }

static void (*collect_by)(void (*fn)(void));

static void shake_and_check(void)
{
    held_shake();
    held_check();
}

/* ---- where the handler runs ---- */

static void on_alternate(void *stack, void (*fn)(void))
{
    stack_t ss = {.ss_sp = stack, .ss_size = ALT_SIZE}, none = {.ss_flags = SS_DISABLE};
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    fn();
    ck_assert_int_eq(sigaltstack(&none, NULL), 0);
}

static void on_own(void (*fn)(void)) { fn(); }

static void on_mapped(void (*fn)(void))
{
    void *p = mmap(NULL, ALT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    on_alternate(p, fn);
    munmap(p, ALT_SIZE);
}

static void on_allocated(void (*fn)(void))
{
    void *p = malloc(ALT_SIZE);
    on_alternate(p, fn);
    free(p);
}

/* It lies above what is interrupted, and is shorter than what held_shake clears of a stack. */
static NOINLINE void on_part_of_own(void (*fn)(void))
{
    char stack[ALT_SIZE];
    on_alternate(launder(stack), fn);
    launder(stack);
}

static void (*const stacks[])(void (*fn)(void)) = {on_own, on_mapped, on_allocated, on_part_of_own};
enum { STACKS = sizeof stacks / sizeof *stacks };

/* ---- the interruption ---- */

static void (*in_handler)(void);

static void on_signal(int sig)
{
    (void)sig;
    in_handler();
}

static NOINLINE void interrupt(void (*fn)(void))
{
    in_handler = fn;
#if defined __x86_64__
    trap_with_registers();
#else
    raise(SIGTRAP);
#endif
}

static void collect_in_handler(void) { collect_by(shake_and_check); }

/* The signal frame is a part of the stack here, and has words that the kernel did not write. */
static void must_go_beside_a_frame(void) { held_must_go_but(16); }
static void nothing_left_in_handler(void) { collect_by(must_go_beside_a_frame); }

/* ---- what holds ---- */

static void by_interrupted_frame(void)
{
    void *volatile local[LOCALS];
    held_make(LOCALS, 0);
    held_put(local, 0, LOCALS);
    interrupt(collect_in_handler);
    held_check();
    held_clear(local, LOCALS);
    interrupt(nothing_left_in_handler);
}

static void by_handler_frame_then_not(void)
{
    void *volatile local[LOCALS];
    held_make(LOCALS, 0);
    held_put(local, 0, LOCALS);
    collect_by(shake_and_check);
    held_clear(local, LOCALS);
    collect_by(must_go_beside_a_frame);
}

static void by_handler_frame(void) { interrupt(by_handler_frame_then_not); }

/* The frame of the handler that another signal interrupts on the same stack. */
static void interrupt_again(void) { by_interrupted_frame(); }
static void by_interrupted_handler(void) { interrupt(interrupt_again); }

static void registers_clear(void)
{
#if defined __x86_64__
    if (!registers_table)
        registers_table = calloc(HELD_MAX, sizeof *registers_table);
    memset(registers_table, 0, HELD_MAX * sizeof *registers_table);
    registers_load = __builtin_cpu_supports("avx") ? load_ymm : load_xmm;
#endif
}

#if defined __x86_64__
static void by_interrupted_registers(void)
{
    size_t n = FIXED + (registers_load == load_ymm ? YMM : XMM);
    for (size_t objects = 0; objects <= 1000; objects += n) {
        held_make(n, objects % 2 ? 0 : HELD_SIZE);
        held_put((void *volatile *)registers_table, 0, n);
        interrupt(collect_in_handler);
        held_check();
        registers_clear();
        interrupt(nothing_left_in_handler);
    }
}
#endif

/* ---- all of it ---- */

static void (*const places[])(void) = {
    by_interrupted_frame,
    by_handler_frame,
    by_interrupted_handler,
#if defined __x86_64__
    by_interrupted_registers,
#endif
};
enum { PLACES = sizeof places / sizeof *places };

static void *hold(void *loop)
{
    int i = *(int *)loop;
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(SIGTRAP, &sa, NULL);
    registers_clear();
    stacks[i % STACKS](places[i / STACKS]);
    return NULL;
}

static void hold_in_main_and_thread(int i)
{
    pthread_t t;
    hold(&i);
    ck_assert_int_eq(pthread_create(&t, NULL, hold, &i), 0);
    pthread_join(t, NULL);
}

START_TEST(handler_collects)
{
    collect_by = collect_myself;
    hold_in_main_and_thread(_i);
}
END_TEST

START_TEST(another_collects)
{
    pthread_t t;
    sem_init(&asked, 0, 0);
    sem_init(&done, 0, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, serve, NULL), 0);
    collect_by = collect_by_another;
    hold_in_main_and_thread(_i);
    request = NULL;
    sem_post(&asked);
    pthread_join(t, NULL);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, handler_collects, 0, STACKS * PLACES);
    tcase_add_loop_test(tc, another_collects, 0, STACKS * PLACES);
}
CHECK_MAIN("api/handlers", tests)
