/* gzip.h - a file written compressed, bit by bit. The first error is kept, and nothing is written after it. */
#ifndef WATCH_GZIP_H
#define WATCH_GZIP_H

#include "base/attr.h"

#include <zlib.h>

struct gzip {
    z_stream z;
    int fd;
    int error; /* an errno, 0 while all is well */
    unsigned char out[8192];
};

void gzip_begin(struct gzip *g, int fd);
void gzip_add(struct gzip *g, const void *from, size_t n);

/* Whoever makes what is written has run into that errno. */
void gzip_fail(struct gzip *g, int error);

/* Writes what is left; 0, or the first error. */
int gzip_end(struct gzip *g);

#endif
