/* os_cgroup_linux.c - what the control groups of the process allow, v1, v2 and both at once.
 * Owns:   the prefix of the tree that is read.
 * Locks:  none. Nothing is kept: limits change while a program runs.
 * Keeps:  .raw    system calls are made directly: open and read of the C library are points of cancellation, and files are
 *                 read by who collects
 *         .least  a limit of any group above counts too: the least is what the process gets
 * Below:  the kernel's files.   Above: os_machine_linux.c, the memory limit.
 *
 * A container may see a path in /proc/self/cgroup that its own /sys/fs/cgroup does not have, because it is the host's.
 * Then the files of the levels that do exist count, at last those of the root, which are the container's own. */
#include "os/os_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4096, GROUP_MAX = 1024, PATH_LEN = GROUP_MAX + 512 };

static const char *prefix = "";

void os_cgroup_set_tree(const char *path) { prefix = path; }

/* The file's text, ended by NUL; false when it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = os_file_open(path);
    if (fd < 0)
        return false;
    long n = os_file_read(fd, text, size - 1);
    os_file_close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

static bool lists(const char *controllers, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = controllers, *end = controllers + n; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t word = (size_t)((comma ? comma : end) - at);
        if (word == len && memcmp(at, name, len) == 0)
            return true;
        at += word + 1;
    }
    return false;
}

/* The group of the process for the v1 controller, or with NULL its v2 group: "N:controllers:path" a line. */
static bool find_group(const char *controller, char *group)
{
    char text[FILE_MAX], path[PATH_LEN], *line, *rest = text;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", prefix);
    if (!read_text(path, text, sizeof text))
        return false;
    while ((line = strsep(&rest, "\n"))) {
        char *controllers = strchr(line, ':'), *at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!at)
            continue;
        size_t n = (size_t)(at - controllers - 1);
        if (controller ? lists(controllers + 1, n, controller) : n == 0 && strncmp(line, "0:", 2) == 0) {
            snprintf(group, GROUP_MAX, "%s", at + 1);
            return true;
        }
    }
    return false;
}

/* Calls fn with the text of `file` in the group and in each one above it, as far as they exist; the v1 controllers are
 * mounted under their names, the v2 tree at the top or beside them. */
static void each_level(const char *controller, const char *file, void (*fn)(const char *text, void *arg), void *arg)
{
    char group[GROUP_MAX], path[PATH_LEN], text[FILE_MAX];
    if (!find_group(controller, group))
        return;
    for (;;) {
        const char *dir = strcmp(group, "/") == 0 ? "" : group;
        snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s%s/%s", prefix, controller ? "/" : "",
                 controller ? controller : "", dir, file);
        if (read_text(path, text, sizeof text))
            fn(text, arg);
        char *slash = strrchr(group, '/');
        if (!slash || slash[1] == 0)
            return;
        slash[slash == group] = 0; /* "/a" becomes "/" */
    }
}

static void lower(uint64_t *to, uint64_t n)
{
    if (n < *to)
        *to = n;
}

/* A number of bytes; "max" is none, and so is v1's largest number of pages. */
static void take_bytes(const char *text, void *limit)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (end != text && n < (uint64_t)INT64_MAX / 4096 * 4096 - 4096 * UINT64_C(16))
        lower(limit, n);
}

uint64_t os_cgroup_memory_limit(void)
{
    uint64_t limit = UINT64_MAX;
    each_level(NULL, "memory.max", take_bytes, &limit);
    each_level("memory", "memory.limit_in_bytes", take_bytes, &limit);
    return limit;
}

/* CPUs in thousandths: "quota period", both in microseconds; "max" is none. */
static void take_quota(const char *text, void *thousandths)
{
    char *end;
    long long quota = strtoll(text, &end, 10), period = end == text ? 0 : strtoll(end, NULL, 10);
    if (quota > 0 && period > 0 && quota < LLONG_MAX / 1000)
        lower(thousandths, (uint64_t)(quota * 1000 / period));
}

struct v1_quota {
    uint64_t *thousandths;
    long long quota[64]; /* a level each, from the group up; 0 or less is none */
    int n, at;
};

static void note_quota(const char *text, void *arg)
{
    struct v1_quota *v = arg;
    if (v->n < (int)(sizeof v->quota / sizeof *v->quota))
        v->quota[v->n++] = strtoll(text, NULL, 10);
}

/* The files of one level exist both or not at all, so they come in the same order. */
static void note_period(const char *text, void *arg)
{
    struct v1_quota *v = arg;
    char both[64];
    if (v->at >= v->n)
        return;
    snprintf(both, sizeof both, "%lld %s", v->quota[v->at++], text);
    take_quota(both, v->thousandths);
}

int os_cgroup_cpus(void)
{
    uint64_t thousandths = UINT64_MAX;
    struct v1_quota v = {.thousandths = &thousandths};
    each_level(NULL, "cpu.max", take_quota, &thousandths);
    each_level("cpu", "cpu.cfs_quota_us", note_quota, &v);
    each_level("cpu", "cpu.cfs_period_us", note_period, &v);
    if (thousandths >= (uint64_t)INT32_MAX * 1000)
        return INT32_MAX;
    uint64_t cpus = (thousandths + 999) / 1000;
    return cpus > 0 ? (int)cpus : 1;
}
