/* legacyprofile.c - a heap profile as text. */
#include "../check_main.h"

#include "watch/legacyprofile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Writes are counted on the way, and refused when that many were let through (the linker's --wrap). */
static int writes_left = INT_MAX, calls_after_failure;
bool __real_report_write(int fd, const char *from, size_t n);
bool __wrap_report_write(int fd, const char *from, size_t n);
bool __wrap_report_write(int fd, const char *from, size_t n)
{
    if (n > 0 && --writes_left <= 0) {
        calls_after_failure += writes_left < 0;
        errno = EDQUOT;
        return false;
    }
    return __real_report_write(fd, from, n);
}

static char text[4 << 20];
static struct gc_memstats st;

static const char *write_profile(uint64_t rate, const struct legacy_record *r, size_t n)
{
    int fd = fileno(tmpfile());
    ck_assert_int_eq(legacyprofile_write(fd, rate, r, n, &st), 0);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    ck_assert(size > 0 && size < (ssize_t)sizeof text - 1);
    text[size] = 0;
    close(fd);
    return text;
}

/* What the text goes on with, which is skipped. */
static void expect(const char **at, const char *what)
{
    if (strncmp(*at, what, strlen(what)) != 0)
        ck_abort_msg("not \"%s\" but \"%.*s\"", what, 100, *at);
    *at += strlen(what);
}

START_TEST(records)
{
    const uintptr_t a[] = {0x1234, 0x5678, 0x7fffffffabcd}, b[] = {0};
    const struct legacy_record r[] = {
        {a, 3, 10, 1000, 4, 400}, {a, 1, 5, 80, 0, 0}, {NULL, 0, 1, 8, 1, 8}, {b, 1, 1, 8, 1, 8}};
    const char *at = write_profile(524288, r, 4);
    expect(&at, "heap profile: 6: 416 [17: 1096] @ heap_v2/524288\n"
                "4: 400 [10: 1000] @ 0x1233 0x5678 0x7fffffffabcd\n"
                "0: 0 [5: 80] @ 0x1233\n"
                "1: 8 [1: 8] @ 0x1\n"
                "1: 8 [1: 8] @ 0x1\n"
                "\n# runtime.MemStats\n");
}
END_TEST

/* Every object is a sample: nothing is to be scaled. */
START_TEST(all_sampled)
{
    for (uint64_t rate = 0; rate <= 1; rate++) {
        const char *at = write_profile(rate, NULL, 0);
        expect(&at, "heap profile: 0: 0 [0: 0] @ heapprofile\n\n#");
    }
}
END_TEST

/* Where the struct has a number, the text has one; in Go's order, each with its own. */
START_TEST(memstats)
{
    static const char *const names[] = {
        "Alloc",    "TotalAlloc", "Sys",          "Lookups",     "Mallocs",  "Frees",  "HeapAlloc", "HeapSys",
        "HeapIdle", "HeapInuse",  "HeapReleased", "HeapObjects", "Stack",    "/",      "MSpan",     "/",
        "MCache",   "/",          "BuckHashSys",  "GCSys",       "OtherSys", "NextGC", "LastGC",    "PauseTotalNs"};
    char line[100];
    uint64_t *v = (uint64_t *)&st, n = 0;
    for (size_t i = 0; i < sizeof st / sizeof *v; i++)
        v[i] = 1000 + i;
    st.gc_cpu_fraction = 0.0625;
    const char *at = strstr(write_profile(1, NULL, 0), "# runtime.MemStats\n");
    ck_assert_ptr_nonnull(at);
    expect(&at, "# runtime.MemStats");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sprintf(line, names[i][0] == '/' ? " / %d" : "\n# %2$s = %1$d", 1000 + (int)n++, names[i]);
        expect(&at, line);
    }
    expect(&at, "\n# PauseNs = [1024 1025 ");
    at = strchr(at, ']');
    expect(&at, "]\n# PauseEnd = [1280 1281 ");
    at = strchr(at, ']');
    expect(&at,
           "]\n# NumGC = 1536\n# NumForcedGC = 1537\n# GCCPUFraction = 0.062500\n# BySize = [{1539 1540 1541} {1542 ");
    at = strchr(at, ']');
    expect(&at, "]\n\nMAPPED_LIBRARIES:\n");
}
END_TEST

START_TEST(odd_fractions)
{
    const double odd[] = {NAN, -1, 2, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        st.gc_cpu_fraction = odd[i];
        ck_assert_ptr_nonnull(
            strstr(write_profile(1, NULL, 0), i < 2 ? "GCCPUFraction = 0.000000\n" : "GCCPUFraction = 1.000000\n"));
    }
}
END_TEST

/* The map is whole: the program is in it, and its last line ends. */
START_TEST(map)
{
    char exe[PATH_MAX] = "";
    ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof exe - 1), 0);
    const char *at = strstr(write_profile(1, NULL, 0), "\nMAPPED_LIBRARIES:\n");
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_nonnull(strstr(at, " r-xp "));
    ck_assert_ptr_nonnull(strstr(at, exe));
    ck_assert_ptr_nonnull(strstr(at, "[stack]"));
    ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

/* legacyprofile.line: 64 KB is what Go's reader takes. */
START_TEST(long_lines)
{
    static uintptr_t stack[100000];
    const struct legacy_record r = {stack, 100000, 1, 1, 1, 1};
    memset(stack, 0xff, sizeof stack);
    memset(&st, 0xff, sizeof st);
    write_profile(1, &r, 1);
    for (const char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        ck_assert_int_lt(end - at, 65536);
    ck_assert_ptr_nonnull(strstr(text, " 0xfffffffffffffffe 0xffffffffffffffff 0xffffffffffffffff "));
}
END_TEST

START_TEST(cannot_be_written)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    const int fds[] = {open("/dev/full", O_WRONLY), -1, ends[1]}, errors[] = {ENOSPC, EBADF, EPIPE};
    for (size_t i = 0; i < 3; i++) {
        errno = 0;
        ck_assert_int_eq(legacyprofile_write(fds[i], 1, NULL, 0, &st), -1);
        ck_assert_int_eq(errno, errors[i]);
    }
}
END_TEST

/* legacyprofile.fails: each write in turn, and none after it. */
START_TEST(each_write_fails)
{
    const uintptr_t stack[1000] = {0};
    const struct legacy_record r = {stack, 1000, 1, 1, 1, 1};
    FILE *f = tmpfile();
    int writes = 0;
    for (;; writes++) {
        writes_left = writes + 1;
        errno = 0;
        if (legacyprofile_write(fileno(f), 1, &r, 1, &st) == 0)
            break;
        ck_assert_int_eq(errno, EDQUOT);
    }
    ck_assert_int_eq(calls_after_failure, 0);
    ck_assert_int_gt(writes, 3);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, records);
    tcase_add_test(tc, all_sampled);
    tcase_add_test(tc, memstats);
    tcase_add_test(tc, odd_fractions);
    tcase_add_test(tc, map);
    tcase_add_test(tc, long_lines);
    tcase_add_test(tc, cannot_be_written);
    tcase_add_test(tc, each_write_fails);
}
CHECK_MAIN("unit/legacyprofile", tests)
