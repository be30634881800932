/* boundary_frame_x86_64.c - what boundary_x86_64.S stored.
 * Owns:   nothing. Locks: none.
 * Keeps:  .frame  the numbers in the assembly are those of libunwind's context
 * Below:  libunwind, for the context's layout.   Above: stop, cycle.
 *
 * Of the context, only the general registers that a call preserves are scanned, with rdi and rsi, which lie among them
 * and are ours. The others, vector registers too, are dead when a function is called, and may hold a stale pointer: one
 * that the caller has just passed to gc_is_reachable, say. unw_getcontext leaves most of its 968 bytes untouched, and
 * what an earlier call left there would keep dead objects alive. */
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
    *lo = (uintptr_t)&uc->uc_mcontext.gregs[REG_R12];
    *hi = (uintptr_t)&uc->uc_mcontext.gregs[REG_RDX];
}
