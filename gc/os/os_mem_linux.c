/* os_mem_linux.c - mmap, mprotect, madvise.
 * Owns:   nothing. Locks: none.
 * Keeps:  .errno  a failed call leaves errno to the caller, who reports ENOMEM or restores it
 * Below:  the kernel.   Above: heap/sysmem.c and what must not be accounted. */
#include "os/os_mem.h"

#include "base/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

size_t os_page_size(void)
{
    static size_t size;
    if (size == 0)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

static bool aligned(const void *p, size_t n) { return n > 0 && (((uintptr_t)p | n) & (os_page_size() - 1)) == 0; }

void *os_reserve(uintptr_t hint, size_t n, bool exact)
{
    CHECK(aligned((void *)hint, n), "os_mem.aligned");
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (exact ? MAP_FIXED_NOREPLACE : 0);
    void *p = mmap((void *)hint, n, PROT_NONE, flags, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (exact && (uintptr_t)p != hint) { /* a kernel older than MAP_FIXED_NOREPLACE takes it as a hint */
        munmap(p, n);
        return NULL;
    }
    return p;
}

bool os_map(void *p, size_t n)
{
    CHECK(aligned(p, n), "os_mem.aligned");
    return mprotect(p, n, PROT_READ | PROT_WRITE) == 0;
}

void *os_alloc(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool os_guard(void *p, size_t n)
{
    CHECK(aligned(p, n), "os_mem.aligned");
    return madvise(p, n, MADV_GUARD_INSTALL) == 0;
}

bool os_guards_known(void)
{
    void *p = os_alloc(os_page_size());
    bool known = p && os_guard(p, os_page_size());
    if (p)
        os_free(p, os_page_size());
    return known;
}

/* A kernel without huge pages refuses, which is as good. */
static void advise(void *p, size_t n, int advice)
{
    int saved = errno;
    madvise(p, n, advice);
    errno = saved;
}

void os_avoid_huge_pages(void *p, size_t n) { advise(p, n, MADV_NOHUGEPAGE); }
void os_prefer_huge_pages(void *p, size_t n) { advise(p, n, MADV_HUGEPAGE); }

void os_label(void *p, size_t n, const char *name)
{
    static _Atomic bool unknown;
    int saved = errno;
    if (!unknown && prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, n, name) != 0)
        unknown = true;
    errno = saved;
}

bool os_release(void *p, size_t n)
{
    CHECK(aligned(p, n), "os_mem.aligned");
    return madvise(p, n, MADV_DONTNEED) == 0;
}

bool os_release_lazily(void *p, size_t n)
{
    CHECK(aligned(p, n), "os_mem.aligned");
    return madvise(p, n, MADV_FREE) == 0;
}

void os_free(void *p, size_t n)
{
    CHECK(aligned(p, n), "os_mem.aligned");
    munmap(p, n);
}
