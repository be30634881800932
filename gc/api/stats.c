/* stats.c - gc_read_memstats.
 * Owns: nothing. Locks: CYCLE and WORLD, inside memstats.c. Below: watch. Above: the program. */
#include "api/api.h"
#include "watch/memstats.h"

#include <errno.h>
#include <string.h>

static void *read_at_boundary(uintptr_t st, uintptr_t unused, struct boundary *at)
{
    (void)unused;
    memstats_read(at, (struct gc_memstats *)st);
    return NULL;
}

void gc_read_memstats_sized(struct gc_memstats *st, size_t size)
{
    struct gc_memstats full;
    int saved = errno;
    memset(&full, 0, sizeof full);
    if (api_thread_for("gc_read_memstats"))
        boundary_call(read_at_boundary, (uintptr_t)&full, 0);
    size_t known = size < sizeof full ? size : sizeof full;
    memcpy(st, &full, known);
    memset((char *)st + known, 0, size - known);
    errno = saved;
}
