/* os_calls.c - the C library's own waiting and signal functions, behind the wrappers.
 * Owns:   the addresses found. Locks: none: finding one twice gives the same.
 * Keeps:  .early   all are found as the library starts
 *         .static  nothing here calls dlsym in the archive, where it crashes a fully static program
 * Below:  the C library.   Above: world/interrupts.c, api/wrap_waits.c, wrap_io.c, wrap_signals.c. */
#include "os/os_calls.h"

#include "base/report.h"

#ifdef PIC

#include <dlfcn.h>
#include <stdatomic.h>

#define GLIBC_CALL                              CALL
#define CALL(type, name, parameters, arguments) CALL_##name,
enum call {
#include "os/os_calls.def"
    CALL_COUNT
};
#undef CALL

#define CALL(type, name, parameters, arguments) #name,
static const char *const names[] = {
#include "os/os_calls.def"
};
#undef CALL

static _Atomic(void *) found[CALL_COUNT];

static void *look_up(enum call i)
{
    void *p = dlsym(RTLD_NEXT, names[i]);
    atomic_store_explicit(&found[i], p, memory_order_release);
    return p;
}

static void *address_of(enum call i)
{
    void *p = atomic_load_explicit(&found[i], memory_order_acquire);
    p = p ? p : look_up(i);
    if (!p)
        report_fatal("the C library's %s cannot be found behind the wrapper; aborting", names[i]);
    return p;
}

void os_calls_init(void)
{
    for (enum call i = 0; i < CALL_COUNT; i++)
        look_up(i);
}

#define CALL(type, name, parameters, arguments)                                                                        \
    type os_real_##name parameters { return ((type(*) parameters)address_of(CALL_##name))arguments; }
#include "os/os_calls.def"

#else

void os_calls_init(void) {}

#define CALL(type, name, parameters, arguments)                                                                        \
    type __real_##name parameters;                                                                                     \
    type os_real_##name parameters { return __real_##name arguments; }
#ifdef __GLIBC__
#define GLIBC_CALL CALL
#else
#define GLIBC_CALL(type, name, parameters, arguments)                                                                  \
    type os_real_##name parameters { report_fatal("the C library has no " #name "; aborting"); }
#endif
#include "os/os_calls.def"

#endif
