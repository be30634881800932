/* os_calls.h - the functions of os_calls.def: os_real_NAME is the C library's, OS_WRAPPED(NAME) stands in front of it. */
#ifndef OS_OS_CALLS_H
#define OS_OS_CALLS_H

/* The checked variants are wrapped under their own names; inline ones in the headers would be in the way. */
#undef _FORTIFY_SOURCE

#include "os/os_real.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* glibc: a union that takes any kind of socket address. */
#ifndef __SOCKADDR_ARG
#define __SOCKADDR_ARG       struct sockaddr *restrict
#define __CONST_SOCKADDR_ARG const struct sockaddr *
#endif

typedef void (*os_handler)(int);

/* Not instrumented: a thread that is cancelled in one is unwound, and what a sanitizer had marked of its frame would stay
 * marked. The same of what they wait in. */
#define CALL(type, name, parameters, arguments)                                                                        \
    type os_real_##name parameters;                                                                                    \
    NO_SANITIZE type OS_WRAPPED(name) parameters;
#define GLIBC_CALL CALL
#include "os/os_calls.def"
#undef CALL
#undef GLIBC_CALL

/* Find them all now: dlsym takes locks, and the first call of one may be made by a signal handler. */
void os_calls_init(void);

#endif
