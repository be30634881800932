/* os_mangle.h - pointers that the C library keeps mangled in a jmp_buf.
 *
 * glibc on x86-64 does so with the stack pointer, the return address, and rbp, which a compiler uses like any other
 * register: a variable that lives across setjmp may be nowhere else. A mangled word is the pointer, combined with a
 * secret by exclusive or, then rotated left by 17. The upper 17 bits of a pointer are zero, so in a mangled one the
 * lower 17 are those of the secret, and few words need be looked at twice. */
#ifndef OS_OS_MANGLE_H
#define OS_OS_MANGLE_H

#include "base/attr.h"

enum {
    OS_MANGLED_BITS = 17,
    OS_NOTHING_MANGLED = 1 << OS_MANGLED_BITS, /* what no word's lower bits are */
    OS_JMP_BUF_WORDS = 8                       /* no smaller memory holds registers of setjmp */
};

struct os_mangling {
    uintptr_t secret; /* of the process; in a child of fork the same */
    uint32_t low;     /* what the lower bits of a mangled word are, or OS_NOTHING_MANGLED */
};

extern struct os_mangling os_mangling; /* written once, before there is a heap */

/* Find out; where it is not understood, nothing is taken for mangled. In os_cpu_*.c. */
void os_mangling_init(void);

static ALWAYS_INLINE bool os_may_be_mangled(uintptr_t v) { return (v & (OS_NOTHING_MANGLED - 1)) == os_mangling.low; }

static ALWAYS_INLINE uintptr_t os_unmangled(uintptr_t v)
{
    return (v >> OS_MANGLED_BITS | v << (64 - OS_MANGLED_BITS)) ^ os_mangling.secret;
}

#endif
