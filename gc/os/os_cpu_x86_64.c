/* os_cpu_x86_64.c - what a signal frame of Linux on x86-64 holds, and a jmp_buf of glibc.
 * Owns:   nothing. Locks: none; called by the collector on contexts of stopped threads.
 * Keeps:  .xsave  the whole extended state is given: a pointer may live only in the upper half of a vector register
 * Below:  the kernel's frame layout (bits/sigcontext.h names its fields).   Above: mark/rootjobs.c. */
#include "os/os.h"
#include "os/os_mangle.h"

#include <asm/prctl.h>
#include <setjmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* The kernel describes the extended state in the last 48 bytes of the 512 that fxsave leaves to software. */
enum { RED_ZONE = 128, SW_BYTES_OFFSET = 464, XSTATE_MAGIC1 = 0x46505853 };

const char *os_arch_name(void) { return "x86-64"; }

NO_SANITIZE long os_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Not by %fs:0: it may be nothing that can be read. */
NO_CANARY uintptr_t os_thread_pointer(void)
{
    uintptr_t fs = 0;
    os_syscall(SYS_arch_prctl, ARCH_GET_FS, (long)&fs, 0, 0, 0, 0);
    return fs;
}

uintptr_t os_context_stack(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
}

uintptr_t os_context_sp(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

uintptr_t os_saved_sp(const void *ucontext) { return os_context_sp(ucontext); }

struct os_range os_context_registers(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    uintptr_t lo = (uintptr_t)&uc->uc_mcontext.gregs[0];
    return (struct os_range){lo, lo + (REG_RIP + 1) * sizeof uc->uc_mcontext.gregs[0]};
}

struct os_range os_context_vectors(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    uintptr_t lo = (uintptr_t)uc->uc_mcontext.fpregs;
    if (lo == 0)
        return (struct os_range){0, 0};
    struct _fpx_sw_bytes sw;
    memcpy(&sw, (const char *)lo + SW_BYTES_OFFSET, sizeof sw);
    size_t size = sw.magic1 == XSTATE_MAGIC1 ? sw.extended_size : sizeof(struct _libc_fpstate);
    return (struct os_range){lo, lo + (size & ~(size_t)7)};
}

struct os_range os_context_altstack(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    uintptr_t lo = (uintptr_t)uc->uc_stack.ss_sp, hi = lo + uc->uc_stack.ss_size;
    uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
    if (sp >= lo && sp <= hi && lo < hi)
        return (struct os_range){sp - RED_ZONE > lo ? sp - RED_ZONE : lo, hi};
    return (struct os_range){0, 0};
}

struct os_mangling os_mangling = {.low = OS_NOTHING_MANGLED};

/* The secret is in the thread's control block, and the stack pointer is the seventh word of a jmp_buf; both for as long
 * as that stack pointer, unmangled, is one of this frame. */
enum { JMP_BUF_SP = 6, SECRET_IN_TCB = 0x30, FRAME = 4096 };

void os_mangling_init(void)
{
    jmp_buf env;
    uintptr_t sp, here = (uintptr_t)&env;
    struct os_mangling m;
    __asm__("movq %%fs:%c1, %0" : "=r"(m.secret) : "i"(SECRET_IN_TCB));
    m.low = (uint32_t)(m.secret >> (64 - OS_MANGLED_BITS));
    (void)_setjmp(env);
    memcpy(&sp, (const char *)&env + JMP_BUF_SP * sizeof sp, sizeof sp);
    os_mangling = m;
    sp = os_unmangled(sp);
    if (sp > here || here - sp > FRAME)
        os_mangling.low = OS_NOTHING_MANGLED;
}
