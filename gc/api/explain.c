/* explain.c - gc_explain.
 * Owns:   nothing.
 * Locks:  none while it writes.
 * Keeps:  .hidden  the argument is no reference, as in reach.c
 * Below:  explain, cycle.   Above: the program. */
#include "watch/explain.h"

#include "api/api.h"
#include "cycle/cycle.h"
#include "heap/sysmem.h"
#include "os/os.h"
#include "os/os_mem.h"

#include <errno.h>
#include <string.h>

/* 0, or the errno. */
static int explain(struct path *p, int fd, uintptr_t caller, const struct boundary *at)
{
    if (!cycle_look(at, path_find, p))
        return EAGAIN;
    if (p->found == PATH_NO_MEMORY)
        return ENOMEM;
    if (!explain_write(fd, p, caller))
        return errno;
    return p->found == PATH_NO_OBJECT ? EINVAL : 0;
}

struct question {
    int fd;
    uintptr_t caller;
};

/* The copy of a stack takes memory as far as it goes. */
static void *explain_at_boundary(uintptr_t hidden, uintptr_t question, struct boundary *at)
{
    const struct question *q = (const struct question *)question;
    const size_t bytes = round_up(PATH_STACK_MAX + sizeof(struct path), os_page_size());
    int saved = errno, e = ENOMEM;
    struct thread *t = api_thread_for("gc_explain");
    struct path *path = t ? sysmem_alloc(bytes, SYS_OTHER) : NULL;
    if (path) {
        uintptr_t stack = round_up((uintptr_t)(path + 1), 64);
        path->asked = ~hidden;
        path->asking_tid = t->tid;
        path->copy = (struct os_range){stack, (uintptr_t)path + bytes};
        e = explain(path, q->fd, q->caller, at);
        sysmem_free(path, bytes, SYS_OTHER);
    }
    errno = e ? e : saved;
    return (void *)(intptr_t)(e ? -1 : 0);
}

int gc_explain(const void *p, int fd)
{
    struct question q = {fd, (uintptr_t)__builtin_return_address(0)};
    uintptr_t hidden = ~(uintptr_t)p;
    p = NULL;
    gc_keep_alive(p); /* without optimization a parameter has a place on the stack */
    return (int)(intptr_t)boundary_call(explain_at_boundary, hidden, (uintptr_t)&q);
}
