/* explain.h - why an object is alive, in words. */
#ifndef WATCH_EXPLAIN_H
#define WATCH_EXPLAIN_H

#include "watch/path.h"

/* Write what was found to fd. The world runs; no lock held. False with the errno of write(2). `caller` is where the
 * program called the library to ask. */
bool explain_write(int fd, const struct path *p, uintptr_t caller);

/* A bucket's stack, a line "    #0 parse (a.c:12)" a frame. */
struct out;
void explain_frames(struct out *o, const struct bucket *b);

#endif
