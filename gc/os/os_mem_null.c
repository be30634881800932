/* os_mem_null.c - the OS of unit tests: it counts, refuses on request, and hands out known addresses.
 * Owns:   struct os_null.
 * Locks:  none; tests that use several threads set the limits before they start.
 * Keeps:  .contents  memory just mapped or released reads as zeros, as on a real OS; os_map lies within a reservation
 * Below:  mmap, for memory to stand on.   Above: unit tests and fault injection. */
#include "os/os_mem_null.h"

#include "base/check.h"

#include <sys/mman.h>

enum { PAGE = 4096, MAX_RANGES = 64 };

struct os_null os_null = {.base = UINT64_C(0x200000000000)};

static struct {
    uintptr_t lo, hi;
} ranges[MAX_RANGES];
static int nranges;

size_t os_page_size(void) { return PAGE; }

uint64_t os_null_fallible_calls(void)
{
    return os_null.calls[OS_NULL_RESERVE] + os_null.calls[OS_NULL_MAP] + os_null.calls[OS_NULL_ALLOC] +
           os_null.calls[OS_NULL_RELEASE];
}

static bool refused(enum os_null_call kind)
{
    os_null.calls[kind]++;
    uint64_t n = os_null_fallible_calls();
    bool fail = os_null.fail_at && (n == os_null.fail_at || (os_null.fail_on && n > os_null.fail_at));
    os_null.failed += fail;
    return fail;
}

static bool aligned(const void *p, size_t n) { return n > 0 && (((uintptr_t)p | n) & (PAGE - 1)) == 0; }

static bool in_reservation(uintptr_t lo, size_t n)
{
    for (int i = 0; i < nranges; i++)
        if (lo >= ranges[i].lo && lo + n <= ranges[i].hi)
            return true;
    return false;
}

/* Neighbouring reservations count as one: the arena extends itself that way. */
static void add_range(uintptr_t lo, size_t n)
{
    for (int i = 0; i < nranges; i++) {
        if (ranges[i].hi == lo) {
            ranges[i].hi = lo + n;
            return;
        }
    }
    CHECK_ALWAYS(nranges < MAX_RANGES, "os_mem_null.ranges");
    ranges[nranges].lo = lo;
    ranges[nranges++].hi = lo + n;
}

void *os_reserve(uintptr_t hint, size_t n, bool exact)
{
    CHECK_ALWAYS(aligned((void *)hint, n), "os_mem.aligned");
    if (refused(OS_NULL_RESERVE))
        return NULL;
    uintptr_t at = exact ? hint : os_null.base;
    void *p = mmap((void *)at, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (!exact)
        os_null.base = round_up(at + n, (size_t)1 << 40);
    os_null.reserved += n;
    add_range((uintptr_t)p, n);
    return p;
}

static bool within_limit(size_t n) { return os_null.limit == 0 || os_null.mapped + n <= os_null.limit; }

bool os_map(void *p, size_t n)
{
    CHECK_ALWAYS(aligned(p, n) && in_reservation((uintptr_t)p, n), "os_mem_null.contents");
    if (refused(OS_NULL_MAP) || !within_limit(n))
        return false;
    os_null.mapped += n;
    return mprotect(p, n, PROT_READ | PROT_WRITE) == 0;
}

void *os_alloc(size_t n)
{
    CHECK_ALWAYS(aligned(NULL, n), "os_mem.aligned");
    if (refused(OS_NULL_ALLOC) || !within_limit(n))
        return NULL;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    os_null.mapped += n;
    return p;
}

bool os_guards_known(void) { return !os_null.no_guards; }

bool os_guard(void *p, size_t n)
{
    CHECK_ALWAYS(aligned(p, n) && in_reservation((uintptr_t)p, n), "os_mem_null.contents");
    os_null.guarded += n;
    return true;
}

void os_avoid_huge_pages(void *p, size_t n)
{
    CHECK_ALWAYS(in_reservation((uintptr_t)p, n), "os_mem_null.contents");
    os_null.not_huge += n;
}

void os_prefer_huge_pages(void *p, size_t n)
{
    CHECK_ALWAYS(in_reservation((uintptr_t)p, n), "os_mem_null.contents");
    os_null.huge += n;
}

void os_label(void *p, size_t n, const char *name) { (void)p, (void)n, (void)name; }

bool os_release(void *p, size_t n)
{
    CHECK_ALWAYS(aligned(p, n), "os_mem.aligned");
    if (refused(OS_NULL_RELEASE))
        return false;
    os_null.released += n;
    return madvise(p, n, MADV_DONTNEED) == 0;
}

/* As an old kernel; what is different is tried on the real one. */
bool os_release_lazily(void *p, size_t n)
{
    (void)p;
    (void)n;
    return false;
}

void os_free(void *p, size_t n)
{
    CHECK_ALWAYS(aligned(p, n), "os_mem.aligned");
    os_null.calls[OS_NULL_FREE]++;
    os_null.mapped -= n;
    munmap(p, n);
}
