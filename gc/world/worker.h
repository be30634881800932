/* worker.h - threads of the library's own: the sweeper, the markers. */
#ifndef WORLD_WORKER_H
#define WORLD_WORKER_H

#include "base/attr.h"

/* Start one: detached, with a small stack, every signal but the stop signal blocked, so that the program's handlers
 * never run on it. fn runs as a known thread. No lock held, not in a region. False without memory, when the C library
 * refuses, and under ThreadSanitizer. */
bool worker_start(void *(*fn)(void *), void *arg);

/* The same with a stack as large as the program's threads have: for one that calls the program. */
bool worker_start_large(void *(*fn)(void *), void *arg);

#endif
