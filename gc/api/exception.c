/* exception.c - C++ exceptions hold what they point to, from their making until the runtime frees them.
 * Owns:   nothing.
 * Locks:  THROWN, inside thrown.c.
 * Keeps:  .freed  a range is noted only where its end will be seen, and taken out before the memory goes back
 * Below:  thrown, os_exception.   Above: the program's and its libraries' throw, libstdc++.
 *
 * The exception object is the runtime's own malloc memory, with its header before it, untouched. A dependent exception,
 * as made by std::rethrow_exception, is a header only; it counts as a reference to the object and needs nothing. */
#include "api/api.h"
#include "os/os_exception.h"
#include "os/os_real.h"
#include "world/thrown.h"

#include <errno.h>

typedef void *memory; /* the mark of OS_WRAPPED may not follow an asterisk */

memory OS_WRAPPED(__cxa_allocate_exception)(size_t size);
void OS_WRAPPED(__cxa_free_exception)(void *p);

/* Without a heap there is nothing to hold. */
static void note(uintptr_t p, size_t size)
{
    struct thread *t = api_thread();
    if (!t)
        return;
    region_enter(&t->mcache);
    bool noted = thrown_add(p, p + size);
    region_leave(&t->mcache);
    if (!noted)
        report_fatal("no memory to note a C++ exception of %zu bytes, whose pointers would be lost; aborting", size);
}

static void forget(uintptr_t p)
{
    struct thread *t = api_thread();
    if (!t)
        return;
    region_enter(&t->mcache);
    thrown_remove(p);
    region_leave(&t->mcache);
}

memory OS_WRAPPED(__cxa_allocate_exception)(size_t size)
{
    bool freed_here;
    int saved = errno;
    void *p = os_exception_allocate(size, __builtin_return_address(0), &freed_here);
    if (p && freed_here && size >= sizeof(void *))
        note((uintptr_t)p, size);
    errno = saved;
    return p;
}

void OS_WRAPPED(__cxa_free_exception)(void *p)
{
    int saved = errno;
    forget((uintptr_t)p);
    os_exception_free(p, __builtin_return_address(0));
    errno = saved;
}
