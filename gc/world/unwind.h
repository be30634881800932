/* unwind.h - the calling thread's own stack, as return addresses. */
#ifndef WORLD_UNWIND_H
#define WORLD_UNWIND_H

#include "base/attr.h"

#include <stddef.h>

/* At most `max` of them, innermost first, the library's own frames among them; returns how many. For a known thread in
 * no region, with no lock of ours. Takes none either: the thread counts as stopped meanwhile, with all signals blocked. */
size_t unwind_self(uintptr_t *stack, size_t max);

#endif
