/* maker_lib.h - see maker_lib.c. */
#ifndef API_MAKER_LIB_H
#define API_MAKER_LIB_H

#include <pthread.h>

__attribute__((visibility("default"))) int maker_start(pthread_t *id, void *(*fn)(void *), void *arg);
__attribute__((visibility("default"))) int maker_join(pthread_t id, void **result);

#endif
