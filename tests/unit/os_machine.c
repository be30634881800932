/* os_machine.c - CPUs, memory, limits, clocks. Clocks are compared with each other, never with an expected duration. */
#include "../check_main.h"

#include "os/os.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

START_TEST(names)
{
    ck_assert_str_eq(os_name(), "linux");
    ck_assert_str_ne(os_arch_name(), "");
}
END_TEST

START_TEST(cpus)
{
    cpu_set_t one;
    ck_assert_int_ge(os_cpu_count(), 1);
    ck_assert_int_le(os_cpu_count(), (int)sysconf(_SC_NPROCESSORS_CONF));
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(os_cpu_count(), 1);
}
END_TEST

START_TEST(ram)
{
    ck_assert_uint_ge(os_ram_bytes(), UINT64_C(16) << 20);
    ck_assert_uint_eq(os_ram_bytes(), (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}
END_TEST

/* What is left under a soft limit of n bytes; the limit is lifted before anything is asserted. */
static uint64_t left_of(rlim_t n)
{
    struct rlimit old, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    limit = old;
    limit.rlim_cur = n;
    setrlimit(RLIMIT_AS, &limit);
    uint64_t left = os_address_left();
    setrlimit(RLIMIT_AS, &old);
    return left;
}

/* 2^46: more than any sanitizer's shadow takes. */
START_TEST(address_space)
{
    ck_assert_uint_eq(left_of(RLIM_INFINITY), UINT64_MAX);
    ck_assert_uint_lt(left_of((rlim_t)1 << 46), UINT64_C(1) << 46);
    ck_assert_uint_gt(left_of((rlim_t)1 << 46), UINT64_C(1) << 44);
    ck_assert_uint_eq(left_of(4096), 0);
}
END_TEST

static uint64_t (*const clocks[])(void) = {os_now_ns, os_process_cpu_ns, os_thread_cpu_ns};

START_TEST(clocks_do_not_go_back)
{
    uint64_t last = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clocks[_i]();
        if (now < last)
            ck_abort_msg("clock %d went back", _i);
        last = now;
    }
    ck_assert_uint_gt(last, 0);
}
END_TEST

START_TEST(wall_clock)
{
    uint64_t before = (uint64_t)time(NULL), now = os_wall_ns(), after = (uint64_t)time(NULL) + 1;
    ck_assert_uint_ge(now / 1000000000 + 1, before);
    ck_assert_uint_le(now / 1000000000, after);
}
END_TEST

/* A thread's CPU time is a part of its process's. */
START_TEST(cpu_times)
{
    uint64_t thread = os_thread_cpu_ns();
    ck_assert_uint_le(thread, os_process_cpu_ns());
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, names);
    tcase_add_test(tc, cpus);
    tcase_add_test(tc, ram);
    tcase_add_test(tc, address_space);
    tcase_add_loop_test(tc, clocks_do_not_go_back, 0, 3);
    tcase_add_test(tc, wall_clock);
    tcase_add_test(tc, cpu_times);
}
CHECK_MAIN("unit/os_machine", tests)
