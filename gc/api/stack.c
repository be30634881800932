/* stack.c - stacks for coroutines, and what the library is told of them.
 * Owns:   nothing.
 * Locks:  STACKS, in regions.
 * Keeps:  .running  no stack is let go under the calling thread
 * Below:  stackpool, stacks.   Above: the program. */
#include "api/api.h"
#include "base/report.h"
#include "os/os.h"
#include "world/stackpool.h"

#include <errno.h>
#include <string.h>

enum { LEAST_REGISTERED = 1024, DEFAULT_BYTES = 64 * 1024 };

static void enter(struct thread *t)
{
    region_enter(&t->mcache);
    lock_acquire(&stacks_lock);
}

static void leave(struct thread *t)
{
    lock_release(&stacks_lock);
    region_leave(&t->mcache);
}

/* errno as it was when `p` is there, else e. */
static void *result(void *p, int e, int saved)
{
    errno = p ? saved : e;
    return p;
}

static bool odd(const void *p, size_t n) { return ((uintptr_t)p | n) % sizeof(uintptr_t) != 0; }

static const char *const kinds[] = {"no stack, or one that was unregistered", "a stack that was freed before",
                                    "a stack of gc_stack_alloc", "a stack of gc_stack_register",
                                    "a thread's own stack"};

static _Noreturn void bad_stack(const char *call, const struct gc_stack *stack, const char *what)
{
    report_fatal("%s(%#lx): %s; aborting", call, (unsigned long)(uintptr_t)stack, what);
}

/* The stack behind a handle, which is of the kind that the call wants, or of any that is in use for STACK_NONE. */
static struct stack *must_be(const char *call, const struct gc_stack *stack, enum stack_kind kind)
{
    struct stack *s = stacks_of(stack);
    if (!s)
        bad_stack(call, stack, "not the handle of a stack");
    bool in_use = s->kind != STACK_NONE && s->kind != STACK_IDLE;
    if (kind == STACK_NONE ? !in_use : s->kind != kind)
        bad_stack(call, stack, kinds[s->kind]);
    return s;
}

static void must_not_run_on(const char *call, const struct stack *s, uintptr_t sp)
{
    if (sp >= s->lo && sp < s->hi)
        bad_stack(call, &s->pub, "the calling thread runs on this stack");
}

static void warn_unguarded(struct thread *t)
{
    static _Atomic bool told;
    if (atomic_load_explicit(&told, memory_order_relaxed))
        return;
    region_enter(&t->mcache);
    bool used_up = stackpool_guards_used_up();
    region_leave(&t->mcache);
    if (used_up && !atomic_exchange_explicit(&told, true, memory_order_relaxed))
        report_warn("so many stacks are in use that the kernel allows no more guards: others have none, see spangc(7)");
}

struct gc_stack *gc_stack_alloc(size_t size)
{
    int saved = errno;
    size_t bytes = size ? size : DEFAULT_BYTES;
    if (bytes < GC_SPAN_STACK_MIN || bytes > GC_SPAN_STACK_MAX)
        return result(NULL, EINVAL, saved);
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    region_enter(&t->mcache);
    struct stack *s = stackpool_alloc(bytes);
    region_leave(&t->mcache);
    warn_unguarded(t);
    return result(s, ENOMEM, saved);
}

static void release(struct thread *t, struct stack *s)
{
    stackpool_release(s);
    enter(t);
    stackpool_put(s);
    leave(t);
}

void gc_stack_free(struct gc_stack *stack)
{
    int saved = errno;
    struct thread *t = stack ? api_thread() : NULL;
    if (!t)
        return;
    enter(t);
    struct stack *s = must_be("gc_stack_free", stack, STACK_ALLOCATED);
    must_not_run_on("gc_stack_free", s, (uintptr_t)__builtin_frame_address(0));
    bool cold = stackpool_take_back(s);
    leave(t);
    if (cold)
        release(t, s);
    errno = saved;
}

void api_stacks_release(void)
{
    struct thread *t = thread_self();
    for (;;) {
        enter(t);
        struct stack *s = stackpool_take_warm();
        leave(t);
        if (!s)
            return;
        release(t, s);
    }
}

static void set_registers(struct stack *s, uintptr_t lo, size_t n, const void *context)
{
    s->regs_lo = n ? lo : 0;
    s->regs_hi = n ? lo + n : 0;
    s->context = context;
}

struct gc_stack *gc_stack_register(const void *lo, const void *hi, const void *regs, size_t regs_size)
{
    int saved = errno, error = EINVAL;
    uintptr_t from = (uintptr_t)lo, to = (uintptr_t)hi;
    if (odd(lo, to) || odd(regs, regs_size) || to < from || to - from < LEAST_REGISTERED)
        return result(NULL, EINVAL, saved);
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    enter(t);
    struct stack *s = stacks_add(from, to, STACK_REGISTERED, &error);
    if (s)
        set_registers(s, (uintptr_t)regs, regs_size, NULL);
    leave(t);
    return result(s, error, saved);
}

void gc_stack_unregister(struct gc_stack *stack)
{
    struct thread *t = stack ? api_thread() : NULL;
    if (!t)
        return;
    enter(t);
    struct stack *s = must_be("gc_stack_unregister", stack, STACK_REGISTERED);
    must_not_run_on("gc_stack_unregister", s, (uintptr_t)__builtin_frame_address(0));
    stacks_remove(s);
    leave(t);
}

struct gc_stack *gc_stack_self(void)
{
    int saved = errno, error;
    struct thread *t = api_thread();
    if (!t)
        return NULL;
    if (!t->own_stack) {
        enter(t);
        t->own_stack = stacks_add(t->stack_lo, t->stack_hi, STACK_OWN, &error);
        leave(t);
    }
    return result(t->own_stack, ENOMEM, saved);
}

int gc_stack_set_registers(struct gc_stack *stack, const void *regs, size_t regs_size)
{
    struct thread *t = api_thread();
    if (!t)
        return -1;
    if (odd(regs, regs_size)) {
        errno = EINVAL;
        return -1;
    }
    enter(t);
    set_registers(must_be("gc_stack_set_registers", stack, STACK_NONE), (uintptr_t)regs, regs_size, NULL);
    leave(t);
    return 0;
}

int gc_stack_set_context(struct gc_stack *stack, const void *ucontext)
{
    struct thread *t = api_thread();
    if (!t)
        return -1;
    struct os_range r = ucontext ? os_context_registers(ucontext) : (struct os_range){0, 0};
    enter(t);
    struct stack *s = must_be("gc_stack_set_context", stack, STACK_NONE);
    s->pub.sp = NULL;
    set_registers(s, r.lo, r.hi - r.lo, ucontext);
    leave(t);
    return 0;
}
