/* os_stack_glibc.c - where the calling thread's stack is.
 * Owns:   where glibc's record of a thread says it, found out once.
 * Locks:  none: finding it twice gives the same.
 * Keeps:  .same  what is read in the record is what pthread_getattr_np would say
 * Below:  pthread_getattr_np; glibc's _thread_db_sizeof_pthread, through os_tls_glibc.c.   Above: world/thread.c.
 *
 * pthread_getattr_np asks the kernel for the CPUs of the thread as well, in memory that it takes from malloc: a
 * fifteenth of the cost of a thread, and a malloc arena for one that never calls malloc. It has the stack from three
 * words of the record (mapping, its size, the guard's size), which no symbol describes. So the first thread asks it,
 * and looks in its record where these three words are; if they are there once, the others look there. */
#include "os/os.h"

#include <pthread.h>

static bool ask(uintptr_t *lo, uintptr_t *hi)
{
    pthread_attr_t attr;
    void *addr;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return false;
    bool ok = pthread_attr_getstack(&attr, &addr, &size) == 0 && size > 0;
    pthread_attr_destroy(&attr);
    if (!ok)
        return false;
    *lo = (uintptr_t)addr;
    *hi = (uintptr_t)addr + size;
    return true;
}

struct note {
    uintptr_t block, size, guard;
};

static _Atomic size_t found; /* bytes from the start of the record; 0 not sought, NOWHERE sought in vain */
#define NOWHERE SIZE_MAX

static bool says(const struct note *n, uintptr_t lo, uintptr_t hi)
{
    return n->block + n->guard == lo && n->block + n->size == hi && n->guard < n->size;
}

static size_t seek(uintptr_t record, size_t bytes, uintptr_t lo, uintptr_t hi)
{
    size_t match = NOWHERE;
    for (size_t at = sizeof(uintptr_t); at + sizeof(struct note) <= bytes; at += sizeof(uintptr_t)) {
        if (!says((const void *)(record + at), lo, hi))
            continue;
        if (match != NOWHERE)
            return NOWHERE;
        match = at;
    }
    return match;
}

/* The main thread's record says nothing; it lies elsewhere. */
static void learn(uintptr_t record, uintptr_t lo, uintptr_t hi)
{
    size_t bytes = os_tls_record_size();
    if (record >= lo && record + bytes <= hi)
        atomic_store_explicit(&found, seek(record, bytes, lo, hi), memory_order_relaxed);
}

/* Both this frame and the record must lie in what the note says. */
static bool read_note(uintptr_t record, size_t at, uintptr_t *lo, uintptr_t *hi)
{
    const struct note *n = (const void *)(record + at);
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    *lo = n->block + n->guard;
    *hi = n->block + n->size;
    return n->guard < n->size && frame >= *lo && frame < record && record < *hi;
}

bool os_stack_bounds(uintptr_t *lo, uintptr_t *hi)
{
    uintptr_t record = (uintptr_t)pthread_self();
    size_t at = atomic_load_explicit(&found, memory_order_relaxed);
    if (at != 0 && at != NOWHERE && read_note(record, at, lo, hi))
        return true;
    if (!ask(lo, hi))
        return false;
    if (at == 0)
        learn(record, *lo, *hi);
    return true;
}
