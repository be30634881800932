/* os_mem.h - memory as the kernel gives it: reserve address space, map it, release pages, give it back.
 *
 * All addresses and sizes are multiples of os_page_size(), and no size is 0. Memory just mapped or just released reads
 * as zeros. Failure is NULL or false, nothing changed. No accounting here: heap/sysmem.h counts.
 * Two files implement this: os_mem_linux.c, and os_mem_null.c for unit tests (failing, counted, exact addresses). */
#ifndef OS_OS_MEM_H
#define OS_OS_MEM_H

#include "base/attr.h"

size_t os_page_size(void);

/* Address space without memory: no swap is accounted for it. At `hint` if that is free, else anywhere; with `exact`,
 * at `hint` or not at all. */
void *os_reserve(uintptr_t hint, size_t n, bool exact);

/* Make reserved pages readable and writable. */
bool os_map(void *p, size_t n);

/* Fresh readable and writable pages from anywhere. */
void *os_alloc(size_t n);

/* Make mapped pages fault when they are touched, without a mapping of their own; they lose their contents. Whether the
 * kernel knows how (Linux 6.13) is found out by trying. */
bool os_guards_known(void);
bool os_guard(void *p, size_t n);

/* Never back these reserved pages by huge ones: of each stack, only the few pages in use are to be in memory. */
void os_avoid_huge_pages(void *p, size_t n);

/* Back these reserved pages by huge ones from now on, where they are mapped by whole ones. */
void os_prefer_huge_pages(void *p, size_t n);

/* What the kernel shows these pages as, where it can (Linux 5.17). */
void os_label(void *p, size_t n, const char *name);

/* Give the contents of mapped pages back; they stay mapped. */
bool os_release(void *p, size_t n);

/* The same when the kernel needs memory; until then they may be as they were. False where it does not know how. */
bool os_release_lazily(void *p, size_t n);

/* Give pages back, address space and all. */
void os_free(void *p, size_t n);

#endif
