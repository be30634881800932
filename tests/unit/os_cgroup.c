/* os_cgroup.c - limits of control groups, read from made-up trees: v2, v1, both, a container's. */
#include "../check_main.h"

#include "os/os.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree[64];

static void setup(void)
{
    snprintf(tree, sizeof tree, "/tmp/spangc-cgroup.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tree));
    os_cgroup_set_tree(tree);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", tree);
    ck_assert_int_eq(system(command), 0);
}

/* Writes tree/path, making its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", tree, path);
    for (char *at = full + strlen(tree) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(full, 0755);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void expect(uint64_t memory, int cpus)
{
    ck_assert_uint_eq(os_cgroup_memory_limit(), memory);
    ck_assert_int_eq(os_cgroup_cpus(), cpus);
}

START_TEST(nothing_mounted) { expect(UINT64_MAX, INT32_MAX); }
END_TEST

START_TEST(v2)
{
    put("proc/self/cgroup", "0::/user/app\n");
    put("sys/fs/cgroup/user/app/memory.max", "max\n");
    put("sys/fs/cgroup/user/app/cpu.max", "max 100000\n");
    expect(UINT64_MAX, INT32_MAX);
    put("sys/fs/cgroup/user/app/memory.max", "536870912\n");
    put("sys/fs/cgroup/user/app/cpu.max", "250000 100000\n");
    expect(536870912, 3);
    /* .least: a group above has less */
    put("sys/fs/cgroup/user/memory.max", "1048576\n");
    put("sys/fs/cgroup/user/cpu.max", "50000 100000\n");
    expect(1048576, 1);
    put("sys/fs/cgroup/user/memory.max", "999999999999\n");
    put("sys/fs/cgroup/user/cpu.max", "800000 100000\n");
    expect(536870912, 3);
}
END_TEST

START_TEST(v1)
{
    put("proc/self/cgroup", "4:memory:/a/b\n3:cpuset:/x\n2:cpuacct,cpu:/c\n1:name=systemd:/a\n0::/\n");
    put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
    expect(UINT64_MAX, INT32_MAX);
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2097152\n");
    put("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "200000\n");
    expect(2097152, 2);
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "10000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "10000\n");
    expect(2097152, 1);
}
END_TEST

/* The path is the host's: only the root is there. */
START_TEST(container)
{
    put("proc/self/cgroup", "2:memory:/docker/0123\n1:cpu:/docker/0123\n0::/docker/0123\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "33554432\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    expect(33554432, 3);
}
END_TEST

/* What is no number, or no file, limits nothing. */
START_TEST(nonsense)
{
    static const char *const groups[] = {"", "0:", "::", "0::", "x\n\n0::/a\n", "0::relative\n"};
    static const char *const values[] = {"", "x", "-5 0", "0 0", "100000", "max", "99999999999999999999999 1"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            put("proc/self/cgroup", groups[i]);
            put("sys/fs/cgroup/a/cpu.max", values[k]);
            ck_assert_int_eq(os_cgroup_cpus(), INT32_MAX);
        }
}
END_TEST

/* The real one: whatever it is, the CPU count obeys it. */
START_TEST(real)
{
    os_cgroup_set_tree("");
    ck_assert_int_ge(os_cgroup_cpus(), 1);
    ck_assert_int_le(os_cpu_count(), os_cgroup_cpus());
    ck_assert_uint_gt(os_cgroup_memory_limit(), 0);
    os_cgroup_set_tree(tree);
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    ck_assert_int_eq(os_cpu_count(), 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_mounted);
    tcase_add_test(tc, v2);
    tcase_add_test(tc, v1);
    tcase_add_test(tc, container);
    tcase_add_test(tc, nonsense);
    tcase_add_test(tc, real);
}
CHECK_MAIN("unit/os_cgroup", tests)
