/* sysmem.h - memory from the OS, counted by what it is for. The counters sum to `sys` in memstats. */
#ifndef HEAP_SYSMEM_H
#define HEAP_SYSMEM_H

#include "base/attr.h"

#include <stdatomic.h>

enum sys_kind { SYS_HEAP, SYS_STACK, SYS_MSPAN, SYS_MCACHE, SYS_BUCKHASH, SYS_GC, SYS_OTHER, SYS_KINDS };

/* Fresh zeroed memory, whole OS pages; NULL on failure. */
void *sysmem_alloc(size_t n, enum sys_kind kind);
void sysmem_free(void *p, size_t n, enum sys_kind kind);

/* For what the collector outgrows while the world is stopped: it stays readable until it calls sysmem_free_retired, when
 * the world runs again. */
void sysmem_retire(void *p, size_t n, enum sys_kind kind);
void sysmem_free_retired(void);

/* For such a table of *bytes at `at`, NULL at first: where it has room for `need`, which is at most twice as much; NULL
 * when there is none, and it stays as it was. */
void *sysmem_grow(void *at, size_t *bytes, size_t need, enum sys_kind kind);

/* Make reserved memory usable. */
bool sysmem_map(void *p, size_t n, enum sys_kind kind);

/* Memory counted as one kind is now used for another. */
void sysmem_move(size_t n, enum sys_kind from, enum sys_kind to);

uint64_t sysmem_bytes(enum sys_kind kind);
uint64_t sysmem_total(void);

/* While frozen, SYS_HEAP memory is refused as if the OS had. Returns the old value. */
bool sysmem_set_frozen(bool frozen);
bool sysmem_frozen(void);

#endif
