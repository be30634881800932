/* os_memtool.c - the part that is no inline function.
 * Owns: nothing. Locks: none. Below: Valgrind, where it is. Above: marking. */
#include "os/os_memtool.h"

NO_SANITIZE void os_memtool_quiet(bool on)
{
    if (on)
        VALGRIND_DISABLE_ERROR_REPORTING;
    else
        VALGRIND_ENABLE_ERROR_REPORTING;
}
