/* unmapped.c - registered ranges, and such that callbacks report, that cannot be read any more: holes, PROT_NONE, the
 * end of a file that was cut. No crash, one warning, and what can be read still holds its objects.
 * Holds rootjobs.given, rootcheck.part, sysmem.retired. */
#include "helpers.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum { SIZE = 64, PAGES = 8, MANY = 300 };

static size_t page;
static char warning[512];
static unsigned warnings;

static void note_warning(const char *text)
{
    warnings++;
    snprintf(warning, sizeof warning, "%s", text);
}

/* Far below where the kernel puts what asks for no address, so that nobody's mapping comes to lie in a hole. */
static char *map(size_t n, int fd)
{
    /* Far from where others map, and above AddressSanitizer's shadow. */
    static uintptr_t next = UINT64_C(0x200000000000);
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    char *p = mmap((void *)next, n, PROT_READ | PROT_WRITE, flags, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    next = (uintptr_t)p + n + page;
    return p;
}

static void start(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    gc_set_warn_handler(note_warning);
}

/* An object in the first and in the last word of each page of [p, p + n). */
static NOINLINE void fill_pages(char *p, size_t n)
{
    for (size_t i = 0; i < n / page; i++) {
        *(void **)(p + i * page) = make_filled(SIZE, 2 * i);
        *(void **)(p + (i + 1) * page - sizeof(void *)) = make_filled(SIZE, 2 * i + 1);
    }
}

static NOINLINE void check_page(char *p, size_t i)
{
    check_live(*(void **)(p + i * page), SIZE, 2 * i);
    check_live(*(void **)(p + (i + 1) * page - sizeof(void *)), SIZE, 2 * i + 1);
}

static NOINLINE void collect_and_churn(void)
{
    for (int i = 0; i < 3; i++) {
        gc_clear_stack(64 * 1024);
        gc_collect_without_stacks();
        churn(SIZE, 3000);
    }
}

static void report(struct gc_root_report *r, void *arg)
{
    char *const *range = arg;
    r->range(r, range[0], range[1]);
}

static char *reported[2];

static void add(char *lo, char *hi, bool by_callback)
{
    reported[0] = lo;
    reported[1] = hi;
    if (by_callback)
        ck_assert_int_eq(gc_add_root_callback(report, reported), 0);
    else
        ck_assert_int_eq(gc_add_roots(lo, hi), 0);
}

static void no_files(void)
{
    struct rlimit none = {0, 0};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void must_have_warned(const char *lo, const char *hi)
{
    char range[80];
    snprintf(range, sizeof range, "from %#lx to %#lx cannot", (unsigned long)(uintptr_t)lo,
             (unsigned long)(uintptr_t)hi);
    ck_assert_uint_eq(warnings, 1);
    if (!strstr(warning, range))
        ck_abort_msg("the warning is about another range than %s: %s", range, warning);
}

/* Of n pages, those in [from, to) become unreadable. Cases: who says what the roots are, whether the list of mappings can
 * be had, the way it is done. */
enum way { UNMAP, PROTECT, WAYS };
enum { CASES = 2 * 2 * WAYS };

static void lose(size_t n, size_t from, size_t to, int c)
{
    start();
    char *p = map(n * page, -1);
    fill_pages(p, n * page);
    add(p, p + n * page, c & 1);
    collect_and_churn();
    ck_assert_uint_eq(warnings, 0);
    if (c & 2)
        no_files();
    if (c / 4 == UNMAP)
        ck_assert_int_eq(munmap(p + from * page, (to - from) * page), 0);
    else
        ck_assert_int_eq(mprotect(p + from * page, (to - from) * page, PROT_NONE), 0);
    collect_and_churn();
    must_have_warned(p, p + n * page);
    for (size_t i = 0; i < n; i++)
        if (i < from || i >= to)
            check_page(p, i);
}

START_TEST(all_of_it) { lose(PAGES, 0, PAGES, _i); }
END_TEST
START_TEST(the_start) { lose(PAGES, 0, 3, _i); }
END_TEST
START_TEST(the_middle) { lose(PAGES, 3, 5, _i); }
END_TEST
START_TEST(the_end) { lose(PAGES, 5, PAGES, _i); }
END_TEST
START_TEST(of_a_large_one) { lose(3000, 1000, 2000, _i); }
END_TEST

/* Ends within a page. */
START_TEST(parts_of_pages)
{
    start();
    char *p = map(4 * page, -1);
    fill_pages(p, 4 * page);
    ck_assert_int_eq(gc_add_roots(p + page - 8, p + 3 * page + 8), 0);
    ck_assert_int_eq(munmap(p + 2 * page, page), 0);
    collect_and_churn();
    must_have_warned(p + page - 8, p + 3 * page + 8);
    check_live(*(void **)(p + page - 8), SIZE, 1);
    check_page(p, 1);
    check_live(*(void **)(p + 3 * page), SIZE, 6);
}
END_TEST

/* A file that was cut under its mapping: a read behind its end would be SIGBUS. */
static void cut_file(size_t n, size_t left, bool table)
{
    start();
    int fd = memfd_create("roots", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)(n * page)), 0);
    char *p = map(n * page, fd);
    fill_pages(p, n * page);
    char *large = map(4000 * page, -1);
    if (table)
        ck_assert_int_eq(gc_add_roots(large, large + 4000 * page), 0);
    add(p, p + n * page, false);
    collect_and_churn();
    ck_assert_uint_eq(warnings, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)(left * page)), 0);
    collect_and_churn();
    must_have_warned(p, p + n * page);
    for (size_t i = 0; i < left; i++)
        check_page(p, i);
    ck_assert_int_eq(ftruncate(fd, (off_t)(n * page)), 0);
    collect_and_churn();
    for (size_t i = 0; i < left; i++)
        check_page(p, i);
}

START_TEST(file_cut)
{
    static const size_t left[] = {0, 1, 2, 5, 7};
    cut_file(PAGES, left[_i / 2], _i % 2);
}
END_TEST

/* Many ranges: more than are asked about one by one. Every third is gone. */
static void many(bool files)
{
    char *p[MANY];
    start();
    for (size_t i = 0; i < MANY; i++) {
        p[i] = map(2 * page, -1);
        fill_pages(p[i], page);
        ck_assert_int_eq(gc_add_roots(p[i], p[i] + page), 0);
    }
    collect_and_churn();
    ck_assert_uint_eq(warnings, 0);
    if (!files)
        no_files();
    for (size_t i = 0; i < MANY; i += 3)
        ck_assert_int_eq(i % 2 ? munmap(p[i], page) : mprotect(p[i], page, PROT_NONE), 0);
    collect_and_churn();
    ck_assert_uint_eq(warnings, 1);
    for (size_t i = 0; i < MANY; i++)
        if (i % 3)
            check_page(p[i], 0);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_int_eq(gc_remove_roots(p[i], p[i] + page), 0);
}

START_TEST(many_ranges) { many(true); }
END_TEST
START_TEST(many_ranges_no_files) { many(false); }
END_TEST

/* Mapped again, it holds again. */
START_TEST(comes_back)
{
    start();
    char *p = map(PAGES * page, -1);
    ck_assert_int_eq(gc_add_roots(p, p + PAGES * page), 0);
    ck_assert_int_eq(mprotect(p, PAGES * page, PROT_NONE), 0);
    collect_and_churn();
    must_have_warned(p, p + PAGES * page);
    ck_assert_int_eq(mprotect(p, PAGES * page, PROT_READ | PROT_WRITE), 0);
    fill_pages(p, PAGES * page);
    collect_and_churn();
    for (size_t i = 0; i < PAGES; i++)
        check_page(p, i);
    ck_assert_uint_eq(warnings, 1);
}
END_TEST

/* A terabyte of address space, of which some pages are there. */
START_TEST(huge_hole)
{
    start();
    size_t n = (size_t)1 << 40;
    char *p = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return; /* under a limit of address space */
    ck_assert_int_eq(mprotect(p + n / 2, PAGES * page, PROT_READ | PROT_WRITE), 0);
    fill_pages(p + n / 2, PAGES * page);
    ck_assert_int_eq(gc_add_roots(p, p + n), 0);
    collect_and_churn();
    for (size_t i = 0; i < PAGES; i++)
        check_page(p + n / 2, i);
    must_have_warned(p, p + n);
}
END_TEST

/* The kernel puts one mapping below the other, but for holes between others, which are filled first. */
static char *map_below(const void *other)
{
    char *p;
    do
        p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (p != MAP_FAILED && (uintptr_t)p > (uintptr_t)other);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

/* The range takes in what the library outgrows while it makes the list of roots (sysmem.retired). */
START_TEST(the_librarys_own)
{
    start();
    void **slots = mmap(NULL, MANY * 2 * sizeof *slots, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *hi = map_below(slots);
    settle();
    char *lo = map_below(hi);
    ck_assert_int_eq(gc_add_roots(lo, hi), 0);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_int_eq(gc_add_roots(&slots[2 * i], &slots[2 * i + 1]), 0);
    collect_and_churn();
}
END_TEST

/* All there is. What the kernel shows of its own, [vvar], looks readable and is not. */
START_TEST(everything)
{
    if (sanitizer_is("address"))
        return; /* its shadow is terabytes */
    start();
    ck_assert_int_eq(gc_add_roots(NULL, (void *)(UINTPTR_MAX & ~(uintptr_t)7)), 0);
    settle();
    ck_assert_uint_eq(warnings, 1);
}
END_TEST

/* One line on standard error where there is no handler. */
static void unmap_and_collect(void *unused)
{
    (void)unused;
    size_t n = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 3; i++) {
        char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        gc_add_roots(p, p + n);
        munmap(p, n);
        gc_collect();
    }
}

START_TEST(one_line)
{
    struct outcome o;
    run_child(unmap_and_collect, NULL, &o);
    must_exit_0(&o);
    if (count_lines(o.text) != 1 || strncmp(o.text, "spangc: the registered roots from 0x", 36) != 0)
        ck_abort_msg("it said: %s", o.text);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, all_of_it, 0, CASES);
    tcase_add_loop_test(tc, the_start, 0, CASES);
    tcase_add_loop_test(tc, the_middle, 0, CASES);
    tcase_add_loop_test(tc, the_end, 0, CASES);
    tcase_add_loop_test(tc, of_a_large_one, 0, CASES);
    tcase_add_test(tc, parts_of_pages);
    tcase_add_loop_test(tc, file_cut, 0, 10);
    tcase_add_test(tc, many_ranges);
    tcase_add_test(tc, many_ranges_no_files);
    tcase_add_test(tc, comes_back);
    tcase_add_test(tc, huge_hole);
    tcase_add_test(tc, the_librarys_own);
    tcase_add_test(tc, everything);
    tcase_add_test(tc, one_line);
}
CHECK_MAIN("api/unmapped", tests)
