/* os_real.c - what stands behind the wrapped names.
 * Owns:   the addresses found. Locks: none: finding one twice gives the same.
 * Keeps:  .static  nothing here calls dlsym in the archive, where it crashes a fully static program
 * Below:  the C library.   Above: api/wrap_*.c, threads of our own. */
#include "os/os_real.h"

#include "base/report.h"

#include <limits.h>

#ifdef PIC

#include <dlfcn.h>

static void *find(const char *name, void *_Atomic *found)
{
    void *p = __atomic_load_n((void **)found, __ATOMIC_ACQUIRE);
    if (p)
        return p;
    p = dlsym(RTLD_NEXT, name);
    if (!p)
        report_fatal("the C library's %s cannot be found behind the wrapper; aborting", name);
    __atomic_store_n((void **)found, p, __ATOMIC_RELEASE);
    return p;
}

#define REAL(name, type)                                                                                               \
    ({                                                                                                                 \
        static void *_Atomic found_;                                                                                   \
        (type) find(#name, &found_);                                                                                   \
    })

static void *tsan(void)
{
    static void *_Atomic found;
    void *p = __atomic_load_n((void **)&found, __ATOMIC_RELAXED);
    if (!p) {
        p = dlsym(RTLD_DEFAULT, "__tsan_init");
        p = p ? p : (void *)&found; /* not here */
        __atomic_store_n((void **)&found, p, __ATOMIC_RELAXED);
    }
    return p == (void *)&found ? NULL : p;
}

/* What the sanitizer's runtime and its function have in common is the image. Where clang links the runtime into the
 * program, the program's functions are there too, but its calls come here by way of the runtime only. */
bool os_tsan_starts(void *(*fn)(void *))
{
    Dl_info runtime, its;
    return tsan() && dladdr(tsan(), &runtime) && dladdr(*(void **)(void *)&fn, &its) &&
           runtime.dli_fbase == its.dli_fbase;
}

bool os_own_threads(void) { return !tsan(); }

#else

/* Under another name: where the sanitizer is on, the compiler has its own idea of what type that is. */
extern char tsan_init[] __asm__("__tsan_init") __attribute__((weak));
static void *tsan(void) { return tsan_init; }

/* The linker's wrapping puts our own before any other. */
bool os_tsan_starts(void *(*fn)(void *))
{
    (void)fn;
    return false;
}

bool os_own_threads(void) { return true; }

int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
void __real_pthread_exit(void *result);
int __real_pthread_join(pthread_t id, void **result);
int __real_pthread_tryjoin_np(pthread_t id, void **result);
int __real_pthread_timedjoin_np(pthread_t id, void **result, const struct timespec *until);
int __real_pthread_clockjoin_np(pthread_t id, void **result, clockid_t clock, const struct timespec *until);
int __real_pthread_detach(pthread_t id);
int __real_thrd_create(thrd_t *id, thrd_start_t fn, void *arg);
int __real_thrd_join(thrd_t id, int *result);
int __real_thrd_detach(thrd_t id);
int __real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __real_sigprocmask(int how, const sigset_t *set, sigset_t *old);

#define REAL(name, type) __real_##name

#endif

int os_real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return REAL(pthread_create, int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))(id, attr, fn,
                                                                                                         arg);
}

void os_real_pthread_exit(void *result)
{
    REAL(pthread_exit, void (*)(void *))(result);
    __builtin_unreachable();
}

int os_real_pthread_join(pthread_t id, void **result)
{
    return REAL(pthread_join, int (*)(pthread_t, void **))(id, result);
}

int os_real_pthread_tryjoin_np(pthread_t id, void **result)
{
    return REAL(pthread_tryjoin_np, int (*)(pthread_t, void **))(id, result);
}

int os_real_pthread_timedjoin_np(pthread_t id, void **result, const struct timespec *until)
{
    return REAL(pthread_timedjoin_np, int (*)(pthread_t, void **, const struct timespec *))(id, result, until);
}

int os_real_pthread_clockjoin_np(pthread_t id, void **result, clockid_t clock, const struct timespec *until)
{
    return REAL(pthread_clockjoin_np, int (*)(pthread_t, void **, clockid_t, const struct timespec *))(id, result,
                                                                                                       clock, until);
}

int os_real_pthread_detach(pthread_t id) { return REAL(pthread_detach, int (*)(pthread_t))(id); }

int os_real_thrd_create(thrd_t *id, thrd_start_t fn, void *arg)
{
    return REAL(thrd_create, int (*)(thrd_t *, thrd_start_t, void *))(id, fn, arg);
}

int os_real_thrd_join(thrd_t id, int *result) { return REAL(thrd_join, int (*)(thrd_t, int *))(id, result); }
int os_real_thrd_detach(thrd_t id) { return REAL(thrd_detach, int (*)(thrd_t))(id); }

int os_real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    return REAL(pthread_sigmask, int (*)(int, const sigset_t *, sigset_t *))(how, set, old);
}

int os_real_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    return REAL(sigprocmask, int (*)(int, const sigset_t *, sigset_t *))(how, set, old);
}

int os_exit_rounds(void) { return PTHREAD_DESTRUCTOR_ITERATIONS - (tsan() != NULL); }
