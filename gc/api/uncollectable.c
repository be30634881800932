/* uncollectable.c - memory that only gc_free lets go.
 * Owns: nothing. Locks: PINNED, inside slow.c. Below: slow. Above: the program, wrap_threads.c. */
#include "api/api.h"

void *gc_malloc_uncollectable(size_t size) { return api_alloc_slow(size, ALLOC_PINNED); }
void *gc_malloc_uncollectable_noscan(size_t size) { return api_alloc_slow(size, ALLOC_PINNED | ALLOC_NOSCAN); }
