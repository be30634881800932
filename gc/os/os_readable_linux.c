/* os_readable_linux.c - can this memory be read? Asked without reading it, since no SIGSEGV handler may be installed.
 * Owns:   nothing.
 * Locks:  none; works while the world is stopped.
 * Keeps:  .raw  system calls are made directly: open and read of the C library are points of cancellation
 * Below:  the kernel.   Above: mark/rootcheck.c.
 *
 * MADV_POPULATE_READ (Linux 5.14) brings pages in as reading would, and fails where that would fault: holes, PROT_NONE,
 * beyond the end of a file. mincore does not see the last two. */
#include "os/os_file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POPULATE_READ = 22, TEXT = 2048 };

static enum os_read populate(uintptr_t lo, uintptr_t hi)
{
    for (;;) {
        if (madvise((void *)lo, hi - lo, POPULATE_READ) == 0)
            return OS_READS;
        if (errno == EINVAL)
            return OS_READ_UNKNOWN;
        if (errno != EINTR && errno != EAGAIN)
            return OS_FAULTS;
    }
}

enum os_read os_try_read(uintptr_t lo, uintptr_t hi)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    int saved = errno;
    enum os_read r = populate(round_down(lo, page), round_up(hi, page));
    errno = saved;
    return r;
}

bool os_try_read_works(void)
{
    static char probe;
    return os_try_read((uintptr_t)&probe, (uintptr_t)(&probe + 1)) == OS_READS;
}

enum { NO_SUCH_HOW = 99, KERNEL_SIGSET = 8 };

/* The kernel reads a signal mask from there before it finds that it cannot know what to do with it. */
bool os_readable(uintptr_t p)
{
    return os_syscall(SYS_rt_sigprocmask, NO_SUCH_HOW, (long)p, 0, KERNEL_SIGSET, 0, 0) != -EFAULT;
}

/* A line of maps: lo-hi perms offset dev inode path. */
enum field { LO, HI, PERMS, OFFSET, DEVICE, INODE, PATH };
struct line {
    struct os_mapping m;
    enum field field;
    unsigned at;  /* in the field */
    unsigned own; /* bytes of its path, all so far, that are the beginning of OWN; more than it has: they are not */
};

/* What the kernel shows there of its own, [vvar] and the like, may not be read but by its own code. */
static const char OWN[] = "[vv";

static void take_digit(uintptr_t *v, char c) { *v = *v * 16 + (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void take_path(struct line *l, char c)
{
    enum { LENGTH = sizeof OWN - 1 };
    if (l->own >= LENGTH)
        return;
    l->own = c == OWN[l->own] ? l->own + 1 : LENGTH + 1;
    if (l->own == LENGTH)
        l->m.readable = false;
}

/* True when the line is complete. */
static bool take(struct line *l, char c)
{
    if (c == '\n')
        return true;
    if (l->field < PATH && (c == ' ' || (c == '-' && l->field == LO))) {
        l->field++;
        l->at = 0;
        return false;
    }
    if (l->field == LO)
        take_digit(&l->m.lo, c);
    else if (l->field == HI)
        take_digit(&l->m.hi, c);
    else if (l->field == PERMS && l->at == 0)
        l->m.readable = c == 'r';
    else if (l->field == INODE && c != '0')
        l->m.file = true;
    else if (l->field == PATH && c != ' ')
        take_path(l, c);
    l->at++;
    return false;
}

/* Of the calling thread: those of the process are none once its main thread has ended. */
bool os_each_mapping(bool (*fn)(const struct os_mapping *m, void *arg), void *arg)
{
    char text[TEXT];
    struct line l = {0};
    bool go_on = true, any = false;
    long n = -1;
    int saved = errno, fd = os_file_open("/proc/thread-self/maps");
    while (fd >= 0 && go_on && (n = os_file_read(fd, text, sizeof text)) > 0) {
        for (long i = 0; i < n && go_on; i++) {
            if (!take(&l, text[i]))
                continue;
            any = true;
            go_on = fn(&l.m, arg);
            l = (struct line){0};
        }
    }
    if (fd >= 0)
        os_file_close(fd);
    errno = saved;
    return any && go_on && n == 0;
}
