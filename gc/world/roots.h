/* roots.h - ranges that the program registered or excluded, and its callbacks that report more. */
#ifndef WORLD_ROOTS_H
#define WORLD_ROOTS_H

#include "base/attr.h"

#include <spangc.h>

enum roots_kind { ROOTS_ADDED, ROOTS_EXCLUDED, ROOTS_CALLBACKS, ROOTS_KINDS };

/* Of ROOTS_CALLBACKS: a function and its argument. */
struct roots_range {
    uintptr_t lo, hi;
};

/* 0, ENOMEM, or EINVAL when hi < lo in a range. In a region. */
int roots_add(enum roots_kind kind, uintptr_t lo, uintptr_t hi);

/* 0, or EINVAL when no such range is there. In a region. */
int roots_remove(enum roots_kind kind, uintptr_t lo, uintptr_t hi);

/* The ranges, and the parts of [lo, hi) that are not excluded. The world is stopped: nobody is changing them, because
 * roots_add and roots_remove are called in a region. */
const struct roots_range *roots_ranges(enum roots_kind kind, size_t *n);
void roots_each_included(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t, uintptr_t, void *), void *arg);

/* Calls the callbacks, in the order in which they were added. The world is stopped. */
void roots_call_callbacks(struct gc_root_report *report);

/* Whether the calling thread is in a callback: it may not call the library then. */
bool roots_in_callback(void);

void roots_fork_acquire(void);
void roots_fork_release(void);

#endif
