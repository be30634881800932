/* boundary.h - where the program's frames end and the collector's begin.
 *
 * A function of the API that may collect does so below boundary_call: it stores every register that the caller may
 * hold a pointer in, with libunwind's unw_getcontext, before any frame of ours below it has saved and reused one. The
 * collecting thread is then scanned from that frame up: the program's stack, its registers, and none of our own words.
 * What lies above boundary_call in our own code (gc_realloc holding its argument) is scanned like the program. */
#ifndef WORLD_BOUNDARY_H
#define WORLD_BOUNDARY_H

#include "base/attr.h"

struct boundary;

typedef void *(*boundary_fn)(uintptr_t a, uintptr_t b, struct boundary *at);

/* Returns fn(a, b, at). One file per CPU, and a generic one in C. */
void *boundary_call(boundary_fn fn, uintptr_t a, uintptr_t b);

/* Where the scan of the calling thread's stack starts, and the registers saved at the boundary. */
uintptr_t boundary_stack(const struct boundary *at);
void boundary_registers(const struct boundary *at, uintptr_t *lo, uintptr_t *hi);

#endif
