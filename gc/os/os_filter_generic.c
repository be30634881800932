/* os_filter_generic.c - one word after the other.
 * Owns:   nothing. Locks: none.
 * Keeps:  .same  what is passed over is what the test of one word refuses       (unit/os_filter.c)
 * Below:  nothing.   Above: mark/scan.c. */
#include "os/os_filter.h"

NO_SANITIZE uintptr_t os_filter_next(const struct os_filter *f, uintptr_t at, uintptr_t end)
{
    while (at < end && !os_filter_passes(f, *(const volatile uintptr_t *)at))
        at += sizeof(uintptr_t);
    return at;
}
