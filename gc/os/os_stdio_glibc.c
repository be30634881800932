/* os_stdio_glibc.c - the lock of the list of open streams.
 * Owns: nothing. Locks: that one. Below: glibc, which exports it for its own libraries, and declares it in no header.
 * Above: api/fork.c. */
#include "os/os.h"

/* Weak, so that other C libraries link. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static bool known(void) { return _IO_list_lock && _IO_list_unlock && _IO_list_resetlock; }

void os_stdio_lock(void)
{
    if (known())
        _IO_list_lock();
}

void os_stdio_unlock(void)
{
    if (known())
        _IO_list_unlock();
}

/* The C library does so only where the parent had several threads. */
void os_stdio_reset(void)
{
    if (known())
        _IO_list_resetlock();
}
