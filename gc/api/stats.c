/* stats.c - gc_read_memstats, gc_write_mappings.
 * Owns: nothing. Locks: CYCLE and WORLD, inside memstats.c. Below: watch. Above: the program. */
#include "api/api.h"
#include "base/report.h"
#include "heap/mappings.h"
#include "watch/memstats.h"

#include <errno.h>
#include <stdio.h>
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

struct out {
    int fd;
    bool failed;
};

static void write_mapping(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct out *o = arg;
    char line[64];
    int n = snprintf(line, sizeof line, "%lx-%lx\n", (unsigned long)lo, (unsigned long)hi);
    o->failed = o->failed || !report_write(o->fd, line, (size_t)n);
}

int gc_write_mappings(int fd)
{
    struct out o = {fd, false};
    int saved = errno;
    if (!api_thread())
        return -1;
    mappings_each(write_mapping, &o);
    if (!o.failed)
        errno = saved;
    return o.failed ? -1 : 0;
}
