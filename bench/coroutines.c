/* coroutines.c - what a switch costs with and without what the collector wants to know, and what suspended stacks cost.
 *
 * usage: coroutines [STACKS]     prints a line a figure; STACKS suspended coroutines (100000) */
#include <spangc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __x86_64__

/* Push the callee-saved registers, SP to *from, SP from *to, pop. */
void hop(void *from, void *to);
void start(void);
__asm__(".text\nhop:\nendbr64\npush %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov (%rsi),%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        "start:\ncall *%rbx\nud2\n");

/* CPU time: the machine may be busy. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1)
        exit(1);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

struct co {
    struct gc_stack *stack;
    void *sp, *caller_sp;   /* for a switch that the collector knows nothing of */
    struct gc_stack caller; /* for one that stores SP in the handle */
    ucontext_t here, back;
};

static struct co *co;

static void prepare(struct co *c, void (*fn)(void))
{
    void **sp = (void **)c->stack->hi - 9;
    sp[4] = (void *)fn;
    sp[6] = (void *)start;
    c->sp = c->stack->sp = sp;
}

static void bare(void)
{
    struct co *c = co;
    for (;;)
        hop(&c->sp, &c->caller_sp);
}
static void with_store(void)
{
    struct co *c = co;
    for (;;) {
        gc_stack_switch(c->stack);
        hop(&c->sp, &c->caller_sp);
    }
}
static void in_handle(void)
{
    struct co *c = co;
    for (;;)
        hop(c->stack, &c->caller);
}
static void by_context(void)
{
    struct co *c = co;
    for (;;)
        swapcontext(&c->here, &c->back);
}
static void by_context_with_store(void)
{
    struct co *c = co;
    for (;;) {
        gc_stack_switch(c->stack);
        swapcontext(&c->here, &c->back);
    }
}

static void to_bare(void) { hop(&co->caller_sp, &co->sp); }
static void to_in_handle(void) { hop(&co->caller, co->stack); }
static void to_context(void) { swapcontext(&co->back, &co->here); }

/* The best of some rounds: nanoseconds for one switch of two. */
static void measure(const char *what, void (*fn)(void), void (*resume)(void), long n)
{
    volatile double best = 1e30;
    co = calloc(1, sizeof *co);
    co->stack = gc_stack_alloc(0);
    if (resume != to_context) {
        prepare(co, fn);
    } else {
        getcontext(&co->here);
        co->here.uc_stack.ss_sp = co->stack->lo;
        co->here.uc_stack.ss_size = 65536;
        makecontext(&co->here, fn, 0);
    }
    for (int round = 0; round < 20; round++) {
        double t = now();
        for (long i = 0; i < n; i++)
            resume();
        t = (now() - t) / (double)n / 2;
        best = t < best ? t : best;
    }
    printf("switch, %-42s %8.2f ns\n", what, best);
    gc_stack_free(co->stack);
    free(co);
}

static double collection(void)
{
    double best = 1e30;
    for (int i = 0; i < 7; i++) {
        double t = now();
        gc_collect();
        t = now() - t;
        best = t < best ? t : best;
    }
    return best;
}

static void hold(void)
{
    struct co *c = co;
    void *volatile object = gc_malloc(64);
    hop(c->stack, &c->caller);
    gc_keep_alive(object);
}

static void suspend(long n)
{
    struct co *all = calloc((size_t)n, sizeof *all);
    double empty = collection(), rss = resident(), t = now();
    for (long i = 0; i < n; i++)
        all[i].stack = gc_stack_alloc(0);
    printf("gc_stack_alloc, new stack %32.0f ns\n", (now() - t) / (double)n);
    for (long i = 0; i < n; i++) {
        co = &all[i];
        prepare(co, hold);
        to_in_handle();
    }
    rss = resident() - rss;
    printf("resident, for each suspended stack %23.0f B\n", rss / (double)n - sizeof *all);
    printf("collection, for each suspended stack %21.0f ns (%.1f ms in all)\n", (collection() - empty) / (double)n,
           collection() / 1e6);
    /* Their SP is not known: the pages in memory are found, and scanned. */
    for (long i = 0; i < n; i++)
        all[i].stack->sp = NULL;
    printf("collection, for each with its SP not known %15.0f ns\n", (collection() - empty) / (double)n);
    t = now();
    for (long i = 0; i < n; i++)
        gc_stack_free(all[i].stack);
    printf("gc_stack_free %44.0f ns\n", (now() - t) / (double)n);
    printf("resident when all are freed, for each %20.0f B\n", (resident() - (double)n * sizeof *all) / (double)n);
    t = now();
    for (long i = 0; i < n; i++)
        gc_stack_free(gc_stack_alloc(0));
    printf("gc_stack_alloc and gc_stack_free, from the pool %10.0f ns\n", (now() - t) / (double)n);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 100000;
    measure("assembly, nothing told", bare, to_bare, 5000000);
    measure("assembly, and gc_stack_switch", with_store, to_bare, 5000000);
    measure("assembly, SP kept in the handle", in_handle, to_in_handle, 5000000);
    measure("swapcontext, nothing told or set_context", by_context, to_context, 500000);
    measure("swapcontext, and gc_stack_switch", by_context_with_store, to_context, 500000);
    suspend(n);
}

#else
int main(void) { return 77; }
#endif
