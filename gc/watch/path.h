/* path.h - a shortest way from a root to an object, found while the world is stopped, in memory that was reserved before. */
#ifndef WATCH_PATH_H
#define WATCH_PATH_H

#include "mark/rootjobs.h"
#include "watch/buckets.h"
#include "world/unwind_copy.h"

enum {
    PATH_STEPS = 64,             /* told from either end of a longer way */
    PATH_STACK_BEYOND = 1 << 20, /* bytes of the stack that are copied above the word */
    PATH_STACK_MAX = 9 << 20     /* and in all: the default stack of a main thread */
};

/* What of an object is known when the program runs on. */
struct path_object {
    uintptr_t base;
    size_t bytes;
    const struct bucket *bucket; /* of its sample, or NULL */
    bool noscan, pinned, typed, ephemeron;
    uintptr_t key; /* of an ephemeron */
};

/* An object on the way, and how the one before it, or the root, refers to it. */
struct path_step {
    struct path_object object;
    size_t offset;   /* of the word, in the object before */
    uintptr_t value; /* what the word says */
};

enum path_found { PATH_NO_MEMORY, PATH_NO_OBJECT, PATH_UNREACHABLE, PATH_FOUND };

struct path {
    uintptr_t asked; /* an address in the object. The caller's, as are the two below */
    int asking_tid;
    struct os_range copy; /* memory for a stack */

    enum path_found found;
    struct path_object target;
    enum root_kind root;
    uintptr_t at, value; /* of the root's word: where, and what it says */
    bool own_stack;      /* it is on the asking thread's own stack, which refers to the object itself: the way of last
                             resort, as who asks has a pointer */
    int tid;             /* of a thread's root; 0: of none, or of the program's main coroutine's */
    size_t module, tls;  /* of thread-local storage: module and offset, or module 0 */
    uintptr_t range_lo, range_hi; /* of the root's range of addresses, as far as it goes on */
    unsigned reg;                 /* the word is this general register, or UNWIND_REGISTERS */
    bool has_stack;               /* `stack` is a copy */
    struct unwind_copy stack;

    size_t length; /* objects on the way, the target included */
    size_t n;      /* of which these: all, or the first and last PATH_STEPS */
    struct path_step steps[2 * PATH_STEPS];
};

/* The world is stopped and the root jobs are made: for cycle_look. */
void path_find(void *path);

#endif
