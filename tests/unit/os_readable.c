/* os_readable.c - what can be read, asked without reading; the list of mappings. */
#include "../check_main.h"

#include "os/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page;

static uintptr_t map(size_t pages, int prot)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, pages * page, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return (uintptr_t)p;
}

START_TEST(try_read)
{
    uintptr_t p = map(5, PROT_READ | PROT_WRITE);
    char local;
    if (!os_try_read_works())
        return;
    mprotect((void *)(p + page), page, PROT_NONE);
    munmap((void *)(p + 3 * page), page);
    errno = 55;
    ck_assert_int_eq(os_try_read(p, p + page), OS_READS);
    ck_assert_int_eq(os_try_read(p + 1, p + 2), OS_READS);
    ck_assert_int_eq(os_try_read((uintptr_t)&local, (uintptr_t)(&local + 1)), OS_READS);
    ck_assert_int_ne(os_try_read(p, p + page + 1), OS_READS);
    ck_assert_int_ne(os_try_read(p + page, p + 2 * page), OS_READS);
    ck_assert_int_eq(os_try_read(p + 2 * page, p + 3 * page), OS_READS);
    ck_assert_int_eq(os_try_read(p + 3 * page, p + 4 * page), OS_FAULTS);
    ck_assert_int_eq(os_try_read(p + 2 * page, p + 5 * page), OS_FAULTS);
    ck_assert_int_eq(errno, 55);
}
END_TEST

struct wanted {
    uintptr_t lo, hi, last;
    int found, readable, file;
};

static bool look(const struct os_mapping *m, void *arg)
{
    struct wanted *w = arg;
    if (m->lo < w->last || m->lo >= m->hi)
        ck_abort_msg("mapping %#lx-%#lx comes after one that ends at %#lx", (unsigned long)m->lo, (unsigned long)m->hi,
                     (unsigned long)w->last);
    w->last = m->hi;
    if (m->lo < w->hi && m->hi > w->lo) {
        w->found++;
        w->readable += m->readable;
        w->file += m->file;
    }
    return true;
}

static struct wanted find(uintptr_t lo, uintptr_t hi)
{
    struct wanted w = {.lo = lo, .hi = hi};
    ck_assert(os_each_mapping(look, &w));
    return w;
}

static bool stop_at_once(const struct os_mapping *m, void *n)
{
    (void)m;
    ++*(int *)n;
    return false;
}

/* Enough of them that the text comes in several pieces. */
START_TEST(mappings)
{
    enum { N = 300 };
    uintptr_t p = map(2 * N, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < N; i++)
        mprotect((void *)(p + (2 * i + 1) * page), page, i % 2 ? PROT_NONE : PROT_READ);
    for (size_t i = 0; i < N; i++) {
        struct wanted w = find(p + (2 * i + 1) * page, p + (2 * i + 2) * page);
        ck_assert_int_eq(w.found, 1);
        ck_assert_int_eq(w.readable, i % 2 == 0);
        ck_assert_int_eq(w.file, 0);
    }
    static const int constant = 1;
    struct wanted w = find((uintptr_t)&constant, (uintptr_t)(&constant + 1));
    ck_assert(w.found == 1 && w.readable == 1 && w.file == 1);
    munmap((void *)p, 2 * N * page);
    ck_assert_int_eq(find(p, p + page).found, 0);
    int n = 0;
    ck_assert(!os_each_mapping(stop_at_once, &n));
    ck_assert_int_eq(n, 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, try_read);
    tcase_add_test(tc, mappings);
}
CHECK_MAIN("unit/os_readable", tests)
