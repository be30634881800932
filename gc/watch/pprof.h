/* pprof.h - a heap profile in the format of pprof: profile.proto, compressed. */
#ifndef WATCH_PPROF_H
#define WATCH_PPROF_H

#include "base/attr.h"

/* What one stack allocated of one size: estimates, scaled up from the samples. */
struct pprof_record {
    const uintptr_t *stack; /* return addresses, the innermost first */
    size_t depth;
    uint64_t alloc_objects, alloc_bytes;
    uint64_t inuse_objects, inuse_bytes;
    uint64_t object_bytes; /* the size of each; 0 when that is not known */
};

struct pprof; /* one that is being written */

/* No lock of the library is held, from begin to end. Rate: bytes from one sample to the next. Time: nanoseconds since
 * 1970 at which the figures were taken; duration: those for which they were gathered. */
struct pprof *pprof_begin(int fd, uint64_t rate, uint64_t time_ns, uint64_t duration_ns);

void pprof_record(struct pprof *p, const struct pprof_record *r);

/* Writes the rest and frees p. 0, or -1 with errno: that of the first write(2) that failed, or ENOMEM, which it also is
 * when p is NULL. */
int pprof_end(struct pprof *p);

#endif
