/* sysmem.c - accounting over os_mem: what is taken, for what.
 * Owns:   one counter a kind, and the frozen flag; by the thread that collects, the list of what is retired.
 * Locks:  none; counters are atomic, relaxed: they are sums, nothing is published through them.
 * Keeps:  .sum      sys is the sum of the kinds, because every byte enters and leaves by this file; and of the
 *                   mappings in the list
 *         .retired  nothing is unmapped while the world is stopped: the bounds of a found thread's stack, or a range that
 *                   the program registered, may take in memory of ours, and are read until the mark is over
 * Below:  os_mem.   Above: persistentalloc, arena, work buffers. */
#include "heap/sysmem.h"

#include "base/check.h"
#include "heap/mappings.h"
#include "os/os_mem.h"

#include <string.h>

static _Atomic uint64_t bytes[SYS_KINDS];
static _Atomic bool frozen;

static void add(enum sys_kind kind, uint64_t n) { atomic_fetch_add_explicit(&bytes[kind], n, memory_order_relaxed); }

static void sub(enum sys_kind kind, uint64_t n)
{
    uint64_t old = atomic_fetch_sub_explicit(&bytes[kind], n, memory_order_relaxed);
    CHECK(old >= n, "sysmem.sum");
}

/* As /proc/PID/smaps shows it, where the kernel can. */
static void name(void *p, size_t n, enum sys_kind kind)
{
    os_label(p, n, kind == SYS_HEAP ? "spangc heap" : kind == SYS_STACK ? "spangc stacks" : "spangc");
}

void *sysmem_alloc(size_t n, enum sys_kind kind)
{
    void *p = os_alloc(n);
    if (!p)
        return NULL;
    add(kind, n);
    mappings_add(p, n);
    name(p, n, kind);
    return p;
}

void sysmem_free(void *p, size_t n, enum sys_kind kind)
{
    mappings_remove(p, n); /* first: another may be given the same address at once */
    os_free(p, n);
    sub(kind, n);
}

/* The list is in the retired memory itself. */
static struct retired {
    struct retired *next;
    size_t n;
    enum sys_kind kind;
} * retired;

void sysmem_retire(void *p, size_t n, enum sys_kind kind)
{
    struct retired *r = p;
    *r = (struct retired){retired, n, kind};
    retired = r;
}

void *sysmem_grow(void *at, size_t *size, size_t need, enum sys_kind kind)
{
    if (need <= *size)
        return at;
    size_t more = *size ? *size * 2 : round_up(need, os_page_size());
    void *to = sysmem_alloc(more, kind);
    if (to && *size) {
        memcpy(to, at, *size);
        sysmem_retire(at, *size, kind);
    }
    *size = to ? more : *size;
    return to;
}

void sysmem_free_retired(void)
{
    while (retired) {
        struct retired r = *retired;
        sysmem_free(retired, r.n, r.kind);
        retired = r.next;
    }
}

bool sysmem_map(void *p, size_t n, enum sys_kind kind)
{
    if (kind == SYS_HEAP && sysmem_frozen())
        return false;
    if (!os_map(p, n))
        return false;
    add(kind, n);
    mappings_extend(p, n);
    name(p, n, kind);
    return true;
}

void sysmem_move(size_t n, enum sys_kind from, enum sys_kind to)
{
    sub(from, n);
    add(to, n);
}

uint64_t sysmem_bytes(enum sys_kind kind) { return atomic_load_explicit(&bytes[kind], memory_order_relaxed); }

uint64_t sysmem_total(void)
{
    uint64_t sum = 0;
    for (int k = 0; k < SYS_KINDS; k++)
        sum += sysmem_bytes((enum sys_kind)k);
    return sum;
}

bool sysmem_set_frozen(bool f) { return atomic_exchange_explicit(&frozen, f, memory_order_relaxed); }
bool sysmem_frozen(void) { return atomic_load_explicit(&frozen, memory_order_relaxed); }
