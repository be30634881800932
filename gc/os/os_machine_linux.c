/* os_machine_linux.c - CPUs, memory, limits, clocks.
 * Owns:   nothing. Locks: none. Below: the kernel. Above: heap sizes, pacing, traces. */
#include "os/os.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *os_name(void) { return "linux"; }

int os_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (n <= 1)
        return 1;
    int quota = os_cgroup_cpus();
    return n < quota ? n : quota;
}

uint64_t os_ram_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 30;
}

/* The number that a file of /proc begins with; 0 when it cannot be read. */
static uint64_t first_number(const char *path)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    return strtoull(text, NULL, 10);
}

/* Bytes of address space in use; 0 when unknown. */
static uint64_t address_used(void) { return first_number("/proc/self/statm") * (uint64_t)sysconf(_SC_PAGESIZE); }

uint64_t os_max_mappings(void)
{
    enum { KERNEL_DEFAULT = 65530 };
    uint64_t n = first_number("/proc/sys/vm/max_map_count");
    return n ? n : KERNEL_DEFAULT;
}

uint64_t os_address_left(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    uint64_t used = address_used();
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t os_now_ns(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t os_wall_ns(void) { return read_clock(CLOCK_REALTIME); }
uint64_t os_process_cpu_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t os_thread_cpu_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
