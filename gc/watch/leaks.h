/* leaks.h - what became unreachable without gc_free, for programs that still call it. */
#ifndef WATCH_LEAKS_H
#define WATCH_LEAKS_H

#include "watch/buckets.h"

/* Write the stacks that leaked, most bytes first, and the sum; a line that there are none. The figures are sorted. Stores
 * the number of objects in *objects; false with the errno of write(2). The world runs; no lock held. */
bool leaks_write(int fd, struct bucket_figures *f, size_t n, uint64_t *objects);

#endif
