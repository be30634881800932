/* plain_malloc.h - what the examples call of spangc.h, on plain malloc: the same programs without a collector, which
 * never free. Built with -DEXAMPLE_PLAIN_MALLOC, they show what forgetting costs when nobody collects. */
#ifndef PLAIN_MALLOC_H
#define PLAIN_MALLOC_H

#include <stdlib.h>
#include <string.h>

static inline void *gc_malloc(size_t size) { return calloc(1, size ? size : 1); }
static inline void *gc_malloc_noscan(size_t size) { return malloc(size ? size : 1); }
static inline void *gc_calloc(size_t n, size_t size) { return calloc(n, size); }
static inline void *gc_realloc(void *p, size_t size) { return realloc(p, size ? size : 1); }
static inline char *gc_strndup(const char *s, size_t n) { return strndup(s, n); }
static inline int gc_explain(const void *p, int fd) { return (void)p, (void)fd, -1; }

#endif
