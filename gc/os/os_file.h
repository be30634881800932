/* os_file.h - files where the C library may not be asked: its open, read and write are points of cancellation, and the
 * world may be stopped. errno is left alone. */
#ifndef OS_OS_FILE_H
#define OS_OS_FILE_H

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

/* For reading; negative when it cannot be opened. */
static inline int os_file_open(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

/* Bytes read, 0 at the end, or negative. */
static inline long os_file_read(int fd, char *to, size_t n)
{
    long got;
    while ((got = os_syscall(SYS_read, fd, (long)to, (long)n, 0, 0, 0)) == -EINTR)
        ;
    return got;
}

/* For writing, emptied or made; the error, negative, when it cannot be. */
static inline int os_file_create(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666, 0, 0);
}

/* Bytes written from offset `at` on, fewer than n when there is no more room, or the error, negative. */
static inline long os_file_write_at(int fd, const char *from, size_t n, uint64_t at)
{
    long put;
    while ((put = os_syscall(SYS_pwrite64, fd, (long)from, (long)n, (long)at, 0, 0)) == -EINTR)
        ;
    return put;
}

static inline void os_file_cut(int fd, uint64_t size) { os_syscall(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0); }

static inline void os_file_close(int fd) { os_syscall(SYS_close, fd, 0, 0, 0, 0, 0); }

#endif
