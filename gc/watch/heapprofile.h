/* heapprofile.h - the table of stacks as a file. */
#ifndef WATCH_HEAPPROFILE_H
#define WATCH_HEAPPROFILE_H

#include "heap/sampler.h"
#include "watch/buckets.h"

#include <spangc.h>

/* How many objects, or bytes, each sampled one of the bucket stands for. */
double heapprofile_scale(const struct bucket *b);

/* What is written: for free(figures). */
struct heapprofile {
    struct bucket_figures *figures;
    size_t n;
};

/* Write it; `st` is for the text form. 0, or -1 with errno. */
int heapprofile_write(int fd, enum gc_profile_format format, const struct heapprofile *p, const struct gc_memstats *st);

#endif
