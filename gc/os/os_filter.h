/* os_filter.h - passing over words that are no pointers, many at a time. */
#ifndef OS_OS_FILTER_H
#define OS_OS_FILTER_H

#include "base/attr.h"

/* A word that may be a pointer is in [base, base + size], or its lower bits say that it is mangled (os_mangle.h). */
struct os_filter {
    uintptr_t base, size;
    uintptr_t low_mask, low;
};

static ALWAYS_INLINE bool os_filter_passes(const struct os_filter *f, uintptr_t v)
{
    return v - f->base <= f->size || (v & f->low_mask) == f->low;
}

/* The address of the first word in [at, end), both aligned, that passes; end if none does. In os_filter_*.c. */
uintptr_t os_filter_next(const struct os_filter *f, uintptr_t at, uintptr_t end);

#endif
