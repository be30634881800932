/* coroutine.h - coroutines for tests: on ucontext_t, and with a switch in assembly that keeps SP in the handle. */
#ifndef API_COROUTINE_H
#define API_COROUTINE_H

#include "helpers.h"

#include <ucontext.h>

enum how { UCONTEXT, ASSEMBLY, HOWS };

/* In malloc's memory, which is not scanned: what is in `here` is found through the stack's handle only. */
struct co {
    enum how how;
    struct gc_stack *stack, *back; /* its own, and the one that resumed it: ASSEMBLY */
    struct gc_stack elsewhere;     /* stands for the resumer's stack when that has no handle */
    ucontext_t here, caller;
    void (*fn)(struct co *co);
    uintptr_t hidden; /* what is passed in and out */
    size_t number;
    bool done;
};

#ifdef __x86_64__
/* Push the registers, SP to *from, SP from *to, pop the registers. */
void co_switch(struct gc_stack *from, struct gc_stack *to);
void co_start(void);
#define CO_ASSEMBLY                                                                                                    \
    __asm__(".text\n"                                                                                                  \
            ".globl co_switch\n.type co_switch,@function\nco_switch:\n"                                                \
            "endbr64\npush %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"                              \
            "mov %rsp,(%rdi)\nmov (%rsi),%rsp\n"                                                                       \
            "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size co_switch,.-co_switch\n"           \
            ".globl co_start\n.type co_start,@function\nco_start:\n"                                                   \
            "mov %r12,%rdi\ncall *%rbx\nud2\n.size co_start,.-co_start\n"                                              \
            ".previous\n");
static const bool have_assembly = true;
#else
static inline void co_switch(struct gc_stack *from, struct gc_stack *to) { ck_abort_msg("%p %p", from, to); }
static inline void co_start(void) {}
#define CO_ASSEMBLY
static const bool have_assembly = false;
#endif

/* No register that a switch saves has an old pointer in it; swapcontext saves those of arguments too. */
static NOINLINE void co_forget(void)
{
    gc_clear_stack(8192);
#ifdef __x86_64__
    __asm__ volatile("xor %%ebx, %%ebx; xor %%r12d, %%r12d; xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d;"
                     "xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%r8d, %%r8d; xor %%r9d, %%r9d"
                     :
                     :
                     : "rbx", "rcx", "rdx", "r8", "r9", "r12", "r13", "r14", "r15", "cc");
#endif
}

static NOINLINE void co_yield (struct co *co)
{
    if (co->how == UCONTEXT)
        swapcontext(&co->here, &co->caller);
    else
        co_switch(co->stack, co->back);
}

/* From a thread's own stack, whose handle is `own` or which has none. */
static NOINLINE void co_resume(struct co *co, struct gc_stack *own)
{
    co->back = own ? own : &co->elsewhere;
    if (co->how == ASSEMBLY) {
        co_switch(co->back, co->stack);
        return;
    }
    if (own)
        gc_stack_switch(own);
    swapcontext(&co->caller, &co->here);
}

static NOINLINE void co_run(struct co *co)
{
    co->fn(co);
    co->done = true;
    gc_stack_finish(co->stack);
    co_yield (co);
    abort();
}

static void co_entry(unsigned high, unsigned low) { co_run((struct co *)((uintptr_t)high << 32 | low)); }

static NOINLINE void co_prepare(struct co *co)
{
    co->done = false;
    if (co->how == UCONTEXT) {
        getcontext(&co->here);
        co->here.uc_stack.ss_sp = co->stack->lo;
        co->here.uc_stack.ss_size = (size_t)((char *)co->stack->hi - (char *)co->stack->lo);
        co->here.uc_link = NULL;
        makecontext(&co->here, (void (*)(void))co_entry, 2, (unsigned)((uintptr_t)co >> 32), (unsigned)(uintptr_t)co);
        ck_assert_int_eq(gc_stack_set_context(co->stack, &co->here), 0);
    } else {
        uintptr_t *sp = (uintptr_t *)co->stack->hi - 9;
        uintptr_t first[7] = {0, 0, 0, (uintptr_t)co, (uintptr_t)co_run, 0, (uintptr_t)co_start};
        memcpy(sp, first, sizeof first);
        co->stack->sp = sp;
    }
}

/* Not asserted with ck_assert: there may be 100,000. */
static NOINLINE struct co *co_new(enum how how, void (*fn)(struct co *co), size_t number)
{
    struct co *co = calloc(1, sizeof *co);
    if (!co || !(co->stack = gc_stack_alloc(0)))
        ck_abort_msg("coroutine %zu: no memory", number);
    co->how = how;
    co->fn = fn;
    co->number = number;
    co_prepare(co);
    return co;
}

static NOINLINE void co_free(struct co *co)
{
    gc_stack_free(co->stack);
    free(co);
}

#endif
