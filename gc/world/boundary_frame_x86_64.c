/* boundary_frame_x86_64.c - what boundary_x86_64.S stored.
 * Owns:   nothing. Locks: none.
 * Keeps:  .frame  the numbers in the assembly are those of libunwind's context
 * Below:  libunwind, for the context's layout.   Above: stop, cycle.
 *
 * Only the general registers of the context are scanned: unw_getcontext leaves most of its 968 bytes untouched, and
 * what an earlier call left there would keep dead objects alive. No vector register survives a call on this ABI. */
#define UNW_LOCAL_ONLY
#include "world/boundary.h"

#include <libunwind.h>
#include <ucontext.h>

enum { CONTEXT_BYTES = 968 };

_Static_assert(sizeof(unw_context_t) == CONTEXT_BYTES, "boundary_x86_64.S: CONTEXT");
_Static_assert(sizeof(unw_context_t) == sizeof(ucontext_t), "libunwind's context is a ucontext_t here");

uintptr_t boundary_stack(const struct boundary *at) { return (uintptr_t)at + CONTEXT_BYTES; }

void boundary_registers(const struct boundary *at, uintptr_t *lo, uintptr_t *hi)
{
    const ucontext_t *uc = (const ucontext_t *)(const void *)at;
    *lo = (uintptr_t)&uc->uc_mcontext.gregs[REG_R8];
    *hi = (uintptr_t)&uc->uc_mcontext.gregs[REG_RSP];
}
