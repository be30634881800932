/* os_file.h - reading files of the kernel where the C library may not be asked: its open and read are points of
 * cancellation, and the world may be stopped. errno is left alone. */
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

static inline void os_file_close(int fd) { os_syscall(SYS_close, fd, 0, 0, 0, 0, 0); }

#endif
