/* profile.c - gc_set_profile_rate, gc_write_heap_profile, gc_report_leaks.
 * Owns:   nothing.
 * Locks:  CYCLE while the figures are read, none while they are written.
 * Below:  heapprofile, leaks, cycle.   Above: the program. */
#include "api/api.h"
#include "cycle/cycle.h"
#include "watch/heapprofile.h"
#include "watch/leaks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_BITS = 56 }; /* the gaps between samples are some dozen times longer, and fit in 64 */

/* What was passed over by the old rate, in slots that threads have in hand, must not be so by the new one. */
static void *set_at_boundary(uintptr_t rate, uintptr_t unused, struct boundary *at)
{
    (void)unused;
    cycle_lock_swept(at);
    uint64_t old = sampler_set_rate(rate);
    cycle_lock_release();
    return (void *)(uintptr_t)old;
}

size_t gc_set_profile_rate(size_t bytes)
{
    int saved = errno;
    size_t most = (size_t)1 << RATE_BITS;
    if (!api_thread())
        return 0;
    size_t old = (uintptr_t)boundary_call(set_at_boundary, bytes < most ? bytes : most, 0);
    errno = saved;
    return old;
}

size_t gc_get_profile_rate(void)
{
    int saved = errno;
    api_thread();
    errno = saved;
    return sampler_rate();
}

static void *read_at_boundary(uintptr_t profile, uintptr_t unused, struct boundary *at)
{
    struct heapprofile *p = (struct heapprofile *)profile;
    (void)unused;
    cycle_lock_swept(at);
    p->figures = buckets_read(mcache_self, &p->n);
    cycle_lock_release();
    return NULL;
}

long gc_report_leaks(int fd)
{
    struct heapprofile p;
    uint64_t objects = 0;
    int saved = errno;
    if (!api_thread())
        return -1;
    gc_collect();
    boundary_call(read_at_boundary, (uintptr_t)&p, 0);
    bool done = p.figures && leaks_write(fd, p.figures, p.n, &objects);
    int e = p.figures ? errno : ENOMEM;
    free(p.figures);
    errno = done ? saved : e;
    return done ? (long)objects : -1;
}

int gc_write_heap_profile(int fd, enum gc_profile_format format)
{
    struct heapprofile p;
    struct gc_memstats st;
    int saved = errno;
    if (format != GC_SPAN_PROFILE_PPROF && format != GC_SPAN_PROFILE_TEXT) {
        errno = EINVAL;
        return -1;
    }
    if (!api_thread())
        return -1;
    boundary_call(read_at_boundary, (uintptr_t)&p, 0);
    if (format == GC_SPAN_PROFILE_TEXT)
        gc_read_memstats(&st);
    int result = p.figures ? heapprofile_write(fd, format, &p, &st) : -1;
    int e = p.figures ? errno : ENOMEM;
    free(p.figures);
    errno = result == 0 ? saved : e;
    return result;
}
