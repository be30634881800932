/* os_cpu_x86_64.c - what a signal frame of Linux on x86-64 holds.
 * Owns:   nothing. Locks: none; called by the collector on contexts of stopped threads.
 * Keeps:  .xsave  the whole extended state is given: a pointer may live only in the upper half of a vector register
 * Below:  the kernel's frame layout (bits/sigcontext.h names its fields).   Above: mark/rootjobs.c. */
#include "os/os.h"

#include <string.h>
#include <ucontext.h>

/* The kernel describes the extended state in the last 48 bytes of the 512 that fxsave leaves to software. */
enum { RED_ZONE = 128, SW_BYTES_OFFSET = 464, XSTATE_MAGIC1 = 0x46505853 };

const char *os_arch_name(void) { return "x86-64"; }

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
