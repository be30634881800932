/* os_library.c - libraries that few programs need: opened when they are, not when the program starts.
 * Owns:   nothing: a library that was opened stays. Locks: the dynamic linker's.
 * Keeps:  .dynamic  only a program with a dynamic linker opens one. The archive names dlopen nowhere, for which the linker
 *                   would warn whoever makes a static program, and dlsym weakly
 * Below:  glibc.   Above: os_dwarf_libdw.c, world/unwind_calls.c. */
#include "os/os.h"

#include <dlfcn.h>
#include <link.h>

extern __typeof__(dlsym) dlsym __attribute__((weak));

/* The program's image comes first. */
static int on_program(struct dl_phdr_info *info, size_t size, void *dynamic)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        *(bool *)dynamic |= info->dlpi_phdr[i].p_type == PT_INTERP;
    return 1;
}

static void *open_library(const char *file)
{
    void *(*open_it)(const char *, int) = NULL;
    bool dynamic = false;
    dl_iterate_phdr(on_program, &dynamic);
    if (dlsym && dynamic)
        *(void **)(void *)&open_it = dlsym(RTLD_DEFAULT, "dlopen");
    return open_it ? open_it(file, RTLD_LAZY | RTLD_LOCAL) : NULL;
}

bool os_library_find(const char *file, const char *const names[], void *found[], size_t n)
{
    void *library = open_library(file);
    for (size_t i = 0; library && i < n; i++) {
        found[i] = dlsym(library, names[i]);
        if (!found[i])
            return false;
    }
    return library;
}
