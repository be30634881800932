/* out.h - text for people, to a file descriptor. */
#ifndef WATCH_OUT_H
#define WATCH_OUT_H

#include "base/attr.h"

#include <stddef.h>

/* Collected until it is written, or the buffer is full. */
struct out {
    int fd;
    int error; /* errno of the first write that failed; nothing is written after it */
    size_t n;
    char text[4096];
};

static inline struct out *out_begin(struct out *o, int fd)
{
    o->fd = fd;
    o->error = 0;
    o->n = 0;
    return o;
}

/* What is longer than the buffer is cut. */
void out_printf(struct out *o, const char *format, ...) PRINTF(2, 3);

/* Write what is collected: `text` and `n`. */
void out_flush(struct out *o);

/* False with errno when something could not be written. */
bool out_end(struct out *o);

#endif
