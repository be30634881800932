/* os_cpu_x86_64.c - what a signal frame of Linux on x86-64 holds, and a jmp_buf of glibc.
 * The vector registers there are os_xstate_x86_64.c's.
 * Owns:   nothing. Locks: none; called by the collector on contexts of stopped threads.
 * Below:  the kernel's frame layout (bits/sigcontext.h names its fields).   Above: mark/rootjobs.c. */
#include "os/os.h"
#include "os/os_mangle.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

/* "syscall" is two bytes, and leaves the address behind it in rcx. */
enum { SYSCALL_BYTES = 2 };

enum { RED_ZONE = 128 };

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

/* Six registers are kept, and eight more bytes keep the stack aligned. */
__attribute__((naked, noinline)) void os_call_clean(__attribute__((unused)) void (*fn)(void *arg),
                                                    __attribute__((unused)) void *arg)
{
    __asm__("pushq %rbx\n\t.cfi_adjust_cfa_offset 8\n\t"
            "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t"
            "pushq %r12\n\t.cfi_adjust_cfa_offset 8\n\t"
            "pushq %r13\n\t.cfi_adjust_cfa_offset 8\n\t"
            "pushq %r14\n\t.cfi_adjust_cfa_offset 8\n\t"
            "pushq %r15\n\t.cfi_adjust_cfa_offset 8\n\t"
            "subq $8, %rsp\n\t.cfi_adjust_cfa_offset 8\n\t"
            "xorl %ebx, %ebx\n\t"
            "xorl %ebp, %ebp\n\t"
            "xorl %r12d, %r12d\n\t"
            "xorl %r13d, %r13d\n\t"
            "xorl %r14d, %r14d\n\t"
            "xorl %r15d, %r15d\n\t"
            "movq %rdi, %rax\n\t"
            "movq %rsi, %rdi\n\t"
            "call *%rax\n\t"
            "addq $8, %rsp\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %r15\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %r14\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %r13\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %r12\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %rbp\n\t.cfi_adjust_cfa_offset -8\n\t"
            "popq %rbx\n\t.cfi_adjust_cfa_offset -8\n\t"
            "ret");
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

/* A frame describes the alternate stack that it lies on. With handlers within handlers only the first has left another
 * stack: SP there, or 0. */
static NO_SANITIZE uintptr_t left_in_frame(uintptr_t at, uintptr_t lo, uintptr_t hi)
{
    const ucontext_t *uc = (const void *)at;
    uintptr_t begin = (uintptr_t)uc->uc_stack.ss_sp, end = begin + uc->uc_stack.ss_size;
    uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
    bool frame = begin <= lo + RED_ZONE && at < end && end <= hi;
    return frame && (sp < begin || sp > end) && os_readable(round_down(sp, sizeof sp)) ? sp : 0;
}

NO_SANITIZE uintptr_t os_interrupted_sp(uintptr_t lo, uintptr_t hi)
{
    size_t bytes = offsetof(ucontext_t, uc_mcontext) + sizeof(gregset_t);
    uintptr_t sp = 0;
    for (uintptr_t at = round_up(lo, sizeof at); sp == 0 && at < hi && hi - at >= bytes; at += sizeof at)
        sp = left_in_frame(at, lo, hi);
    return sp;
}

/* ---- a thread that a tracer holds: general registers, then the extended state as xsave lays it out ---- */

enum { GENERAL_ROOM = 256, VECTOR_LEAST = 576, VECTOR_MOST = 1 << 16 };

_Static_assert(sizeof(struct user_regs_struct) <= GENERAL_ROOM, "general registers have room");

/* What the CPU may need for all that it can be told to save. */
static size_t vector_room(void)
{
    static size_t room;
    unsigned a, b, c = 0, d;
    if (room == 0) {
        __get_cpuid_count(0xd, 0, &a, &b, &c, &d);
        room = round_up(c > VECTOR_LEAST && c < VECTOR_MOST ? c : VECTOR_LEAST, 64);
    }
    return room;
}

size_t os_held_area(void) { return GENERAL_ROOM + vector_room(); }

static NO_CANARY NO_SANITIZE size_t read_set(const struct os_held *t, int set, char *to, size_t room)
{
    struct iovec v = {to, room};
    long e = os_syscall(SYS_ptrace, PTRACE_GETREGSET, t->tid, set, (long)&v, 0, 0);
    return e == 0 ? v.iov_len : 0;
}

NO_CANARY NO_SANITIZE bool os_held_read(struct os_held *t)
{
    t->general = read_set(t, NT_PRSTATUS, t->area, GENERAL_ROOM);
    t->vector = read_set(t, NT_X86_XSTATE, t->area + GENERAL_ROOM, vector_room());
    if (t->vector == 0)
        t->vector = read_set(t, NT_PRFPREG, t->area + GENERAL_ROOM, vector_room());
    return t->general == sizeof(struct user_regs_struct) && t->vector > 0;
}

static const struct user_regs_struct *general(const struct os_held *t) { return (const void *)t->area; }

uintptr_t os_held_stack(const struct os_held *t) { return general(t)->rsp - RED_ZONE; }
uintptr_t os_held_sp(const struct os_held *t) { return general(t)->rsp; }
uintptr_t os_held_thread_pointer(const struct os_held *t) { return general(t)->fs_base; }

struct os_range os_held_registers(const struct os_held *t)
{
    return (struct os_range){(uintptr_t)t->area, (uintptr_t)t->area + t->general};
}

struct os_range os_held_vectors(const struct os_held *t)
{
    uintptr_t lo = (uintptr_t)t->area + GENERAL_ROOM;
    return (struct os_range){lo, lo + (t->vector & ~(size_t)7)};
}

/* Those that a handler without SA_RESTART makes fail with EINTR, and one with it does not (signal(7)). The kernel
 * restarts others whatever the handler says; a fork, for one. */
static bool may_be_interrupted(long call)
{
    static const short calls[] = {
        SYS_read,         SYS_write,           SYS_readv,    SYS_writev,  SYS_pread64,  SYS_pwrite64, SYS_preadv,
        SYS_pwritev,      SYS_preadv2,         SYS_pwritev2, SYS_open,    SYS_openat,   SYS_ioctl,    SYS_wait4,
        SYS_waitid,       SYS_accept,          SYS_accept4,  SYS_connect, SYS_recvfrom, SYS_recvmsg,  SYS_recvmmsg,
        SYS_sendto,       SYS_sendmsg,         SYS_sendmmsg, SYS_flock,   SYS_fcntl,    SYS_futex,    SYS_getrandom,
        SYS_mq_timedsend, SYS_mq_timedreceive, SYS_splice,   SYS_tee,     SYS_vmsplice, SYS_sendfile,
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i] == call)
            return true;
    return false;
}

struct os_restarted os_context_restarted(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    const greg_t *r = uc->uc_mcontext.gregs;
    if (r[REG_RCX] != r[REG_RIP] + SYSCALL_BYTES || !may_be_interrupted((long)r[REG_RAX]))
        return (struct os_restarted){0, 0};
    return (struct os_restarted){(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RSP]};
}

void os_context_interrupt(void *ucontext)
{
    ucontext_t *uc = ucontext;
    uc->uc_mcontext.gregs[REG_RIP] += SYSCALL_BYTES;
    uc->uc_mcontext.gregs[REG_RAX] = -EINTR;
}
