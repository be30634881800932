/* fault.h - what the tests share that damage the heap and demand the report: they see every internal function. */
#ifndef FAULT_H
#define FAULT_H

#include "../api/helpers.h"
#undef NOINLINE

#include "heap/mcache.h"
#include "heap/pageheap.h"

/* Only a build with full checks looks: the program's one line of TAP says so. */
#define FAULT_MAIN(name, add_tests, level)                                                                             \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        if (GC_CHECKS >= (level))                                                                                      \
            return check_main(name, add_tests);                                                                        \
        puts("1..0 # SKIP needs --enable-checks=" #level " (1 cheap, 2 full)");                                        \
        return EXIT_SUCCESS;                                                                                           \
    }

static inline void must_abort_saying(void (*fn)(void *), void *arg, const char *what, struct outcome *o)
{
    run_child(fn, arg, o);
    if (!WIFSIGNALED(o->status) || WTERMSIG(o->status) != SIGABRT || !strstr(o->text, what))
        ck_abort_msg("status %#x, expecting SIGABRT and \"%s\"; it said: %s", (unsigned)o->status, what, o->text);
}

/* The span in use around p, out of every cache: for after a collection. */
static inline struct mspan *span_around(const void *p)
{
    struct mspan *s = arena_span((uintptr_t)p);
    ck_assert_ptr_nonnull(s);
    ck_assert(mspan_state_of(s) == MSPAN_INUSE);
    return s;
}

#endif
