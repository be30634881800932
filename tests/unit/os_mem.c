/* os_mem.c - the promises of os_mem.h, held by the real system. */
#include "../check_main.h"

#include "os/os.h"
#include "os/os_mem.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 64 };

static size_t bytes(size_t pages) { return pages * os_page_size(); }

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Whether a child that writes a byte at p lives. */
static bool is_writable(volatile char *p)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        *p = 1;
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status == 0;
}

START_TEST(page_size)
{
    ck_assert(is_power_of_two(os_page_size()));
    ck_assert_uint_eq(os_page_size(), (size_t)sysconf(_SC_PAGESIZE));
}
END_TEST

START_TEST(reserve_and_map)
{
    char *p = os_reserve(0, bytes(PAGES), false);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq((uintptr_t)p % os_page_size(), 0);
    ck_assert(!is_writable(p));
    ck_assert(os_map(p + bytes(4), bytes(8)));
    ck_assert(is_zero(p + bytes(4), bytes(8)));
    ck_assert(is_writable(p + bytes(4)) && is_writable(p + bytes(12) - 1));
    memset(p + bytes(4), 1, bytes(8));
    ck_assert(!is_writable(p + bytes(4) - 1));
    ck_assert(!is_writable(p + bytes(12)));
    os_free(p, bytes(PAGES));
}
END_TEST

/* Nothing is accounted for what is only reserved: more than there is can be had. */
START_TEST(reserve_is_free)
{
    size_t n = (size_t)1 << 40;
    char *p = os_reserve(0, n, false);
    ck_assert_ptr_nonnull(p);
    ck_assert(os_map(p + n - bytes(1), bytes(1)));
    p[n - 1] = 1;
    os_free(p, n);
}
END_TEST

START_TEST(reserve_at_a_hint)
{
    char *p = os_reserve(0, bytes(PAGES), false);
    os_free(p, bytes(PAGES));
    ck_assert_ptr_eq(os_reserve((uintptr_t)p, bytes(PAGES), false), p);
    char *q = os_reserve((uintptr_t)p, bytes(PAGES), false); /* taken: anywhere else */
    ck_assert(q && (q + bytes(PAGES) <= p || q >= p + bytes(PAGES)));
}
END_TEST

START_TEST(reserve_exactly)
{
    char *p = os_reserve(0, bytes(PAGES), false);
    ck_assert_ptr_null(os_reserve((uintptr_t)p + bytes(PAGES / 2), bytes(1), true));
    ck_assert_ptr_null(os_reserve((uintptr_t)p - bytes(1), bytes(2), true));
    os_free(p + bytes(PAGES / 2), bytes(PAGES / 2));
    ck_assert_ptr_eq(os_reserve((uintptr_t)p + bytes(PAGES / 2), bytes(PAGES / 2), true), p + bytes(PAGES / 2));
    ck_assert(os_map(p + bytes(PAGES / 2 - 1), bytes(2))); /* across the seam */
}
END_TEST

START_TEST(alloc)
{
    char *p = os_alloc(bytes(PAGES));
    ck_assert(p && is_zero(p, bytes(PAGES)));
    memset(p, 1, bytes(PAGES));
    os_free(p, bytes(PAGES));
    ck_assert(!is_writable(p));
}
END_TEST

START_TEST(release)
{
    unsigned char resident[PAGES];
    char *p = os_alloc(bytes(PAGES));
    memset(p, 1, bytes(PAGES));
    ck_assert(os_resident((uintptr_t)p, bytes(PAGES), resident));
    ck_assert(resident[7] == 1 && resident[8] == 1);
    ck_assert(os_release(p + bytes(8), bytes(20)));
    ck_assert(os_resident((uintptr_t)p, bytes(PAGES), resident));
    for (size_t i = 0; i < PAGES; i++)
        ck_assert_uint_eq(resident[i], i < 8 || i >= 28);
    ck_assert(is_zero(p + bytes(8), bytes(20)));
    ck_assert_int_eq(p[bytes(8) - 1], 1);
    ck_assert_int_eq(p[bytes(28)], 1);
    p[bytes(8)] = 2;
}
END_TEST

/* Asserted after the limit is lifted: Check itself may need memory. */
START_TEST(refused)
{
    struct rlimit old, none;
    char *p = os_reserve(0, bytes(PAGES), false);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    none = old;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_AS, &none);
    void *a = os_alloc(bytes(PAGES)), *b = os_reserve(0, bytes(PAGES), false);
    void *c = os_reserve((uintptr_t)p + bytes(PAGES), bytes(PAGES), true);
    bool mapped = os_map(p, bytes(PAGES)); /* its address space was counted when it was reserved */
    setrlimit(RLIMIT_AS, &old);
    ck_assert(!a && !b && !c && mapped);
}
END_TEST

START_TEST(resident_of_what_is_not_mapped)
{
    unsigned char resident[PAGES];
    char *p = os_alloc(bytes(PAGES));
    os_free(p + bytes(10), bytes(1));
    ck_assert(!os_resident((uintptr_t)p, bytes(PAGES), resident));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, page_size);
    tcase_add_test(tc, reserve_and_map);
    tcase_add_test(tc, reserve_is_free);
    tcase_add_test(tc, reserve_at_a_hint);
    tcase_add_test(tc, reserve_exactly);
    tcase_add_test(tc, alloc);
    tcase_add_test(tc, release);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, resident_of_what_is_not_mapped);
}
CHECK_MAIN("unit/os_mem", tests)
