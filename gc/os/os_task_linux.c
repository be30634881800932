/* os_task_linux.c - the threads of this process as the kernel counts them, out of /proc/self.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .still  called while threads are stopped: files are read by system call into the caller's stack, so that
 *                 nothing allocates, nothing takes a lock of the C library, and nothing is a cancellation point
 * Below:  the kernel.   Above: world/unknown.c, world/deaf.c. */
#include "os/os_file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

/* A directory has a link to itself and one from above; this one has one more for each thread. */
enum { LINKS_OF_ANY = 2 };

int os_task_count(void)
{
    struct stat st;
    if (stat("/proc/self/task", &st) != 0 || st.st_nlink <= LINKS_OF_ANY)
        return 0;
    return (int)(st.st_nlink - LINKS_OF_ANY);
}

static int parse_tid(const char *name)
{
    int tid = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        tid = tid * 10 + (*name - '0');
    return tid;
}

/* The link reads "PID/task/TID". */
bool os_task_ids_are_ours(void)
{
    char to[64];
    long n = os_syscall(SYS_readlinkat, AT_FDCWD, (long)"/proc/thread-self", (long)to, sizeof to - 1, 0, 0);
    to[n > 0 ? n : 0] = 0;
    const char *tid = strrchr(to, '/');
    return tid && parse_tid(tid + 1) == os_tid();
}

bool os_each_task(void (*fn)(int tid, void *arg), void *arg)
{
    char entries[2048] __attribute__((aligned(8)));
    long n;
    int fd = os_file_open("/proc/self/task");
    if (fd < 0)
        return false;
    while ((n = os_syscall(SYS_getdents64, fd, (long)entries, sizeof entries, 0, 0, 0)) > 0)
        for (long at = 0; at < n;) {
            const struct dirent64 *d = (const void *)(entries + at);
            int tid = parse_tid(d->d_name);
            if (tid > 0)
                fn(tid, arg);
            at += d->d_reclen;
        }
    os_file_close(fd);
    return n == 0;
}

/* ---- text files, a line at a time ---- */

enum { LINE = 192 };

struct text {
    int fd;
    size_t at, n; /* of what is in the buffer */
    char buffer[1024];
    char line[LINE]; /* its beginning */
};

static bool next_char(struct text *t, char *c)
{
    if (t->at == t->n) {
        long n = os_file_read(t->fd, t->buffer, sizeof t->buffer);
        if (n <= 0)
            return false;
        t->n = (size_t)n;
        t->at = 0;
    }
    *c = t->buffer[t->at++];
    return true;
}

static bool next_line(struct text *t)
{
    size_t n = 0;
    char c = 0;
    while (next_char(t, &c) && c != '\n')
        if (n < LINE - 1)
            t->line[n++] = c;
    t->line[n] = 0;
    return n > 0 || c == '\n';
}

static bool open_text(struct text *t, const char *path)
{
    t->at = t->n = 0;
    t->fd = os_file_open(path);
    return t->fd >= 0;
}

static bool open_task_text(struct text *t, int tid, const char *name)
{
    static const char before[] = "/proc/self/task/";
    char path[64], digits[16];
    size_t n = 0, k = sizeof before - 1;
    memcpy(path, before, k);
    for (; tid > 0; tid /= 10)
        digits[n++] = (char)('0' + tid % 10);
    while (n > 0)
        path[k++] = digits[--n];
    path[k++] = '/';
    strcpy(path + k, name);
    return open_text(t, path);
}

/* ---- what a task is ---- */

/* Of the flags in a task's stat: it has begun to exit; it was made by the kernel for io_uring, or as a driver's worker.
 * Before Linux 5.12 and 6.4 the last two had other meanings, and the name must fit as well where that was backported. A
 * worker has its name only some time after it appeared. */
enum { FLAG_EXITING = 0x4, FLAG_IO_WORKER = 0x10, FLAG_USER_WORKER = 0x4000, FLAGS_FIELD = 6 };

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static bool kernel_since(const char *release)
{
    struct utsname u;
    return uname(&u) == 0 && strverscmp(u.release, release) >= 0;
}

static bool is_worker(const char *name, unsigned long flags)
{
    if (flags & FLAG_IO_WORKER && (begins(name, "iou-") || kernel_since("5.12")))
        return true;
    return flags & FLAG_USER_WORKER && (begins(name, "vhost-") || begins(name, "kvm-nx") || kernel_since("6.4"));
}

static unsigned long number(const char *text)
{
    unsigned long v = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        v = v * 10 + (unsigned long)(*text - '0');
    return v;
}

/* "1234 (name) S 1 2 3 4 5 flags ...". The name, of at most 15 bytes, may hold anything. */
static enum os_task parse_stat(const char *line)
{
    const char *name = strchr(line, '('), *at = strrchr(line, ')');
    if (!name || !at || at[1] != ' ')
        return OS_TASK_RUNS;
    if (at[2] == 'Z' || at[2] == 'X')
        return OS_TASK_ENDED;
    at += 2;
    for (int i = 0; i < FLAGS_FIELD && at; i++)
        at = strchr(at + 1, ' ');
    unsigned long flags = at ? number(at + 1) : 0;
    if (flags & FLAG_EXITING)
        return OS_TASK_ENDED;
    return is_worker(name + 1, flags) ? OS_TASK_KERNEL : OS_TASK_RUNS;
}

enum os_task os_task_state(int tid)
{
    struct text t;
    if (!open_task_text(&t, tid, "stat"))
        return OS_TASK_RUNS;
    bool read = next_line(&t);
    os_file_close(t.fd);
    return read ? parse_stat(t.line) : OS_TASK_ENDED;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uintptr_t parse_hex(const char **text)
{
    uintptr_t v = 0;
    for (int d; (d = hex_digit(**text)) >= 0; ++*text)
        v = v << 4 | (uintptr_t)d;
    return v;
}

int os_task_blocks(int tid, int sig)
{
    static const char key[] = "SigBlk:\t";
    struct text t;
    int blocks = -1;
    if (!open_task_text(&t, tid, "status"))
        return -1;
    while (blocks < 0 && next_line(&t))
        if (begins(t.line, key)) {
            const char *at = t.line + sizeof key - 1;
            blocks = parse_hex(&at) >> (sig - 1) & 1;
        }
    os_file_close(t.fd);
    return blocks;
}
