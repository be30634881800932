/* os_cpu_generic.c - signal frames of a CPU that has no file of its own.
 * The frame that the kernel wrote lies on the interrupted stack, below its SP, and holds every register: scanning
 * from the frame upwards covers registers and stack alike. A thread interrupted on its alternate stack is scanned
 * there from the frame on, and its own stack by resident pages (mark/rootjobs.c).
 * Owns: nothing. Locks: none. Below: nothing. Above: mark/rootjobs.c. */
#include "os/os.h"
#include "os/os_mangle.h"

#include <errno.h>
#include <pthread.h>
#include <ucontext.h>
#include <unistd.h>

const char *os_arch_name(void) { return "generic"; }

long os_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long result = syscall(n, a, b, c, d, e, f);
    if (result == -1) {
        result = -errno;
        errno = saved;
    }
    return result;
}

/* What fn keeps in them takes their place, most of it. */
void os_call_clean(void (*fn)(void *arg), void *arg) { fn(arg); }

/* A register's value and a constant, on all CPUs but x86. */
uintptr_t os_thread_pointer(void) { return (uintptr_t)pthread_self(); }

uintptr_t os_context_stack(const void *ucontext) { return (uintptr_t)ucontext; }

uintptr_t os_context_sp(const void *ucontext) { return (uintptr_t)ucontext; }

uintptr_t os_saved_sp(const void *ucontext)
{
    (void)ucontext;
    return 0;
}

struct os_range os_context_registers(const void *ucontext)
{
    return (struct os_range){(uintptr_t)ucontext, (uintptr_t)ucontext + sizeof(ucontext_t)};
}

size_t os_context_vectors(const void *ucontext, struct os_range r[OS_VECTOR_RANGES])
{
    (void)ucontext;
    (void)r;
    return 0;
}

struct os_range os_context_altstack(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    uintptr_t lo = (uintptr_t)uc->uc_stack.ss_sp, hi = lo + uc->uc_stack.ss_size, at = (uintptr_t)ucontext;
    if (at >= lo && at < hi)
        return (struct os_range){at, hi};
    return (struct os_range){0, 0};
}

/* No other CPU of glibc's mangles a register that variables live in. */
struct os_mangling os_mangling = {.low = OS_NOTHING_MANGLED};
void os_mangling_init(void) {}

/* Which word of a signal frame is SP is not known here either. */
uintptr_t os_interrupted_sp(uintptr_t lo, uintptr_t hi)
{
    (void)lo;
    (void)hi;
    return 0;
}

/* Which of a held thread's registers is SP is not known here: no thread is held. */
size_t os_held_area(void) { return 0; }

bool os_held_read(struct os_held *t)
{
    (void)t;
    return false;
}

uintptr_t os_held_stack(const struct os_held *t) { return (uintptr_t)t->area; }
uintptr_t os_held_sp(const struct os_held *t) { return (uintptr_t)t->area; }
uintptr_t os_held_thread_pointer(const struct os_held *t) { return (uintptr_t)t->area; }
struct os_range os_held_registers(const struct os_held *t) { return (struct os_range){0, t->general}; }
struct os_range os_held_vectors(const struct os_held *t) { return (struct os_range){0, t->vector}; }
struct os_restarted os_context_restarted(const void *ucontext)
{
    (void)ucontext;
    return (struct os_restarted){0, 0};
}

void os_context_interrupt(void *ucontext) { (void)ucontext; }
