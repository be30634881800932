/* maker_lib.c - a library that makes and joins threads and knows nothing of the collector. */
#include "maker_lib.h"

int maker_start(pthread_t *id, void *(*fn)(void *), void *arg) { return pthread_create(id, NULL, fn, arg); }
int maker_join(pthread_t id, void **result) { return pthread_join(id, result); }
