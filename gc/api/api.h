/* api.h - what the files of the API share. */
#ifndef API_API_H
#define API_API_H

#include "world/boundary.h"
#include "world/region.h"
#include "world/thread.h"

#include <spangc.h>

/* The one address of all objects of size 0. */
extern char api_zero_object[16];
static inline bool api_is_zero_object(const void *p) { return p == (const void *)api_zero_object; }

/* The calling thread, made known if it was not, the library started if it was not. NULL with errno = ENOMEM when that
 * fails. Not in a region. */
struct thread *api_thread_for(const char *call);
#define api_thread() api_thread_for(__func__)

/* In a signal handler that interrupted the library: one line that names `call`, and the end. api_thread asks it too. */
void api_refuse_interrupted(const char *call);

/* What an allocation asks for beside its size. */
enum alloc_flags {
    ALLOC_NOSCAN = 1,
    ALLOC_ZERO = 2,         /* zeroed also when it is noscan */
    ALLOC_PINNED = 4,       /* uncollectable */
    ALLOC_QUIET = 8,        /* the out-of-memory handler is not asked */
    ALLOC_EPHEMERON = 16,   /* of the class of ephemerons, zeroed before the world can be stopped */
    ALLOC_ALIGN_SHIFT = 8,  /* 8 bits: log2 of an alignment in pages, for large objects */
    ALLOC_LAYOUT_SHIFT = 16 /* from here up: the number of a layout's mcentral for the size (heap/typed.h), or 0 */
};

static inline unsigned alloc_align_log2(unsigned flags) { return flags >> ALLOC_ALIGN_SHIFT & 0xff; }
static inline uint16_t alloc_layout(unsigned flags) { return (uint16_t)(flags >> ALLOC_LAYOUT_SHIFT); }

/* The general path: any size, may collect, asks the out-of-memory handler. NULL with errno = ENOMEM. */
void *api_alloc_slow(size_t size, unsigned flags);

/* So many bytes of elements of the layout, zeroed; NULL as above. */
void *api_alloc_typed(const struct gc_layout *l, size_t bytes);

/* Run fn in the calling thread with its registers saved; for collections and world stops. */
void api_collect(bool stacks);
bool api_collections_enabled(void);

/* Ask the out-of-memory handler for what the heap could not give. */
void *api_out_of_memory(size_t size);

/* The live object that p points to or into; false if there is none. In a region, in the calling thread `t`. */
struct object {
    struct mspan *span;
    size_t index;
    uintptr_t base;
};
bool api_find(struct thread *t, const void *p, struct object *o);

/* The same for one whose end can be seen: a part of a tiny block ends with the others of it. */
bool api_find_ending(struct thread *t, const void *p, struct object *o);

/* Report a pointer that `call` cannot take, with what it points into, and abort. */
_Noreturn void api_bad_pointer(const char *call, const void *p);

/* In the child of fork. Its caller also makes a linker take wrap_threads.c out of an archive, where another definition of
 * pthread_create (a sanitizer's) comes first. */
void api_threads_fork_child(void);

/* Give the pages of stacks that wait in the pool back to the system. Not in a region. */
void api_stacks_release(void);

/* gc_free of an object that api_find gave. In a region. False: it was freed before. */
bool api_free_object(struct thread *t, const struct object *o);

#endif
