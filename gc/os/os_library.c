/* os_library.c - libraries that few programs need: opened when they are, not when the program starts.
 * Owns:   nothing: a library that was opened stays. Locks: the dynamic linker's.
 * Keeps:  .static  nothing here calls dlopen in the archive: in a static program it would bring a second C library
 * Below:  glibc.   Above: world/unwind_calls.c. */
#include "os/os.h"

#ifdef PIC

#include <dlfcn.h>

bool os_library_find(const char *file, const char *const names[], void *found[], size_t n)
{
    void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    for (size_t i = 0; library && i < n; i++) {
        found[i] = dlsym(library, names[i]);
        if (!found[i])
            return false;
    }
    return library;
}

#else

bool os_library_find(const char *file, const char *const names[], void *found[], size_t n)
{
    (void)file;
    (void)names;
    (void)found;
    (void)n;
    return false;
}

#endif
