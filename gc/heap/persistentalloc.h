/* persistentalloc.h - memory for metadata that is never given back. */
#ifndef HEAP_PERSISTENTALLOC_H
#define HEAP_PERSISTENTALLOC_H

#include "heap/sysmem.h"

enum { PERSISTENT_CHUNK = 256 * 1024, PERSISTENT_DIRECT = 64 * 1024 };

/* Zeroed memory at a multiple of `align` (a power of two up to a page), counted as `kind`; NULL on failure. Blocks of
 * PERSISTENT_DIRECT bytes and more come straight from the OS. */
void *persistentalloc(size_t n, size_t align, enum sys_kind kind);

void persistentalloc_fork_acquire(void);
void persistentalloc_fork_release(void);

#endif
