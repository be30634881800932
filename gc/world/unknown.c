/* unknown.c - threads that nobody told the library of: made by clone, before the library was opened, by a library that
 * went round the wrapper.
 * Owns:   the records marked `found`.
 * Locks:  none of its own; called by the holder of WORLD.
 * Keeps:  .counted  a stop is complete when the process has as many threads as are listed, all of them stopped, and
 *                   those that will run no line of the program again    (unknown_find)
 * Below:  thread, os.   Above: stop.   See doc/design/stopping.md
 *
 * A record made here names the thread and takes the signal's answer; it is replaced when the thread registers, and
 * forgotten when it is found dead. So none is made before it is certain that the ids in /proc are those that signals go
 * to. That the calling thread is missing from a list does not say so: the list ends early when a thread ends meanwhile. */
#include "world/unknown.h"

#include "os/os.h"

/* One reading of the list of tasks. */
struct look {
    const struct thread *near; /* the last one seen: records are in the list the other way round */
    int self;
    uint32_t over;  /* tasks that run no code: ended, or the kernel's */
    uint64_t which; /* the same ones: their sum */
    bool some, no_memory;
};

static const struct thread *last_record(void)
{
    const struct thread *t = thread_list;
    while (t && t->next)
        t = t->next;
    return t;
}

/* The kernel lists older threads first, so the record wanted is mostly the one before the last. */
static bool listed(struct look *l, int tid)
{
    const struct thread *t = l->near;
    if (t && t->tid != tid)
        t = t->prev;
    if (!t || t->tid != tid)
        t = thread_find(tid);
    if (t)
        l->near = t;
    return t;
}

static void look_at(int tid, void *arg)
{
    struct look *l = arg;
    if (tid == l->self || listed(l, tid))
        return;
    if (os_task_state(tid) != OS_TASK_RUNS) {
        l->over++;
        l->which += (uint64_t)tid * (uint64_t)tid;
    } else if (thread_list_found(tid)) {
        l->some = true;
    } else {
        l->no_memory = true;
    }
}

static enum unknown look(struct look *l)
{
    *l = (struct look){.self = os_tid(), .near = last_record()};
    if (!os_each_task(look_at, l))
        return UNKNOWN_FAILED;
    if (l->no_memory)
        return UNKNOWN_NO_MEMORY;
    return l->some ? UNKNOWN_SOME : UNKNOWN_NONE;
}

/* A list read while threads come and go may lack some, so it proves nothing by itself; the count is exact. Those in it
 * that run no code, and were there before the count and after it, were in the count. If they and the stopped threads make
 * up all of it, nobody else was there at that moment, and there was nobody to make another. */
enum unknown unknown_find(const struct thread *self)
{
    struct look before, after;
    uint32_t known = atomic_load_explicit(&thread_count, memory_order_relaxed) + (self == NULL);
    uint32_t n = (uint32_t)os_task_count();
    if (n == known)
        return UNKNOWN_NONE;
    if (n == 0 || !os_task_ids_are_ours())
        return UNKNOWN_BLIND;
    enum unknown u = look(&before);
    if (u != UNKNOWN_NONE)
        return u;
    n = (uint32_t)os_task_count();
    u = look(&after);
    if (u != UNKNOWN_NONE)
        return u;
    bool same = before.over == after.over && before.which == after.which;
    return same && n == known + before.over ? UNKNOWN_NONE : UNKNOWN_AGAIN;
}
