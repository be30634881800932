/* unwind_calls.c - libunwind's functions for the stacks of others.
 * Owns:   nothing. Locks: the dynamic linker's.
 * Keeps:  .late  no program has the library in memory that does not ask for it. Linked, it would cost each one 96 to 130 us
 *                of 1900 at its start, four medians of 500 runs of one that allocates a single object, and 16 KiB of VmRSS,
 *                the median of 200
 * Below:  os.   Above: unwind_space, unwind_copy.
 *
 * A program that has them already lends them: the names are weak. So a static one can know frames too, if it links
 * libunwind-generic, asks for each of the names in unwind_calls.h with -Wl,-u, and for the table that unwind_space.c needs
 * with -Wl,--eh-frame-hdr. The archive does not do so by itself: Debian's libunwind-generic.a is not fit for a
 * position-independent program. */
#include "world/unwind_calls.h"

#include "os/os.h"

#include <string.h>

#define FILE_NAME "libunwind-x86_64.so.8"

#define CALL(name) extern __typeof__(UNW_OBJ(name)) UNW_OBJ(name) __attribute__((weak));
UNWIND_CALLS(CALL)
#undef CALL

enum { CALLS = sizeof(struct unwind_calls) / sizeof(void *) };

static bool lent(struct unwind_calls *c)
{
#define CALL(name) .name = UNW_OBJ(name),
    *c = (struct unwind_calls){UNWIND_CALLS(CALL)};
#undef CALL
#define CALL(name) &&c->name
    return true UNWIND_CALLS(CALL);
#undef CALL
}

#define TEXT(name)        #name
#define TEXT_OF(expanded) TEXT(expanded)

bool unwind_calls_find(struct unwind_calls *c)
{
#define CALL(name) TEXT_OF(UNW_OBJ(name)),
    static const char *const names[CALLS] = {UNWIND_CALLS(CALL)};
#undef CALL
    void *found[CALLS];
    if (lent(c))
        return true;
    if (!os_library_find(FILE_NAME, names, found, CALLS))
        return false;
    memcpy(c, found, sizeof *c);
    return true;
}
