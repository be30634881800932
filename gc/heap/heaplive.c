/* heaplive.c - the numbers that start a collection.
 * Owns: heap_live, heap_trigger, heap_floor. Locks: none, relaxed atomics: a collection a span earlier or later is no matter.
 * Below: nothing. Above: mcentral and large objects add, the cycle sets. */
#include "heap/heaplive.h"

_Atomic uint64_t heap_live;
_Atomic uint64_t heap_trigger = UINT64_MAX;
_Atomic uint64_t heap_floor = UINT64_MAX;
