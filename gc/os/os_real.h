/* os_real.h - the C library's own functions under names that the library wraps. In the shared library they are found
 * by dlsym(RTLD_NEXT), in the archive by the linker (--wrap). */
#ifndef OS_OS_REAL_H
#define OS_OS_REAL_H

#include "base/attr.h"

#include <pthread.h>
#include <signal.h>
#include <threads.h>

/* What a wrapper is called: the name itself in the shared library, __wrap_ and the name in the archive. */
#ifdef PIC
#define OS_WRAPPED(name) __attribute__((visibility("default"))) name
#else
#define OS_WRAPPED(name) __attribute__((visibility("default"))) __wrap_##name
#endif

/* Whether fn is ThreadSanitizer's own start of a thread: its pthread_create stands before that of the shared library. In
 * the new thread nothing may run before fn, not even malloc; the thread is known from its first call of the library. */
bool os_tsan_starts(void *(*fn)(void *));

/* Whether os_real_pthread_create makes threads in which the C library's functions can be called. Not where a
 * ThreadSanitizer stands between it and us: it does not know them, and calls of pthread_mutex_lock go to it. */
bool os_own_threads(void);

int os_real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
_Noreturn void os_real_pthread_exit(void *result);
int os_real_pthread_join(pthread_t id, void **result);
int os_real_pthread_tryjoin_np(pthread_t id, void **result);
int os_real_pthread_timedjoin_np(pthread_t id, void **result, const struct timespec *until);
int os_real_pthread_clockjoin_np(pthread_t id, void **result, clockid_t clock, const struct timespec *until);
int os_real_pthread_detach(pthread_t id);
int os_real_thrd_create(thrd_t *id, thrd_start_t fn, void *arg);
int os_real_thrd_join(thrd_t id, int *result);
int os_real_thrd_detach(thrd_t id);
int os_real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int os_real_sigprocmask(int how, const sigset_t *set, sigset_t *old);

/* How often the C library calls the destructors of pthread keys, less the last time under ThreadSanitizer: there the
 * sanitizer forgets the thread, and no lock may be taken after that. */
int os_exit_rounds(void);

#endif
