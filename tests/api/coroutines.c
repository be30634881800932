/* coroutines.c - objects that only a suspended coroutine holds: on its stack, in its saved registers; or the stack that
 * its thread left. Each is the only place; the twins show that what a place no longer holds is freed.
 * Holds stacks.running, stacks.lowest, stackpool.idle. */
#include "coroutine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

CO_ASSEMBLY

enum { N = 300, SIZE = 64 };

/* It holds an object in a local variable alone, until it is told to let go. */
static NOINLINE void hold_locally(struct co *co)
{
    void *volatile object = make_filled(SIZE, co->number);
    co->hidden = hide(object);
    co_yield (co);
    check_live(object, SIZE, co->number);
    object = NULL;
    co_forget();
    co_yield (co);
}

static NOINLINE void churn_hard(void)
{
    for (int i = 0; i < 2; i++) {
        settle();
        churn(SIZE, 3 * N);
    }
    settle();
}

static NOINLINE size_t count_live(struct co **co, size_t n)
{
    size_t live = 0;
    settle();
    for (size_t i = 0; i < n; i++)
        live += gc_base(reveal(co[i]->hidden)) != NULL;
    return live;
}

static NOINLINE void resume_all(struct co **co, size_t n)
{
    for (size_t i = 0; i < n; i++)
        co_resume(co[i], NULL);
}

static NOINLINE void all_hold(struct co **co, enum how how, void (*fn)(struct co *))
{
    for (size_t i = 0; i < N; i++)
        co[i] = co_new(how, fn, i);
    resume_all(co, N);
    churn_hard();
    for (size_t i = 0; i < N; i++)
        check_live(reveal(co[i]->hidden), SIZE, i);
}

static NOINLINE void all_let_go(struct co **co)
{
    resume_all(co, N);
    ck_assert_uint_le(count_live(co, N), N / 20);
    resume_all(co, N);
    for (size_t i = 0; i < N; i++) {
        ck_assert(co[i]->done);
        co_free(co[i]);
    }
}

START_TEST(on_its_stack)
{
    struct co *co[N];
    if (_i == ASSEMBLY && !have_assembly)
        return;
    all_hold(co, _i, hold_locally);
    all_let_go(co);
}
END_TEST

#ifdef __x86_64__
/* The object is in r12 and nowhere else when swapcontext saves it. */
static NOINLINE void hold_in_register(struct co *co)
{
    uintptr_t hidden = hide(make_filled(SIZE, co->number));
    co->hidden = hidden;
    gc_clear_stack(8192);
    __asm__ volatile("mov %[h], %%r12\n\tnot %%r12\n\t"
                     "sub $128, %%rsp\n\tmov %%rsp, %%r13\n\tand $-16, %%rsp\n\t"
                     "call swapcontext@PLT\n\t"
                     "mov %%r13, %%rsp\n\tadd $128, %%rsp\n\txor %%r12, %%r12"
                     : "+D"((uintptr_t){(uintptr_t)&co->here}),
                       "+S"((uintptr_t){(uintptr_t)&co->caller}), [h] "+r"(hidden)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "memory", "cc");
    check_live(reveal(hidden), SIZE, co->number);
    co_forget();
    co_yield (co);
}
#else
#define hold_in_register hold_locally
#endif

START_TEST(in_its_registers)
{
    struct co *co[N];
    all_hold(co, UCONTEXT, hold_in_register);
    all_let_go(co);
}
END_TEST

/* A stack of the program's own, with the whole ucontext_t as registers and nothing said of SP. */
START_TEST(on_a_registered_stack)
{
    struct co *co[N];
    enum { BYTES = 32768 };
    for (size_t i = 0; i < N; i++) {
        co[i] = co_new(UCONTEXT, i % 2 ? hold_in_register : hold_locally, i);
        gc_stack_free(co[i]->stack);
        char *lo = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(lo, MAP_FAILED);
        co[i]->stack = gc_stack_register(lo, lo + BYTES, &co[i]->here, sizeof co[i]->here);
        ck_assert_ptr_nonnull(co[i]->stack);
        co_prepare(co[i]);
        ck_assert_int_eq(gc_stack_set_registers(co[i]->stack, &co[i]->here, sizeof co[i]->here), 0);
    }
    resume_all(co, N);
    churn_hard();
    for (size_t i = 0; i < N; i++)
        check_live(reveal(co[i]->hidden), SIZE, i);
    resume_all(co, N);
    resume_all(co, N);
    /* All that is in memory of the stacks is scanned: dead frames too, until they are gone. */
    for (size_t i = 0; i < N; i++)
        gc_stack_unregister(co[i]->stack);
    ck_assert_uint_le(count_live(co, N), N / 20);
}
END_TEST

/* ---- not started, finished ---- */

static uintptr_t seen[4];

static void take_arguments(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
                           unsigned long f, unsigned long g, unsigned long h)
{
    (void)b, (void)c, (void)d, (void)e;
    seen[0] = hide((void *)a);
    seen[1] = hide((void *)f);
    seen[2] = hide((void *)g);
    seen[3] = hide((void *)h);
}

/* Arguments lie in the context's registers and, from the seventh on, on the stack. Wider ones than int are glibc's
 * extension for CPUs like this. */
static NOINLINE void make_with_arguments(struct co *co)
{
    void *o[4];
    for (size_t i = 0; i < 4; i++) {
        o[i] = make_filled(SIZE, i);
        seen[i] = hide(o[i]);
    }
    co->here.uc_link = &co->caller;
    makecontext(&co->here, (void (*)(void))take_arguments, 8, o[0], 0UL, 0UL, 0UL, 0UL, o[1], o[2], o[3]);
}

START_TEST(arguments_of_one_not_started)
{
    struct co *co = co_new(UCONTEXT, NULL, 0);
    make_with_arguments(co);
    ck_assert_int_eq(gc_stack_set_context(co->stack, &co->here), 0);
    churn_hard();
    for (size_t i = 0; i < 4; i++)
        check_live(reveal(seen[i]), SIZE, i);
    co_resume(co, NULL);
    for (size_t i = 0; i < 4; i++)
        check_live(reveal(seen[i]), SIZE, i);
    co_free(co);
}
END_TEST

static NOINLINE void end_holding(struct co *co)
{
    void *volatile object = make_filled(SIZE, co->number);
    co->hidden = hide(object);
}

START_TEST(finished_ones_hold_nothing)
{
    struct co *co[N];
    if (_i == ASSEMBLY && !have_assembly)
        return;
    for (size_t i = 0; i < N; i++)
        co[i] = co_new(_i, end_holding, i);
    resume_all(co, N);
    ck_assert(co[0]->done);
    /* Saved registers of the context are not read either. */
    ck_assert_uint_le(count_live(co, N), N / 20);
}
END_TEST

/* A stack that was freed is handed out again, and works. */
START_TEST(freed_and_used_again)
{
    enum { ROUNDS = 50, SOME = 40 };
    struct co *co[SOME];
    for (size_t r = 0; r < ROUNDS; r++) {
        for (size_t i = 0; i < SOME; i++) {
            co[i] = co_new(have_assembly ? (enum how)(r % HOWS) : UCONTEXT, hold_locally, i);
            co_resume(co[i], NULL);
        }
        gc_collect();
        for (size_t i = 0; i < SOME; i++) {
            check_live(reveal(co[i]->hidden), SIZE, i);
            if ((r + i) % 3)
                co_resume(co[i], NULL);
            co_free(co[i]);
        }
    }
    struct gc_memstats st;
    read_stats(&st);
    ck_assert_uint_eq(st.stack_inuse, 0);
    ck_assert_uint_le(st.stack_sys, 64 * (65536 + 4096));
    ck_assert_uint_eq(st.sys, st.heap_sys + st.stack_sys + st.mspan_sys + st.mcache_sys + st.buckhash_sys + st.gc_sys +
                                  st.other_sys);
}
END_TEST

/* ---- the stack that the thread left ---- */

/* Deeper on the stack than where it was left before. */
static NOINLINE void run_deeper(void (*meanwhile)(void))
{
    void *volatile objects[100];
    for (size_t i = 0; i < 100; i++)
        objects[i] = make_filled(SIZE, i);
    meanwhile();
    for (size_t i = 0; i < 100; i++)
        check_live(objects[i], SIZE, i);
}

static NOINLINE void collect_here(struct co *co)
{
    (void)co;
    churn_hard();
}

static NOINLINE void hold_while(struct co *co, struct gc_stack *own)
{
    void *volatile object = make_filled(SIZE, 7);
    co->hidden = hide(object);
    co_resume(co, own);
    check_live(object, SIZE, 7);
    ck_assert(co->done);
}

static void *leave_own_stack(void *how)
{
    for (int with_handle = 0; with_handle < 2; with_handle++) {
        struct gc_stack *own = with_handle ? gc_stack_self() : NULL;
        struct co *co = co_new(*(enum how *)how, collect_here, 0);
        hold_while(co, own);
        run_deeper(churn_hard); /* back on its own stack */
        ck_assert(!own || own == gc_stack_self());
        co_free(co);
    }
    return NULL;
}

static void on_a_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, fn, arg), 0);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}

START_TEST(own_stack_while_a_coroutine_collects)
{
    enum how how = _i;
    if (_i == ASSEMBLY && !have_assembly)
        return;
    leave_own_stack(&how);
    on_a_thread(leave_own_stack, &how);
}
END_TEST

/* With its SP known, what lies below on the thread's own stack is not scanned. */
static NOINLINE void drop_below(struct co **co)
{
    void *volatile objects[N];
    for (size_t i = 0; i < N; i++) {
        objects[i] = make_filled(SIZE, i);
        co[i]->hidden = hide(objects[i]);
    }
}

static NOINLINE void count_from_here(struct co *first)
{
    struct co **co = (struct co **)first->hidden;
    size_t live = 0;
    gc_collect();
    for (size_t i = 0; i < N; i++)
        live += gc_base(reveal(co[i]->hidden)) != NULL;
    first->hidden = live;
}

START_TEST(own_stack_from_where_it_was_left)
{
    struct co *co[N], *counter = co_new(UCONTEXT, count_from_here, 0);
    for (size_t i = 0; i < N; i++)
        co[i] = calloc(1, sizeof *co[i]);
    drop_below(co);
    counter->hidden = (uintptr_t)co;
    co_resume(counter, gc_stack_self());
    ck_assert(counter->done);
    ck_assert_uint_le(counter->hidden, N / 20);
}
END_TEST

/* A coroutine's stack may be an array on the thread's own. */
static NOINLINE void in_an_array(char *lo, size_t n)
{
    struct co *co = co_new(UCONTEXT, collect_here, 0);
    gc_stack_free(co->stack);
    co->stack = gc_stack_register(lo, lo + n, NULL, 0);
    ck_assert_ptr_nonnull(co->stack);
    co_prepare(co);
    hold_while(co, NULL);
    gc_stack_unregister(co->stack);
}

START_TEST(stack_within_the_threads_own)
{
    _Alignas(16) char array[65536];
    in_an_array(array, sizeof array);
}
END_TEST

/* ---- the running stack ---- */

static atomic_bool deep, looked;

static NOINLINE void wait_until_looked(void)
{
    atomic_store(&deep, true);
    while (!atomic_load(&looked))
        sched_yield();
}

/* Its saved SP is that of an earlier yield, with less on the stack than now, when it collects, or another thread does. */
static NOINLINE void yield_then_collect(struct co *co)
{
    co_yield (co);
    run_deeper(churn_hard);
}

static NOINLINE void yield_then_wait(struct co *co)
{
    co_yield (co);
    run_deeper(wait_until_looked);
}

static void *run_two(void *how)
{
    void (*const fn[])(struct co *) = {yield_then_collect, yield_then_wait};
    for (int i = 0; i < 2; i++) {
        struct co *co = co_new(*(enum how *)how, fn[i], 0);
        co_resume(co, NULL);
        co_resume(co, NULL);
        ck_assert(co->done);
        co_free(co);
    }
    return NULL;
}

START_TEST(running_deeper_than_it_was_left)
{
    enum how how = _i;
    pthread_t t;
    if (_i == ASSEMBLY && !have_assembly)
        return;
    ck_assert_int_eq(pthread_create(&t, NULL, run_two, &how), 0);
    while (!atomic_load(&deep))
        sched_yield();
    churn_hard();
    atomic_store(&looked, true);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST

#ifdef __x86_64__
/* In the middle of a switch: SP is the new stack's already, the registers are not yet loaded. */
static NOINLINE void stand_on(void *sp)
{
    __asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\t"
                     "movb $1, (%1)\n1:\tpause\n\tcmpb $0, (%2)\n\tje 1b\n\tmov %%rbx, %%rsp"
                     :
                     : "r"(sp), "r"(&deep), "r"(&looked)
                     : "rbx", "memory", "cc");
}

static uintptr_t *saved_registers;

static void *stand_there(void *lo)
{
    struct gc_stack *s = gc_stack_register(lo, (char *)lo + 65536, saved_registers, sizeof(uintptr_t));
    s->sp = (char *)s->hi - 64;
    stand_on(s->sp);
    return NULL;
}

START_TEST(registers_not_yet_loaded)
{
    pthread_t t;
    saved_registers = malloc(sizeof *saved_registers);
    *saved_registers = (uintptr_t)make_filled(SIZE, 3);
    ck_assert_int_eq(pthread_create(&t, NULL, stand_there, malloc(65536)), 0);
    while (!atomic_load(&deep))
        sched_yield();
    churn_hard();
    check_live((void *)*saved_registers, SIZE, 3);
    atomic_store(&looked, true);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST
#endif

/* ---- threads ---- */

enum { MIGRANTS = 64, WORKERS = 4, ROUNDS = 200 };

static NOINLINE void migrate(struct co *co)
{
    void *volatile object = make_filled(SIZE, co->number);
    for (size_t i = 0; i < ROUNDS; i++) {
        co_yield (co);
        check_live(object, SIZE, co->number + i);
        object = make_filled(SIZE, co->number + i + 1);
    }
}

static struct co *migrant[MIGRANTS];
static atomic_flag taken[MIGRANTS];
static atomic_size_t finished;

static void *work(void *arg)
{
    struct gc_stack *own = (uintptr_t)arg % 2 ? gc_stack_self() : NULL;
    for (size_t i = (uintptr_t)arg; atomic_load(&finished) < MIGRANTS; i++) {
        struct co *co = migrant[i * 7 % MIGRANTS];
        if (atomic_flag_test_and_set(&taken[i * 7 % MIGRANTS]))
            continue;
        if (!co->done) {
            co_resume(co, own);
            if (co->done)
                atomic_fetch_add(&finished, 1);
        }
        atomic_flag_clear(&taken[i * 7 % MIGRANTS]);
    }
    return NULL;
}

START_TEST(migrating_between_threads)
{
    pthread_t t[WORKERS];
    for (size_t i = 0; i < MIGRANTS; i++)
        migrant[i] = co_new(have_assembly ? (enum how)(i % HOWS) : UCONTEXT, migrate, i);
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, work, (void *)(uintptr_t)i), 0);
    while (atomic_load(&finished) < MIGRANTS)
        gc_collect();
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_join(t[i], NULL), 0);
    for (size_t i = 0; i < MIGRANTS; i++)
        co_free(migrant[i]);
}
END_TEST

/* A thread switches all the time, and is stopped in the middle of it. What the coroutines hold is in variables and in
 * registers that change with each switch. */
static atomic_bool enough;
static atomic_size_t switches;

static NOINLINE void spin(struct co *co)
{
    void *a = make_filled(SIZE, 1), *b = make_filled(SIZE, 2);
    while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
        co_yield (co);
        check_live(a, SIZE, 1);
        check_live(b, SIZE, 2);
        void *c = a;
        a = make_filled(SIZE, 1);
        if (c == a)
            ck_abort_msg("a live object's slot was handed out");
    }
    co->hidden = hide(b);
}

static void *switch_all_the_time(void *how)
{
    enum { SOME = 5 };
    struct co *co[SOME];
    struct gc_stack *own = *(enum how *)how == UCONTEXT ? gc_stack_self() : NULL;
    for (size_t i = 0; i < SOME; i++)
        co[i] = co_new(*(enum how *)how, spin, i);
    for (size_t left = SOME; left > 0;) {
        for (size_t i = 0; i < SOME; i++) {
            if (co[i]->done)
                continue;
            co_resume(co[i], own);
            left -= co[i]->done;
            atomic_fetch_add(&switches, 1);
        }
    }
    return NULL;
}

START_TEST(stopped_at_any_moment)
{
    enum how how = _i;
    pthread_t t;
    if (_i == ASSEMBLY && !have_assembly)
        return;
    ck_assert_int_eq(pthread_create(&t, NULL, switch_all_the_time, &how), 0);
    while (atomic_load(&switches) == 0)
        sched_yield();
    for (int i = 0; i < 1000 || atomic_load(&switches) <= 1000; i++) {
        gc_collect();
        churn(SIZE, 20);
    }
    atomic_store(&enough, true);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST

/* 100,000 on several threads. */
enum { MANY = 100000, MAKERS = 4 };
static struct co *many[MANY];

static void *make_many(void *arg)
{
    for (size_t i = (uintptr_t)arg; i < MANY; i += MAKERS) {
        many[i] = co_new(have_assembly ? (enum how)(i / MAKERS % HOWS) : UCONTEXT, hold_locally, i);
        co_resume(many[i], NULL);
    }
    return NULL;
}

static void *end_many(void *arg)
{
    for (size_t i = ((uintptr_t)arg + 1) % MAKERS; i < MANY; i += MAKERS) {
        check_live(reveal(many[i]->hidden), SIZE, i);
        co_resume(many[i], NULL);
        co_free(many[i]);
    }
    return NULL;
}

static void on_makers(void *(*fn)(void *))
{
    pthread_t t[MAKERS];
    for (size_t i = 0; i < MAKERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, fn, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < MAKERS; i++)
        ck_assert_int_eq(pthread_join(t[i], NULL), 0);
}

START_TEST(a_hundred_thousand)
{
    struct gc_memstats st;
    on_makers(make_many);
    churn(SIZE, MANY);
    gc_collect();
    read_stats(&st);
    ck_assert_uint_eq(st.stack_inuse, (uint64_t)MANY * 65536);
    ck_assert_uint_ge(st.stack_sys, st.stack_inuse);
    churn(SIZE, MANY);
    on_makers(end_many);
    gc_collect();
    read_stats(&st);
    ck_assert_uint_eq(st.stack_inuse, 0);
    ck_assert_uint_lt(st.heap_objects, MANY / 10);
}
END_TEST

/* ---- signals ---- */

static char alternate[1 << 16] __attribute__((aligned(16)));
static struct co *interrupted;

static void on_signal(int sig)
{
    (void)sig;
    churn_hard();
}

static NOINLINE void raise_it(void) { raise(SIGUSR1); }

static NOINLINE void yield_then_go_deeper(struct co *co)
{
    co_yield (co);
    run_deeper(raise_it);
}

START_TEST(interrupted_by_a_handler_on_the_alternate_stack)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    if (_i == ASSEMBLY && !have_assembly)
        return;
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    interrupted = co_new(_i, yield_then_go_deeper, 0);
    co_resume(interrupted, gc_stack_self());
    co_resume(interrupted, gc_stack_self());
    ck_assert(interrupted->done);
    ss.ss_flags = SS_DISABLE;
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
}
END_TEST

/* ---- fork ---- */

static void in_the_child(void *all)
{
    struct co **co = all;
    churn_hard();
    for (size_t i = 0; i < N; i++) {
        if (gc_base(reveal(co[i]->hidden)) != reveal(co[i]->hidden))
            _exit(1);
        co_resume(co[i], NULL);
        co_resume(co[i], NULL);
        gc_stack_free(co[i]->stack);
    }
    for (size_t i = 0; i < N; i++)
        if (!gc_stack_alloc(0))
            _exit(2);
    gc_collect();
}

START_TEST(a_forked_child_has_all)
{
    struct co *co[N];
    struct outcome o;
    if (_i == ASSEMBLY && !have_assembly)
        return;
    all_hold(co, _i, hold_locally);
    run_child(in_the_child, co, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
    all_let_go(co);
}
END_TEST

/* ---- bad input ---- */

static void must_abort(const struct outcome *o, const char *text)
{
    ck_assert_msg(WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGABRT, "status %#x: %s", (unsigned)o->status,
                  o->text);
    /* AddressSanitizer has lines of its own on swapcontext. */
    ck_assert(sanitizer_is("address") || count_lines(o->text) == 1);
    ck_assert_msg(strstr(o->text, text), "\"%s\" is not in: %s", text, o->text);
}

static void free_twice(void *unused)
{
    (void)unused;
    struct gc_stack *s = gc_stack_alloc(0);
    gc_stack_free(s);
    gc_stack_free(s);
}

static void free_unknown(void *p) { gc_stack_free(p); }
static void free_registered(void *unused)
{
    (void)unused;
    gc_stack_free(gc_stack_register(alternate, alternate + sizeof alternate, NULL, 0));
}
static void unregister_allocated(void *unused)
{
    (void)unused;
    gc_stack_unregister(gc_stack_alloc(0));
}
static void unregister_twice(void *unused)
{
    (void)unused;
    struct gc_stack *s = gc_stack_register(alternate, alternate + sizeof alternate, NULL, 0);
    gc_stack_unregister(s);
    gc_stack_unregister(s);
}
static void unregister_own(void *unused)
{
    (void)unused;
    gc_stack_unregister(gc_stack_self());
}
static void set_on_freed(void *unused)
{
    (void)unused;
    struct gc_stack *s = gc_stack_alloc(0);
    gc_stack_free(s);
    gc_stack_set_context(s, NULL);
}

static NOINLINE void free_itself(struct co *co) { gc_stack_free(co->stack); }
static void free_running(void *unused)
{
    (void)unused;
    co_resume(co_new(UCONTEXT, free_itself, 0), NULL);
}

static atomic_bool on_it;
static NOINLINE void stay(struct co *co)
{
    (void)co;
    atomic_store(&on_it, true);
    for (;;)
        sched_yield();
}
static void *go_and_stay(void *co)
{
    co_resume(co, NULL);
    return NULL;
}
static void free_running_elsewhere(void *unused)
{
    (void)unused;
    pthread_t t;
    struct co *co = co_new(UCONTEXT, stay, 0);
    pthread_create(&t, NULL, go_and_stay, co);
    while (!atomic_load(&on_it))
        sched_yield();
    gc_stack_free(co->stack);
    gc_collect();
}

START_TEST(wrong_handles_abort)
{
    static char foreign[256];
    static const struct {
        void (*fn)(void *);
        void *arg;
        const char *text;
    } cases[] = {{free_twice, NULL, "gc_stack_free(0x"},
                 {free_twice, NULL, "): a stack that was freed before; aborting"},
                 {free_unknown, foreign, "): not the handle of a stack; aborting"},
                 {free_unknown, (void *)16, "gc_stack_free(0x10): not the handle of a stack; aborting"},
                 {free_registered, NULL, "): a stack of gc_stack_register; aborting"},
                 {unregister_allocated, NULL, "): a stack of gc_stack_alloc; aborting"},
                 {unregister_twice, NULL, "): no stack, or one that was unregistered; aborting"},
                 {unregister_own, NULL, "): a thread's own stack; aborting"},
                 {set_on_freed, NULL, "gc_stack_set_context(0x"},
                 {free_running, NULL, "): the calling thread runs on this stack; aborting"},
                 {free_running_elsewhere, NULL, "which gc_stack_free was given; aborting"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o;
        run_child(cases[i].fn, cases[i].arg, &o);
        must_abort(&o, cases[i].text);
    }
    gc_stack_free(NULL);
    gc_stack_unregister(NULL);
}
END_TEST

static void refused(const char *lo, size_t n, const char *regs, size_t regs_size)
{
    errno = 0;
    ck_assert_ptr_null(gc_stack_register(lo, lo + n, regs, regs_size));
    ck_assert_int_eq(errno, EINVAL);
}

static void allocated(size_t size)
{
    errno = 77;
    struct gc_stack *s = gc_stack_alloc(size);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(errno, 77);
    ck_assert_uint_ge((size_t)((char *)s->hi - (char *)s->lo), size);
    ck_assert_uint_eq((uintptr_t)s->hi % 4096, 0);
    memset(s->lo, 1, (size_t)((char *)s->hi - (char *)s->lo) & 0xfffff);
    gc_stack_free(s);
    ck_assert_int_eq(errno, 77);
}

START_TEST(arguments)
{
    char *a = alternate;
    static const size_t wrong[] = {1, GC_SPAN_STACK_MIN - 1, GC_SPAN_STACK_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        ck_assert_ptr_null(gc_stack_alloc(wrong[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
    allocated(0);
    allocated(GC_SPAN_STACK_MIN);
    allocated(GC_SPAN_STACK_MIN + 1);
    allocated(100000);
    allocated(GC_SPAN_STACK_MAX);
    refused(a, 1016, NULL, 0);
    refused(a + 4, 4096, NULL, 0);
    refused(a, 4100, NULL, 0);
    refused(a + 4096, (size_t)-4096, NULL, 0);
    refused(a, 4096, a + 4, 8);
    refused(a, 4096, a, 12);
    struct gc_stack *s = gc_stack_register(a + 4096, a + 8192, NULL, 0);
    ck_assert_ptr_nonnull(s);
    ck_assert(s->lo == a + 4096 && s->hi == a + 8192 && !s->sp);
    refused(a + 4096, 4096, NULL, 0);
    refused(a, 4104, NULL, 0);
    refused(a + 8184, 4096, NULL, 0);
    refused(a, 16384, NULL, 0);
    refused(a + 5000, 1024, NULL, 0);
    struct gc_stack *below = gc_stack_register(a, a + 4096, NULL, 0),
                    *above = gc_stack_register(a + 8192, a + 12288, NULL, 0);
    ck_assert(below && above);
    errno = 0;
    ck_assert_int_eq(gc_stack_set_registers(s, a + 1, 8), -1);
    ck_assert_int_eq(errno, EINVAL);
    gc_stack_unregister(s);
    refused(a + 4088, 2048, NULL, 0);
    s = gc_stack_register(a + 4096, a + 8192, NULL, 0);
    ck_assert_ptr_nonnull(s);
}
END_TEST

/* The page below a stack faults. */
static void write_below(void *unused)
{
    (void)unused;
    struct gc_stack *s = gc_stack_alloc(0);
    char *volatile lo = s->lo;
    *lo = 1;
    lo[-1] = 1;
}

START_TEST(guarded)
{
    struct outcome o;
    run_child(write_below, NULL, &o);
    if (strcmp(o.text, "") != 0 && !sanitizer_is("address"))
        ck_abort_msg("%s", o.text);
    ck_assert(sanitizer_is("address") || (WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSEGV));
}
END_TEST

/* The registers may lie in an object: a stack that is known holds it. */
static NOINLINE uintptr_t registers_in_an_object(struct gc_stack *s)
{
    ucontext_t *uc = gc_malloc(sizeof *uc);
    memset(uc, 0, sizeof *uc);
    ck_assert_int_eq(gc_stack_set_context(s, uc), 0);
    return hide(uc);
}

START_TEST(object_with_the_registers)
{
    struct gc_stack *s = gc_stack_alloc(0);
    uintptr_t held = registers_in_an_object(s);
    settle();
    gc_collect_without_stacks();
    ck_assert_ptr_nonnull(gc_base(reveal(held)));
    gc_stack_finish(s);
    settle();
    ck_assert_ptr_nonnull(gc_base(reveal(held)));
    gc_stack_free(s);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, on_its_stack, 0, HOWS);
    tcase_add_test(tc, in_its_registers);
    tcase_add_test(tc, on_a_registered_stack);
    tcase_add_test(tc, arguments_of_one_not_started);
    tcase_add_loop_test(tc, finished_ones_hold_nothing, 0, HOWS);
    tcase_add_test(tc, freed_and_used_again);
    tcase_add_loop_test(tc, own_stack_while_a_coroutine_collects, 0, HOWS);
    tcase_add_test(tc, own_stack_from_where_it_was_left);
    tcase_add_test(tc, stack_within_the_threads_own);
    tcase_add_loop_test(tc, running_deeper_than_it_was_left, 0, HOWS);
#ifdef __x86_64__
    tcase_add_test(tc, registers_not_yet_loaded);
#endif
    tcase_add_test(tc, migrating_between_threads);
    tcase_add_loop_test(tc, stopped_at_any_moment, 0, HOWS);
    tcase_add_test(tc, a_hundred_thousand);
    tcase_add_loop_test(tc, interrupted_by_a_handler_on_the_alternate_stack, 0, HOWS);
    tcase_add_loop_test(tc, a_forked_child_has_all, 0, HOWS);
    tcase_add_test(tc, wrong_handles_abort);
    tcase_add_test(tc, arguments);
    tcase_add_test(tc, guarded);
    tcase_add_test(tc, object_with_the_registers);
}
CHECK_MAIN("api/coroutines", tests)
