/* check.h - assertions, by level: GC_CHECKS is 0 (no), 1 (cheap) or 2 (full), set by --enable-checks.
 * Each names the tag of the invariant it guards, as it stands in the head of the file that keeps it. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/report.h"

#ifndef GC_CHECKS
#define GC_CHECKS 1
#endif

#define CHECK_ALWAYS(cond, tag)                                                                                        \
    (likely(cond) ? (void)0                                                                                            \
                  : report_fatal("broken invariant %s: %s (%s:%d); the heap cannot be trusted, aborting", tag, #cond,  \
                                 __FILE__, __LINE__))

/* The condition is compiled at every level, so that it cannot rot, and evaluated from its own level on. */
#define CHECK(cond, tag)      ((void)(GC_CHECKS >= 1 && (CHECK_ALWAYS(cond, tag), 1)))
#define CHECK_FULL(cond, tag) ((void)(GC_CHECKS >= 2 && (CHECK_ALWAYS(cond, tag), 1)))

#endif
