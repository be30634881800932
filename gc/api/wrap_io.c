/* wrap_io.c - reading and writing: a stop neither fails a call on a socket with a timeout (SO_RCVTIMEO, SO_SNDTIMEO),
 * which the kernel does not restart after a signal handler, nor leaves one half done, as a handler does.
 * Owns:   nothing.
 * Locks:  none. These may be called by signal handlers, and are points of cancellation.
 * Keeps:  .time   a timeout is not cut short. It counts anew from the first stop, and not from later ones: reading the
 *                 clock in each call would cost all programs more than that is worth
 *         .whole  a call that began to transfer, and would have gone on but for a stop, goes on
 * Below:  interrupts, os_calls.   Above: the program, and every library that it loads. */
#include "api/waits.h"

#include <errno.h>

struct io_wait {
    struct wait wait;
    int fd, option, late; /* late: the error when the time is over */
    short events;
    bool begun;
    uint64_t end; /* once begun; UINT64_MAX: no timeout is set */
};

static void begin(struct io_wait *w)
{
    struct timeval t = {0, 0};
    socklen_t n = sizeof t;
    w->begun = true;
    w->end = UINT64_MAX;
    if (getsockopt(w->fd, SOL_SOCKET, w->option, &t, &n) == 0 && (t.tv_sec != 0 || t.tv_usec != 0))
        w->end = waits_end(os_now_ns(), &(struct timespec){t.tv_sec, t.tv_usec * 1000});
}

/* A local socket has no connection in progress when the time for it is over. */
static int late_error(const struct io_wait *w)
{
    int domain = AF_UNSPEC;
    socklen_t n = sizeof domain;
    if (w->late == EINPROGRESS && getsockopt(w->fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX)
        return EAGAIN;
    return w->late;
}

/* Made again, the call would wait as long as at first; and where it is made too early, it has to be made again. */
static NO_SANITIZE bool wait_until_ready(struct io_wait *w)
{
    struct pollfd p = {.fd = w->fd, .events = w->events};
    while (os_now_ns() < w->end) {
        struct timespec left = waits_left(w->end);
        int r = os_real_ppoll(&p, 1, &left, NULL);
        if (r > 0)
            return true;
        if (r < 0 && !wait_again(&w->wait))
            return false;
    }
    w->wait.again = false;
    errno = late_error(w);
    return false;
}

/* After the call failed: whether to make it again. */
static NO_SANITIZE bool again(struct io_wait *w)
{
    if (!wait_again(&w->wait))
        return false;
    if (!w->begun)
        begin(w);
    return w->end == UINT64_MAX || wait_until_ready(w);
}

#define WAIT(option_, events_, late_)                                                                                  \
    {                                                                                                                  \
        .wait = wait_begin(), .fd = fd, .option = (option_), .events = (events_), .late = (late_)                      \
    }
#define WAIT_IN  WAIT(SO_RCVTIMEO, POLLIN, EAGAIN)
#define WAIT_OUT WAIT(SO_SNDTIMEO, POLLOUT, EAGAIN)

#define WRAP(type, name, parameters, arguments, wait_)                                                                 \
    type OS_WRAPPED(name) parameters                                                                                   \
    {                                                                                                                  \
        struct io_wait w = wait_;                                                                                      \
        type r;                                                                                                        \
        do                                                                                                             \
            r = os_real_##name arguments;                                                                              \
        while (r < 0 && again(&w));                                                                                    \
        wait_end(&w.wait);                                                                                             \
        return r;                                                                                                      \
    }

WRAP(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), WAIT_IN)
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), WAIT_IN)
WRAP(ssize_t, __read_chk, (int fd, void *p, size_t n, size_t bytes), (fd, p, n, bytes), WAIT_IN)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), WAIT_IN)
WRAP(int, accept, (int fd, __SOCKADDR_ARG from, socklen_t *restrict len), (fd, from, len), WAIT_IN)
WRAP(int, accept4, (int fd, __SOCKADDR_ARG from, socklen_t *restrict len, int flags), (fd, from, len, flags), WAIT_IN)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), WAIT_OUT)
WRAP(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags), WAIT_OUT)

/* Interrupted, the connection goes on being made; called again, it waits for that. */
WRAP(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len),
     WAIT(SO_SNDTIMEO, POLLOUT, EINPROGRESS))

/* ---- transfers that are to be whole ---- */

/* After r of n bytes or messages: whether a stop may be why there are no more. If it is not, asking for the rest does
 * what the program would do next: it comes to the end of the file, or to an error, or would block. */
static bool cut_short(struct io_wait *w, ssize_t r, size_t n)
{
    return r > 0 && (size_t)r < n && wait_again_after(&w->wait, EINTR);
}

/* What was transferred counts, whatever came after it. */
static ssize_t end_of(struct io_wait *w, size_t done, ssize_t r)
{
    if (done > 0)
        w->wait.again = true;
    wait_end(&w->wait);
    return done > 0 ? (ssize_t)done : r;
}

/* On others a short message is all there is. */
static bool is_stream(int fd)
{
    int type = 0;
    socklen_t n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

/* `arguments` transfer from p + done, n - done bytes. */
#define WHOLE(name, parameters, arguments, wait_, whole)                                                               \
    static NO_SANITIZE ssize_t name##_whole parameters                                                                 \
    {                                                                                                                  \
        struct io_wait w = wait_;                                                                                      \
        size_t done = 0;                                                                                               \
        ssize_t r;                                                                                                     \
        bool more;                                                                                                     \
        do {                                                                                                           \
            do                                                                                                         \
                r = os_real_##name arguments;                                                                          \
            while (r < 0 && again(&w));                                                                                \
            more = cut_short(&w, r, n - done) && (whole);                                                              \
            done += r > 0 ? (size_t)r : 0;                                                                             \
        } while (more);                                                                                                \
        return end_of(&w, done, r);                                                                                    \
    }
#define ALL (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL &&is_stream(fd)

WHOLE(write, (int fd, const void *p, size_t n), (fd, (const char *)p + done, n - done), WAIT_OUT, true)
WHOLE(send, (int fd, const void *p, size_t n, int flags), (fd, (const char *)p + done, n - done, flags), WAIT_OUT, true)
WHOLE(sendto, (int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len),
      (fd, (const char *)p + done, n - done, flags, to, len), WAIT_OUT, true)
WHOLE(recv, (int fd, void *p, size_t n, int flags), (fd, (char *)p + done, n - done, flags), WAIT_IN, ALL)
WHOLE(recvfrom, (int fd, void *p, size_t n, int flags, __SOCKADDR_ARG from, socklen_t *len),
      (fd, (char *)p + done, n - done, flags, from, len), WAIT_IN, ALL)
WHOLE(__recv_chk, (int fd, void *p, size_t n, size_t bytes, int flags),
      (fd, (char *)p + done, n - done, bytes - done, flags), WAIT_IN, ALL)
WHOLE(__recvfrom_chk, (int fd, void *p, size_t n, size_t bytes, int flags, __SOCKADDR_ARG from, socklen_t *len),
      (fd, (char *)p + done, n - done, bytes - done, flags, from, len), WAIT_IN, ALL)

ssize_t OS_WRAPPED(write)(int fd, const void *p, size_t n) { return write_whole(fd, p, n); }
ssize_t OS_WRAPPED(send)(int fd, const void *p, size_t n, int flags) { return send_whole(fd, p, n, flags); }
ssize_t OS_WRAPPED(sendto)(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len)
{
    return sendto_whole(fd, p, n, flags, to, len);
}
ssize_t OS_WRAPPED(recv)(int fd, void *p, size_t n, int flags) { return recv_whole(fd, p, n, flags); }
ssize_t OS_WRAPPED(recvfrom)(int fd, void *restrict p, size_t n, int flags, __SOCKADDR_ARG from,
                             socklen_t *restrict len)
{
    return recvfrom_whole(fd, p, n, flags, from, len);
}
ssize_t OS_WRAPPED(__recv_chk)(int fd, void *p, size_t n, size_t bytes, int flags)
{
    return __recv_chk_whole(fd, p, n, bytes, flags);
}
ssize_t OS_WRAPPED(__recvfrom_chk)(int fd, void *restrict p, size_t n, size_t bytes, int flags, __SOCKADDR_ARG from,
                                   socklen_t *restrict len)
{
    return __recvfrom_chk_whole(fd, p, n, bytes, flags, from, len);
}

static size_t bytes_of(const struct iovec *v, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += v[i].iov_len;
    return bytes;
}

static ssize_t or_nothing(ssize_t r) { return r > 0 ? r : 0; }

static ssize_t writev_whole(int fd, const struct iovec *v, int n);

/* What is left of the vector after its first `done` bytes. */
static NO_SANITIZE ssize_t write_rest(int fd, const struct iovec *v, int n, size_t done)
{
    for (; n > 0 && done >= v->iov_len; v++, n--)
        done -= v->iov_len;
    if (n == 0)
        return 0;
    size_t left = v->iov_len - done;
    ssize_t r = or_nothing(write_whole(fd, (const char *)v->iov_base + done, left));
    return (size_t)r < left || n == 1 ? r : r + or_nothing(writev_whole(fd, v + 1, n - 1));
}

static NO_SANITIZE ssize_t writev_whole(int fd, const struct iovec *v, int n)
{
    struct io_wait w = WAIT_OUT;
    ssize_t r;
    do
        r = os_real_writev(fd, v, n);
    while (r < 0 && again(&w));
    if (r > 0 && wait_only_stopped(&w.wait) && (size_t)r < bytes_of(v, n))
        r += write_rest(fd, v, n, (size_t)r);
    return end_of(&w, (size_t)or_nothing(r), r);
}

ssize_t OS_WRAPPED(writev)(int fd, const struct iovec *v, int n) { return writev_whole(fd, v, n); }

/* The kernel keeps why it could not go on for the socket's next call, even when that is a stop: as an error with a
 * number that programs never see. It is taken away here. */
static bool messages_cut_short(struct io_wait *w, int r, unsigned n)
{
    enum { RESTART = 512 }; /* the kernel's ERESTARTSYS */
    int error = 0;
    socklen_t size = sizeof error;
    return r > 0 && (unsigned)r < n && wait_again_after(&w->wait, EINTR) &&
           getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && (error == RESTART || error == EINTR);
}

int OS_WRAPPED(recvmmsg)(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t)
{
    struct io_wait w = WAIT_IN;
    unsigned done = 0;
    int r;
    bool more;
    do {
        do
            r = os_real_recvmmsg(fd, m + done, n - done, flags, t);
        while (r < 0 && again(&w));
        more = messages_cut_short(&w, r, n - done);
        done += r > 0 ? (unsigned)r : 0;
    } while (more);
    return (int)end_of(&w, done, r);
}
