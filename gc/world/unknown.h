/* unknown.h - threads that nobody told the library of. */
#ifndef WORLD_UNKNOWN_H
#define WORLD_UNKNOWN_H

#include "world/thread.h"

enum unknown {
    UNKNOWN_NONE,      /* everyone else is listed */
    UNKNOWN_SOME,      /* they are now: not `asked` yet */
    UNKNOWN_AGAIN,     /* threads come or go: look again */
    UNKNOWN_BLIND,     /* /proc does not tell */
    UNKNOWN_FAILED,    /* no file to read */
    UNKNOWN_NO_MEMORY, /* for a record */
};

/* Compares the list with the process. Every listed thread but the calling one, `self` or NULL, is stopped. */
enum unknown unknown_find(const struct thread *self);

#endif
