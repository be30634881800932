/* mappings.h - the list of what sysmem has mapped, so that its sum can be held against /proc/PID/smaps. */
#ifndef HEAP_MAPPINGS_H
#define HEAP_MAPPINGS_H

#include "base/attr.h"

/* Note that [p, p + n) is ours. */
void mappings_add(const void *p, size_t n);

/* The same for memory that is never given back: what begins where the last such ended becomes one with it. */
void mappings_extend(const void *p, size_t n);

/* Forget one that mappings_add noted. */
void mappings_remove(const void *p, size_t n);

/* Each, in no order: readable and writable memory from lo to hi. While others map, one may be missed. Returns the bytes
 * that are in none, because the table was full. */
uint64_t mappings_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

#endif
