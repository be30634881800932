/* os_memtool.h - telling AddressSanitizer, in a program built for it, and Valgrind's memcheck, which memory may be used.
 *
 * The sanitizer's functions are there when the program has them, whatever the library was built for. Valgrind's requests
 * are some instructions that do nothing elsewhere; they are known where its header was there at build time. Used with
 * SPANGC_DEBUG=check=1 alone. */
#ifndef OS_OS_MEMTOOL_H
#define OS_OS_MEMTOOL_H

#include "base/attr.h"

#include <stddef.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_NOACCESS(p, n)  ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n)   ((void)(p), (void)(n))
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#define RUNNING_ON_VALGRIND 0
#endif

void __asan_poison_memory_region(const volatile void *p, size_t n) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *p, size_t n) __attribute__((weak));

/* Whether the program runs on Valgrind, for which reserved addresses are slow. */
static inline bool os_memtool_simulated(void) { return RUNNING_ON_VALGRIND > 0; }

/* Nobody may read or write it. */
static inline void os_memtool_forbid(uintptr_t p, size_t n)
{
    VALGRIND_MAKE_MEM_NOACCESS((void *)p, n);
    if (__asan_poison_memory_region)
        __asan_poison_memory_region((void *)p, n);
}

/* It may be used; its contents mean something, or not. */
static inline void os_memtool_allow(uintptr_t p, size_t n, bool defined)
{
    if (defined)
        VALGRIND_MAKE_MEM_DEFINED((void *)p, n);
    else
        VALGRIND_MAKE_MEM_UNDEFINED((void *)p, n);
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region((void *)p, n);
}

/* Around reading what may be undefined or forbidden, as marking does. Not inline: Valgrind's requests have an array on the
 * stack, which AddressSanitizer minds in threads that it has not seen begin. */
void os_memtool_quiet(bool on);

#endif
