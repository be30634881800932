/* unwind.h - the calling thread's own stack, as return addresses. */
#ifndef WORLD_UNWIND_H
#define WORLD_UNWIND_H

#include "base/attr.h"

#include <stddef.h>

/* At most UNWIND_MAX of them, innermost first, the library's own frames among them; returns how many. `caller` is one of
 * the return addresses on it, by which walks that were made before are found; `end` is where the stack ends. It must end as
 * the C library's do, in a frame that says it is the last: libgcc reads what a return address points to. Any thread, with
 * no lock of ours. */
enum { UNWIND_MAX = 80 };
size_t unwind_self(uintptr_t stack[UNWIND_MAX], uintptr_t caller, uintptr_t end);

#endif
