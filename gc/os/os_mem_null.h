/* os_mem_null.h - what a unit test may ask of the null OS. */
#ifndef OS_OS_MEM_NULL_H
#define OS_OS_MEM_NULL_H

#include "os/os_mem.h"

enum os_null_call { OS_NULL_RESERVE, OS_NULL_MAP, OS_NULL_ALLOC, OS_NULL_RELEASE, OS_NULL_FREE, OS_NULL_KINDS };

struct os_null {
    uint64_t calls[OS_NULL_KINDS]; /* made so far, failed ones too */
    uint64_t failed;               /* of these, made to fail */
    uint64_t fail_at;        /* the call of this number fails, counted over all kinds that can fail from 1; 0 none */
    bool fail_on;            /* and so does every later one */
    size_t reserved, mapped; /* bytes: address space reserved; readable and writable, os_alloc's too */
    size_t released;         /* bytes passed to os_release in all */
    size_t huge, not_huge;   /* bytes passed to os_prefer_huge_pages, os_avoid_huge_pages in all */
    size_t limit;            /* mapped may not exceed this; 0 none */
    uintptr_t base;          /* where the first reservation goes */
    bool no_guards;          /* os_guard is not known to this kernel */
    size_t guarded;          /* bytes passed to os_guard */
};

/* One for the process: the test writes it before the first call and reads it after. */
extern struct os_null os_null;

/* Calls that can fail made so far: set os_null.fail_at to this plus n to fail the nth from here. */
uint64_t os_null_fallible_calls(void);

#endif
