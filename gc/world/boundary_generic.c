/* boundary_generic.c - boundary_call in C, for a CPU that has no assembly of its own.
 * Owns:   nothing. Locks: none.
 * Keeps:  .frame  the whole frame is scanned: a register that the compiler saved in it before unw_getcontext ran is
 *                 found on the stack instead. So the context comes from alloca: what it gives lies below all else in the
 *                 frame, and a variable need not (gcc puts them above the saved registers on aarch64)
 * Below:  libunwind.   Above: stop, cycle. */
#define UNW_LOCAL_ONLY
#include "world/boundary.h"

#include <libunwind.h>
#include <string.h>

struct boundary {
    unw_context_t context;
};

NOINLINE void *boundary_call(boundary_fn fn, uintptr_t a, uintptr_t b)
{
    volatile uintptr_t held[2] = {a, b};
    struct boundary *at = __builtin_alloca(sizeof *at);
    memset(at, 0, sizeof *at);
    unw_getcontext(&at->context);
    void *r = fn(held[0], held[1], at);
    __asm__ volatile("" : : "r"(at), "r"(held) : "memory");
    return r;
}

/* The context is the lowest part of the frame. */
uintptr_t boundary_stack(const struct boundary *at) { return (uintptr_t)at; }

void boundary_registers(const struct boundary *at, uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)at;
    *hi = (uintptr_t)at + sizeof *at;
}
