/* legacyprofile.h - a heap profile as text, for people and for the older pprof. */
#ifndef WATCH_LEGACYPROFILE_H
#define WATCH_LEGACYPROFILE_H

#include "base/attr.h"

#include <spangc.h>

/* What was sampled of one stack, as counted: the reader scales it up. */
struct legacy_record {
    const uintptr_t *stack; /* return addresses, the innermost first */
    size_t depth;
    uint64_t allocs, alloc_bytes;
    uint64_t inuse, inuse_bytes;
};

/* No lock of the library is held. 0, or -1 with the errno of write(2). */
int legacyprofile_write(int fd, uint64_t rate, const struct legacy_record *r, size_t n, const struct gc_memstats *st);

#endif
