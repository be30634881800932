/* rootjobs.h - where marking starts: a list of numbered jobs, made while the world is stopped. */
#ifndef MARK_ROOTJOBS_H
#define MARK_ROOTJOBS_H

#include "mark/scan.h"
#include "os/os.h"

enum root_kind {
    ROOT_DATA,       /* writable data of the program or of a library */
    ROOT_REGISTERED, /* gc_add_roots */
    ROOT_STACK,
    ROOT_REGISTERS,
    ROOT_TLS,      /* thread-local variables and pthread_setspecific values */
    ROOT_PINNED,   /* uncollectable objects of one span */
    ROOT_REPORTED, /* a range from a root callback */
    ROOT_POINTER,  /* a pointer from a root callback: lo itself is the word to read */
    ROOT_THROWN,   /* a C++ exception's object */
    ROOT_FLIGHT,   /* lo itself is the argument or the result of a thread */
    ROOT_FRESH,    /* lo itself: an object that is being allocated */
    ROOT_ENDCALL   /* arguments of finalizers and cleanups, objects to be finalized */
};

struct root_job {
    enum root_kind kind;
    uintptr_t lo, hi;   /* words to read, see rootjobs_words; not for ROOT_PINNED */
    struct mspan *span; /* ROOT_PINNED */
    int tid;            /* ROOT_STACK, ROOT_REGISTERS */
};

/* Have memory for the list before the first mark. */
void rootjobs_reserve(void);

/* Make the list anew; only inside os_with_images_still, the world stopped. With stacks false, stacks and registers are
 * left out. False when memory for the list cannot be had. */
bool rootjobs_build(bool stacks);

size_t rootjobs_count(void);
const struct root_job *rootjobs_at(size_t i);
const char *root_kind_name(enum root_kind kind);

/* The words that a job has to be read, but for ROOT_PINNED. */
struct os_range rootjobs_words(const struct root_job *job);

/* Mark what one job refers to; returns the bytes it read. */
uint64_t rootjobs_mark(struct marker *m, size_t i);

/* Whether rootjobs_mark passes over those of ROOT_ENDCALL; and what is left to do then. The world is stopped. */
void rootjobs_put_off_endcalls(bool on);
void rootjobs_mark_put_off(struct marker *m);

/* Calls fn with every object that a ROOT_PINNED job holds. */
void rootjobs_each_pinned(const struct root_job *job, void (*fn)(struct ref r, void *arg), void *arg);

/* How many stacks had an SP that lies on no stack known of the thread, in the last list. */
uint32_t rootjobs_lost_stacks(void);

/* The first range, of those that the program registered or reported, that could not be read to its end; else empty. */
struct os_range rootjobs_unreadable(void);

#endif
