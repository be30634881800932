/* os_exception.c - __cxa_allocate_exception and __cxa_free_exception of the C++ runtime that the caller would have met.
 * Owns:   the addresses found, and whether that runtime frees through the wrapper.
 * Locks:  none of its own; dlsym takes the dynamic linker's.
 * Keeps:  .tried   that an exception will be freed by way of the wrapper is believed only after it was seen: else the
 *                  range of an exception long gone would stay a root. One is made and dropped, by libstdc++'s own code,
 *                  on the first throw                                                              (frees_here)
 *         .static  nothing here calls dlsym in the archive, where it crashes a fully static program
 * Below:  the C library, libstdc++ if there is one.   Above: api/exception.c. */
#include "os/os_exception.h"

#include "base/report.h"

#include <stdatomic.h>

typedef void *(*allocate_fn)(size_t size);
typedef void (*free_fn)(void *p);

#ifdef PIC

#include <dlfcn.h>

struct runtime {
    allocate_fn allocate;
    free_fn release;
    bool freed_here;
};

/* An exception that this thread has made to see whether it is freed through the wrapper. */
struct trial {
    void *p;
    free_fn release;
    bool seen;
};
static _Thread_local struct trial *trial INITIAL_EXEC;

static const void *image_of(const void *p)
{
    Dl_info info;
    return p && dladdr(p, &info) ? info.dli_fbase : NULL;
}

static void *behind_us(void *p)
{
    static const char here;
    return image_of(p) == image_of(&here) ? NULL : p;
}

static void *in_library(const char *file, const char *name)
{
    void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
    void *p = handle ? behind_us(dlsym(handle, name)) : NULL;
    if (handle)
        dlclose(handle);
    return p;
}

/* What the image around `code`, or one that it is linked to, defines. */
static void *in_image(const void *code, const char *name)
{
    Dl_info info;
    return dladdr(code, &info) && info.dli_fname ? in_library(info.dli_fname, name) : NULL;
}

/* As the caller's own reference would have been resolved without us, if it was not the global scope that did it: by its
 * image with what that is linked to, or, where we come first there too, by one of the runtimes that are known. */
static void *in_scope_of(const void *caller, const char *name)
{
    void *p = in_image(caller, name);
    if (!p)
        p = in_library("libstdc++.so.6", name);
    if (!p)
        p = in_library("libc++abi.so.1", name);
    return p;
}

static void *find(const void *caller, const char *name)
{
    void *p = behind_us(dlsym(RTLD_NEXT, name));
    return p ? p : in_scope_of(caller, name);
}

/* std::exception_ptr is one pointer; it counts references in the exception, and the last one frees it. */
static bool frees_here(const struct runtime *r)
{
    const void *code = (const void *)(uintptr_t)r->allocate;
    void (*construct)(void **self, void *exception), (*destroy)(void **self);
    void *self = NULL;
    struct trial t = {NULL, r->release, false};
    *(void **)&construct = in_image(code, "_ZNSt15__exception_ptr13exception_ptrC1EPv");
    *(void **)&destroy = in_image(code, "_ZNSt15__exception_ptr13exception_ptrD1Ev");
    if (!construct || !destroy || !(t.p = r->allocate(sizeof t.p)))
        return false;
    trial = &t;
    construct(&self, t.p);
    destroy(&self);
    trial = NULL;
    return t.seen;
}

static struct runtime look_up(const void *caller)
{
    struct runtime r = {0};
    *(void **)&r.allocate = find(caller, "__cxa_allocate_exception");
    *(void **)&r.release = find(caller, "__cxa_free_exception");
    if (!r.allocate || !r.release)
        report_fatal("the C++ runtime's __cxa_allocate_exception cannot be found behind the wrapper; aborting");
    return r;
}

/* The runtime in the global scope is the same for all callers, and stays. Found twice, it is the same. */
static struct runtime *global_runtime(void)
{
    static struct runtime global;
    static _Atomic int state; /* 0 not looked up, 1 there is none, 2 there is */
    int s = atomic_load_explicit(&state, memory_order_acquire);
    if (s == 0) {
        struct runtime r = {0};
        *(void **)&r.allocate = behind_us(dlsym(RTLD_NEXT, "__cxa_allocate_exception"));
        *(void **)&r.release = behind_us(dlsym(RTLD_NEXT, "__cxa_free_exception"));
        s = r.allocate && r.release ? 2 : 1;
        if (s == 2) {
            r.freed_here = frees_here(&r);
            global = r;
        }
        atomic_store_explicit(&state, s, memory_order_release);
    }
    return s == 2 ? &global : NULL;
}

void *os_exception_allocate(size_t size, const void *caller, bool *freed_here)
{
    const struct runtime *global = global_runtime();
    struct runtime r = global ? *global : look_up(caller);
    *freed_here = global ? r.freed_here : frees_here(&r);
    return r.allocate(size);
}

void os_exception_free(void *p, const void *caller)
{
    if (trial && trial->p == p) {
        trial->seen = true;
        trial->release(p);
        return;
    }
    const struct runtime *global = global_runtime();
    (global ? *global : look_up(caller)).release(p);
}

#else

void *__real___cxa_allocate_exception(size_t size) __attribute__((weak));
void __real___cxa_free_exception(void *p) __attribute__((weak));

/* libstdc++ has this beside the two; the linker gives where the program's own code lies. */
extern const char _ZN9__gnu_cxx9__freeresEv[] __attribute__((weak));
extern const char __executable_start[] __attribute__((weak)), _etext[] __attribute__((weak));

/* A libstdc++ that is linked in calls what the linker wrapped; one that is a shared library does not. */
static bool linked_in(allocate_fn fn)
{
    uintptr_t at = (uintptr_t)fn;
    return at >= (uintptr_t)__executable_start && at < (uintptr_t)_etext && _ZN9__gnu_cxx9__freeresEv;
}

void *os_exception_allocate(size_t size, const void *caller, bool *freed_here)
{
    (void)caller;
    *freed_here = linked_in(__real___cxa_allocate_exception);
    return __real___cxa_allocate_exception(size);
}

void os_exception_free(void *p, const void *caller)
{
    (void)caller;
    __real___cxa_free_exception(p);
}

#endif
