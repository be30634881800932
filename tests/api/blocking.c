/* blocking.c - system calls that wait, while another thread collects again and again: as if it did not. Holds
 * interrupts.never and .seen, and wrap_waits.time. */
#include "storm.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <threads.h>

enum { STOPS = 10, SHORT_MS = 50, LONG_S = 100 };
enum { MUCH = 1 << 20, STORMS = 20 }; /* bytes of one transfer, collections in its course */

#define MS_NS UINT64_C(1000000)

static char *lots, *much, *taken; /* MUCH each; as static data they would be most of what a collection reads */
static int in[2], pair[2], queue, sem, listener;
static struct sockaddr_un address;
static sem_t semaphore;
static mqd_t mq;
static _Atomic int sleeper;
static pid_t child;

static const struct timespec short_time = {0, SHORT_MS * 1000000}, long_time = {LONG_S, 0};

static struct timespec at(clockid_t clock, struct timespec after)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += after.tv_sec + (t.tv_nsec + after.tv_nsec) / 1000000000;
    t.tv_nsec = (t.tv_nsec + after.tv_nsec) % 1000000000;
    return t;
}

static void set_timeout(int fd, int option, struct timespec t)
{
    struct timeval v = {t.tv_sec, t.tv_nsec / 1000};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, option, &v, sizeof v), 0);
}

static int epoll_of(int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    ck_assert_int_ge(ep, 0);
    ck_assert_int_eq(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
    return ep;
}

static long closing(int fd, long r)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return r;
}

static void make_listener(void)
{
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "spangc-blocking-%d", (int)getpid());
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
}

static void make_mq(void)
{
    char name[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    snprintf(name, sizeof name, "/spangc-blocking-%d", (int)getpid());
    mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (mq != (mqd_t)-1)
        mq_unlink(name);
}

static void set_up(void)
{
    lots = calloc(1, MUCH);
    much = calloc(1, MUCH);
    taken = calloc(1, MUCH);
    ck_assert(lots && much && taken);
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(sem_init(&semaphore, 0, 0), 0);
    queue = msgget(IPC_PRIVATE, 0600);
    sem = semget(IPC_PRIVATE, 1, 0600);
    make_listener();
    make_mq();
}

static void tear_down(void)
{
    msgctl(queue, IPC_RMID, NULL);
    semctl(sem, 0, IPC_RMID);
}

/* ---- the calls. Each waits for what wake brings; `t` is NULL where there is no end to the wait. ---- */

typedef struct timespec ts;

static int ms_of(const ts *t) { return t ? (int)(t->tv_sec * 1000 + t->tv_nsec / 1000000) : -1; }

static void write_pipe(void) { ck_assert_int_eq(write(in[1], "x", 1), 1); }
static void write_pair(void) { ck_assert_int_eq(write(pair[1], "x", 1), 1); }
static void post(void) { sem_post(&semaphore); }
static void post_sysv(void) { ck_assert_int_eq(semop(sem, &(struct sembuf){0, 1, 0}, 1), 0); }
static void send_message(void) { ck_assert_int_eq(msgsnd(queue, &(long[2]){1, 2}, sizeof(long), 0), 0); }

static long do_nanosleep(const ts *t) { return nanosleep(t ? t : &long_time, NULL); }
static long do_clock_nanosleep(const ts *t)
{
    errno = clock_nanosleep(CLOCK_REALTIME, 0, t ? t : &long_time, NULL);
    return errno ? -1 : 0;
}
static long do_clock_nanosleep_until(const ts *t)
{
    ts until = at(CLOCK_MONOTONIC, t ? *t : long_time);
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return errno ? -1 : 0;
}
static long do_thrd_sleep(const ts *t)
{
    int r = thrd_sleep(t ? t : &long_time, NULL);
    errno = r ? EINTR : 0;
    return r;
}
static long do_usleep(const ts *t) { return usleep((useconds_t)(t ? t->tv_nsec / 1000 : 1000000000)); }
static long do_sleep(const ts *t)
{
    unsigned left = sleep(t ? 1 : LONG_S);
    errno = EINTR;
    return left ? -1 : 0;
}
static long do_pause(const ts *t)
{
    (void)t;
    return pause();
}

static struct pollfd pipe_fd(void) { return (struct pollfd){.fd = in[0], .events = POLLIN}; }
static long do_poll(const ts *t)
{
    struct pollfd p = pipe_fd();
    return poll(&p, 1, ms_of(t));
}
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t bytes);
static long do_poll_chk(const ts *t)
{
    struct pollfd p = pipe_fd();
    return __poll_chk(&p, 1, ms_of(t), sizeof p);
}
static long do_ppoll(const ts *t)
{
    struct pollfd p = pipe_fd();
    sigset_t none;
    sigemptyset(&none);
    return ppoll(&p, 1, t, &none);
}
static long do_select(const ts *t)
{
    fd_set s;
    struct timeval v = t ? (struct timeval){t->tv_sec, t->tv_nsec / 1000} : (struct timeval){0, 0};
    FD_ZERO(&s);
    FD_SET(in[0], &s);
    return select(in[0] + 1, &s, NULL, NULL, t ? &v : NULL);
}
static long do_pselect(const ts *t)
{
    fd_set s;
    FD_ZERO(&s);
    FD_SET(in[0], &s);
    return pselect(in[0] + 1, &s, NULL, NULL, t, NULL);
}
static long do_epoll_wait(const ts *t)
{
    struct epoll_event e;
    int ep = epoll_of(in[0]);
    return closing(ep, epoll_wait(ep, &e, 1, ms_of(t)));
}
static long do_epoll_pwait(const ts *t)
{
    struct epoll_event e;
    int ep = epoll_of(in[0]);
    return closing(ep, epoll_pwait(ep, &e, 1, ms_of(t), NULL));
}
static long do_epoll_pwait2(const ts *t)
{
    struct epoll_event e;
    int ep = epoll_of(in[0]);
    return closing(ep, epoll_pwait2(ep, &e, 1, t, NULL));
}

static long do_sem_wait(const ts *t)
{
    (void)t;
    return sem_wait(&semaphore);
}
static long do_sem_timedwait(const ts *t)
{
    ts until = at(CLOCK_REALTIME, t ? *t : long_time);
    return sem_timedwait(&semaphore, &until);
}
static long do_sem_clockwait(const ts *t)
{
    ts until = at(CLOCK_MONOTONIC, t ? *t : long_time);
    return sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until);
}
static long do_semop(const ts *t)
{
    (void)t;
    return semop(sem, &(struct sembuf){0, -1, 0}, 1);
}
static long do_semtimedop(const ts *t) { return semtimedop(sem, &(struct sembuf){0, -1, 0}, 1, t); }
static long do_msgrcv(const ts *t)
{
    (void)t;
    return msgrcv(queue, &(long[2]){0, 0}, sizeof(long), 0, 0);
}

static void fill_queue(void)
{
    char m[sizeof(long) + 4096] = {1};
    while (msgsnd(queue, m, 4096, IPC_NOWAIT) == 0)
        ;
}
static void drain_queue(void)
{
    char m[sizeof(long) + 4096];
    while (msgrcv(queue, m, 4096, 0, IPC_NOWAIT) >= 0)
        ;
}
static long do_msgsnd(const ts *t)
{
    char m[sizeof(long) + 4096] = {1};
    (void)t;
    return msgsnd(queue, m, 4096, 0);
}

static long do_recv(const ts *t)
{
    char c;
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return recv(pair[0], &c, 1, 0);
}
ssize_t __recv_chk(int fd, void *p, size_t n, size_t bytes, int flags);
static long do_recv_chk(const ts *t)
{
    char c;
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return __recv_chk(pair[0], &c, 1, 1, 0);
}
static long do_recvfrom(const ts *t)
{
    char c;
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return recvfrom(pair[0], &c, 1, 0, NULL, NULL);
}
static struct msghdr message_of(struct iovec *v) { return (struct msghdr){.msg_iov = v, .msg_iovlen = 1}; }
static long do_recvmsg(const ts *t)
{
    char c;
    struct iovec v = {&c, 1};
    struct msghdr m = message_of(&v);
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return recvmsg(pair[0], &m, 0);
}
static long do_recvmmsg(const ts *t)
{
    char c;
    struct iovec v = {&c, 1};
    struct mmsghdr m = {.msg_hdr = message_of(&v)};
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return recvmmsg(pair[0], &m, 1, 0, NULL);
}
static long do_accept(const ts *t)
{
    set_timeout(listener, SO_RCVTIMEO, t ? *t : long_time);
    int fd = accept(listener, NULL, NULL);
    return fd < 0 ? fd : closing(fd, 1);
}
static long do_accept4(const ts *t)
{
    set_timeout(listener, SO_RCVTIMEO, t ? *t : long_time);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? fd : closing(fd, 1);
}
static int connect_to(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}
static void connect_once(void) { close(connect_to()); }

/* A second connection waits until the first, and only, in the backlog was accepted. */
static void fill_backlog(void) { connect_once(); }
static void accept_all(void)
{
    int fd;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        close(fd);
    fcntl(listener, F_SETFL, 0);
}
static long do_connect(const ts *t)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    set_timeout(fd, SO_SNDTIMEO, t ? *t : long_time);
    return closing(fd, connect(fd, (struct sockaddr *)&address, sizeof address));
}

static void fill_pair(void)
{
    while (send(pair[0], lots, 1000, MSG_DONTWAIT) > 0)
        ;
}
static void drain_pair(void)
{
    while (recv(pair[1], lots, MUCH, MSG_DONTWAIT) > 0)
        ;
}
static long do_send(const ts *t)
{
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return send(pair[0], "x", 1, 0);
}
static long do_sendto(const ts *t)
{
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return sendto(pair[0], "x", 1, 0, NULL, 0);
}
static long do_sendmsg(const ts *t)
{
    struct iovec v = {lots, 1};
    struct msghdr m = message_of(&v);
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return sendmsg(pair[0], &m, 0);
}
static long do_sendmmsg(const ts *t)
{
    struct iovec v = {lots, 1};
    struct mmsghdr m = {.msg_hdr = message_of(&v)};
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return sendmmsg(pair[0], &m, 1, 0);
}

static void send_usr2(void) { syscall(SYS_tgkill, getpid(), sleeper, SIGUSR2); }
static sigset_t usr2(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    return s;
}
static long do_sigtimedwait(const ts *t)
{
    sigset_t s = usr2();
    return sigtimedwait(&s, NULL, t ? t : &long_time);
}
static long do_sigwaitinfo(const ts *t)
{
    sigset_t s = usr2();
    (void)t;
    return sigwaitinfo(&s, NULL);
}
/* A set of all signals, as a thread that handles them for all others has it, names the stop signal too. */
static long do_sigwait_all(const ts *t)
{
    sigset_t s;
    int sig = 0;
    (void)t;
    usr2();
    sigfillset(&s);
    errno = sigwait(&s, &sig);
    return errno ? -1 : sig;
}
static long do_signalfd_all(const ts *t)
{
    struct signalfd_siginfo info;
    sigset_t s;
    (void)t;
    usr2();
    sigfillset(&s);
    int fd = signalfd(-1, &s, SFD_CLOEXEC);
    ssize_t n = read(fd, &info, sizeof info);
    return closing(fd, n == sizeof info ? (long)info.ssi_signo : -1);
}

/* ---- calls that would be cut short: more than fits, and the other end takes it when it is woken ---- */

static void read_all_of(int fd)
{
    size_t n = 0, last = 0, each = MUCH / (size_t)share_of(STORMS);
    ssize_t r;
    while (n < MUCH && (r = read(fd, taken + n, 5000)) > 0) {
        n += (size_t)r;
        if (n - last >= each) {
            last = n;
            storm_pass(0);
        }
    }
    ck_assert_uint_eq(n, MUCH);
    ck_assert_int_eq(memcmp(much, taken, MUCH), 0);
}
static void prepare_much(void)
{
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)(i * 7 + i / 1000);
}
static void take_from_pipe(void) { read_all_of(in[0]); }
static void take_from_pair(void) { read_all_of(pair[1]); }
static long do_write_much(const ts *t)
{
    (void)t;
    return write(in[1], much, MUCH);
}
static long do_writev_much(const ts *t)
{
    struct iovec v[5] = {{much, 100000}, {much, 0}, {much + 100000, 1}, {much + 100001, 500000}, {0}};
    v[4] = (struct iovec){much + 600001, MUCH - 600001};
    (void)t;
    return writev(in[1], v, 5);
}
static long do_send_much(const ts *t)
{
    (void)t;
    return send(pair[0], much, MUCH, 0);
}
static long do_sendto_much(const ts *t)
{
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return sendto(pair[0], much, MUCH, 0, NULL, 0);
}
static void give_pieces(void)
{
    for (size_t n = 0; n < MUCH; n += MUCH / 8) {
        ck_assert_int_eq(write(pair[1], much + n, MUCH / 8), MUCH / 8);
        storm_pass(1);
    }
}
static long all_taken(long r)
{
    if (r == MUCH && memcmp(much, taken, MUCH) != 0)
        ck_abort_msg("what came is not what was sent");
    return r;
}
static long do_recv_all(const ts *t)
{
    (void)t;
    return all_taken(recv(pair[0], taken, MUCH, MSG_WAITALL));
}
static long do_recvfrom_all(const ts *t)
{
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return all_taken(recvfrom(pair[0], taken, MUCH, MSG_WAITALL, NULL, NULL));
}
static void make_datagrams(void)
{
    close(pair[0]);
    close(pair[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    write_pair();
}
/* And the kernel's note of why the second did not come is not seen by the next call. */
static long do_recvmmsg_two(const ts *t)
{
    char c[2];
    struct iovec v[2] = {{&c[0], 1}, {&c[1], 1}};
    struct mmsghdr m[2] = {{.msg_hdr = message_of(&v[0])}, {.msg_hdr = message_of(&v[1])}};
    (void)t;
    long r = recvmmsg(pair[0], m, 2, 0, NULL);
    if (recv(pair[0], c, 1, MSG_DONTWAIT) != -1 || errno != EAGAIN)
        ck_abort_msg("the next call failed with %s", strerror(errno));
    return r;
}
/* A datagram is what it is, whatever is asked for. */
static void write_datagrams(void)
{
    write_pair();
    write_pair();
}
static void make_empty_datagrams(void)
{
    make_datagrams();
    ck_assert_int_eq(read(pair[0], lots, 10), 1);
}
static long do_recv_datagram(const ts *t)
{
    (void)t;
    return recv(pair[0], taken, MUCH, MSG_WAITALL);
}

/* ---- calls that the kernel restarts ---- */

static long do_read(const ts *t)
{
    char c;
    (void)t;
    return read(in[0], &c, 1);
}
static void fill_pipe(void)
{
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    while (write(in[1], lots, 4096) > 0)
        ;
    fcntl(in[1], F_SETFL, 0);
}
static void drain_pipe(void)
{
    fcntl(in[0], F_SETFL, O_NONBLOCK);
    while (read(in[0], lots, MUCH) > 0)
        ;
    fcntl(in[0], F_SETFL, 0);
}
static long do_write(const ts *t)
{
    (void)t;
    return write(in[1], "x", 1);
}
static long do_read_timed(const ts *t)
{
    char c;
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return read(pair[0], &c, 1);
}
static long do_readv_timed(const ts *t)
{
    char c;
    struct iovec v = {&c, 1};
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return readv(pair[0], &v, 1);
}
ssize_t __read_chk(int fd, void *p, size_t n, size_t bytes);
static long do_read_chk(const ts *t)
{
    char c;
    set_timeout(pair[0], SO_RCVTIMEO, t ? *t : long_time);
    return __read_chk(pair[0], &c, 1, 1);
}
static long do_write_timed(const ts *t)
{
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return write(pair[0], "x", 1);
}
static long do_writev_timed(const ts *t)
{
    struct iovec v = {lots, 1};
    set_timeout(pair[0], SO_SNDTIMEO, t ? *t : long_time);
    return writev(pair[0], &v, 1);
}
static long do_recv_untimed(const ts *t)
{
    char c;
    (void)t;
    set_timeout(pair[0], SO_RCVTIMEO, (ts){0, 0});
    return recv(pair[0], &c, 1, 0);
}
static void start_child(void)
{
    fflush(NULL);
    child = fork();
    if (child == 0) {
        char c;
        _exit(read(in[0], &c, 1) == 1 ? 0 : 1);
    }
}
static long do_waitpid(const ts *t)
{
    (void)t;
    return waitpid(child, NULL, 0) == child ? 1 : -1;
}
static int lock_file;
static void take_flock(void)
{
    char name[] = "/tmp/spangc-blocking-XXXXXX";
    lock_file = mkstemp(name);
    int again = open(name, O_RDWR);
    unlink(name);
    ck_assert_int_eq(flock(again, LOCK_EX), 0);
    in[1] = again; /* closing it lets the other go on */
}
static void drop_flock(void) { close(in[1]); }
static long do_flock(const ts *t)
{
    (void)t;
    return flock(lock_file, LOCK_EX);
}
static long do_mq_receive(const ts *t)
{
    char m[8];
    ts until = at(CLOCK_REALTIME, t ? *t : long_time);
    return mq_timedreceive(mq, m, sizeof m, NULL, &until);
}
static void send_mq(void) { ck_assert_int_eq(mq_send(mq, "x", 1, 0), 0); }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool told;
static void tell(void)
{
    pthread_mutex_lock(&mutex);
    told = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}
static long do_cond_timedwait(const ts *t)
{
    ts until = at(CLOCK_REALTIME, t ? *t : long_time);
    int e = 0;
    pthread_mutex_lock(&mutex);
    while (!told && e == 0)
        e = pthread_cond_timedwait(&cond, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    errno = e;
    return e ? -1 : 1;
}

/* The kernel does it after a handler with SA_RESTART; no handler ends it; a handler leaves it half done. */
enum { RESTARTS = 1, NEVER_FAILS = 2, IN_PARTS = 4 };

static const struct call {
    const char *name;
    long (*wait)(const ts *t);
    void (*prepare)(void);
    void (*wake)(void); /* NULL: only time ends it */
    long woken;         /* the result then */
    long late_result;   /* the result when the time is over; 1: it has none to give */
    int late_errno;
    unsigned flags;
} calls[] = {
    {"nanosleep", do_nanosleep, NULL, NULL, 0, 0, 0, 0},
    {"clock_nanosleep", do_clock_nanosleep, NULL, NULL, 0, 0, 0, 0},
    {"clock_nanosleep until", do_clock_nanosleep_until, NULL, NULL, 0, 0, 0, 0},
    {"thrd_sleep", do_thrd_sleep, NULL, NULL, 0, 0, 0, 0},
    {"usleep", do_usleep, NULL, NULL, 0, 0, 0, 0},
    {"sleep", do_sleep, NULL, NULL, 0, 0, 0, 0},
    {"pause", do_pause, NULL, NULL, 0, 1, 0, 0},
    {"poll", do_poll, NULL, write_pipe, 1, 0, 0, 0},
    {"__poll_chk", do_poll_chk, NULL, write_pipe, 1, 0, 0, 0},
    {"ppoll", do_ppoll, NULL, write_pipe, 1, 0, 0, 0},
    {"select", do_select, NULL, write_pipe, 1, 0, 0, 0},
    {"pselect", do_pselect, NULL, write_pipe, 1, 0, 0, 0},
    {"epoll_wait", do_epoll_wait, NULL, write_pipe, 1, 0, 0, 0},
    {"epoll_pwait", do_epoll_pwait, NULL, write_pipe, 1, 0, 0, 0},
    {"epoll_pwait2", do_epoll_pwait2, NULL, write_pipe, 1, 0, 0, 0},
    {"sem_timedwait", do_sem_timedwait, NULL, post, 0, -1, ETIMEDOUT, 0},
    {"sem_clockwait", do_sem_clockwait, NULL, post, 0, -1, ETIMEDOUT, 0},
    {"semop", do_semop, NULL, post_sysv, 0, 1, 0, 0},
    {"semtimedop", do_semtimedop, NULL, post_sysv, 0, -1, EAGAIN, 0},
    {"msgrcv", do_msgrcv, NULL, send_message, sizeof(long), 1, 0, 0},
    {"msgsnd", do_msgsnd, fill_queue, drain_queue, 0, 1, 0, 0},
    {"recv", do_recv, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"__recv_chk", do_recv_chk, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"recvfrom", do_recvfrom, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"recvmsg", do_recvmsg, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"recvmmsg", do_recvmmsg, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"accept", do_accept, NULL, connect_once, 1, -1, EAGAIN, 0},
    {"accept4", do_accept4, NULL, connect_once, 1, -1, EAGAIN, 0},
    {"connect", do_connect, fill_backlog, accept_all, 0, -1, EAGAIN, 0},
    {"send", do_send, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"sendto", do_sendto, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"sendmsg", do_sendmsg, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"sendmmsg", do_sendmmsg, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"sigtimedwait", do_sigtimedwait, NULL, send_usr2, SIGUSR2, -1, EAGAIN, 0},
    {"sigwaitinfo", do_sigwaitinfo, NULL, send_usr2, SIGUSR2, 1, 0, 0},
    {"sigwait", do_sigwait_all, NULL, send_usr2, SIGUSR2, 1, 0, NEVER_FAILS},
    {"signalfd", do_signalfd_all, NULL, send_usr2, SIGUSR2, 1, 0, NEVER_FAILS},
    {"read with a timeout", do_read_timed, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"readv with a timeout", do_readv_timed, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"__read_chk with a timeout", do_read_chk, NULL, write_pair, 1, -1, EAGAIN, 0},
    {"write with a timeout", do_write_timed, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"writev with a timeout", do_writev_timed, fill_pair, drain_pair, 1, -1, EAGAIN, 0},
    {"write of much", do_write_much, prepare_much, take_from_pipe, MUCH, 1, 0, IN_PARTS},
    {"writev of much", do_writev_much, prepare_much, take_from_pipe, MUCH, 1, 0, IN_PARTS},
    {"send of much", do_send_much, prepare_much, take_from_pair, MUCH, 1, 0, IN_PARTS},
    {"sendto of much", do_sendto_much, prepare_much, take_from_pair, MUCH, 1, 0, IN_PARTS},
    {"recv of all", do_recv_all, prepare_much, give_pieces, MUCH, 1, 0, IN_PARTS},
    {"recvfrom of all", do_recvfrom_all, prepare_much, give_pieces, MUCH, 1, 0, IN_PARTS},
    {"recvmmsg of two", do_recvmmsg_two, make_datagrams, write_pair, 2, 1, 0, IN_PARTS},
    {"recv of a datagram", do_recv_datagram, make_empty_datagrams, write_datagrams, 1, 1, 0, IN_PARTS},
    {"sem_wait", do_sem_wait, NULL, post, 0, 1, 0, RESTARTS},
    {"read", do_read, NULL, write_pipe, 1, 1, 0, RESTARTS},
    {"write", do_write, fill_pipe, drain_pipe, 1, 1, 0, RESTARTS},
    {"recv without a timeout", do_recv_untimed, NULL, write_pair, 1, 1, 0, RESTARTS},
    {"waitpid", do_waitpid, start_child, write_pipe, 1, 1, 0, RESTARTS},
    {"flock", do_flock, take_flock, drop_flock, 0, 1, 0, RESTARTS},
    {"mq_timedreceive", do_mq_receive, NULL, send_mq, 1, -1, ETIMEDOUT, RESTARTS},
    {"pthread_cond_timedwait", do_cond_timedwait, NULL, tell, 1, -1, ETIMEDOUT, NEVER_FAILS},
};

enum { CALLS = sizeof calls / sizeof *calls };

static bool can_be_made(const struct call *c) { return c->wait != do_mq_receive || mq != (mqd_t)-1; }

/* ---- one call in a thread of its own ---- */

struct run {
    const struct call *call;
    const ts *t;
    long result;
    int error;
    uint64_t took;
    void *kept;
};

static void *make_call(void *arg)
{
    struct run *r = arg;
    r->kept = make_filled(64, 7);
    uint64_t start = now_ns();
    sleeper = own_tid();
    errno = 0;
    r->result = r->call->wait(r->t);
    r->error = errno;
    r->took = now_ns() - start;
    check_live(r->kept, 64, 7);
    return NULL;
}

static pthread_t begin(struct run *r, const struct call *c, const ts *t)
{
    pthread_t id;
    *r = (struct run){.call = c, .t = t};
    sleeper = 0;
    if (c->prepare)
        c->prepare();
    ck_assert_int_eq(pthread_create(&id, NULL, make_call, r), 0);
    return id;
}

static void must_return(const struct run *r, long result, int error)
{
    if (r->result != result || (result < 0 && r->error != error))
        ck_abort_msg("%s gave %ld (%s), not %ld (%s)", r->call->name, r->result, strerror(r->error), result,
                     result < 0 ? strerror(error) : "");
}

/* Woken by what it waits for, after many stops. */
START_TEST(is_woken)
{
    const struct call *c = &calls[_i];
    struct run r;
    set_up();
    if (c->wake && can_be_made(c)) {
        pthread_t waiter = begin(&r, c, NULL);
        wait_until_asleep(&sleeper);
        pthread_t storm = storm_begin();
        storm_pass((uint32_t)share_of(STOPS));
        c->wake();
        pthread_join(waiter, NULL);
        storm_end(storm);
        must_return(&r, c->woken, 0);
    }
    tear_down();
}
END_TEST

/* Its time runs out, neither early nor never, while the world is stopped all the time. */
START_TEST(ends_in_time)
{
    const struct call *c = &calls[_i];
    struct run r;
    set_up();
    if (c->late_result <= 0 && can_be_made(c)) {
        pthread_t storm = storm_begin();
        storm_pass(1);
        pthread_join(begin(&r, c, &short_time), NULL);
        storm_end(storm);
        must_return(&r, c->late_result, c->late_errno);
        if (r.took < SHORT_MS * MS_NS)
            ck_abort_msg("%s returned after %lu us", c->name, (unsigned long)(r.took / 1000));
    }
    tear_down();
}
END_TEST

/* ---- a handler of the program in it ---- */

static _Atomic int handled;
static _Atomic bool armed;

static void on_usr1(int sig)
{
    (void)sig;
    handled++;
}

static void install(int flags)
{
    struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
}

/* The world is stopped, the waiter too: the program's signal reaches it after the stop's. */
static void on_event(const struct gc_event *e, void *arg)
{
    (void)arg;
    if (e->kind == GC_SPAN_EVENT_STOPPED && armed) {
        armed = false;
        syscall(SYS_tgkill, getpid(), sleeper, SIGUSR1);
    }
}

/* On another CPU than x86-64 it is not known that the kernel is about to restart a call. */
#ifdef __x86_64__
enum { KNOWS_RESTARTS = 1 };
#else
enum { KNOWS_RESTARTS = 0 };
#endif

START_TEST(sees_a_handler)
{
    const struct call *c = &calls[_i];
    struct run r;
    set_up();
    if (!(c->flags & (NEVER_FAILS | IN_PARTS)) && (KNOWS_RESTARTS || !(c->flags & RESTARTS)) && can_be_made(c)) {
        install(0);
        gc_set_event_handler(on_event, NULL);
        pthread_t waiter = begin(&r, c, NULL);
        wait_until_asleep(&sleeper);
        gc_collect(); /* once without: it sleeps again */
        wait_until_asleep(&sleeper);
        armed = true;
        gc_collect();
        pthread_join(waiter, NULL);
        must_return(&r, -1, EINTR);
        ck_assert_int_eq(handled, 1);
    }
    tear_down();
}
END_TEST

/* With SA_RESTART, the kernel's to restart are restarted, the others are not. */
START_TEST(sees_a_restarting_handler)
{
    const struct call *c = &calls[_i];
    struct run r;
    set_up();
    if (!(c->flags & (NEVER_FAILS | IN_PARTS)) && can_be_made(c)) {
        install(SA_RESTART);
        gc_set_event_handler(on_event, NULL);
        pthread_t waiter = begin(&r, c, NULL);
        wait_until_asleep(&sleeper);
        armed = true;
        gc_collect();
        if (c->flags & RESTARTS) {
            while (handled == 0)
                sched_yield();
            wait_until_asleep(&sleeper);
            c->wake();
        }
        pthread_join(waiter, NULL);
        if (c->flags & RESTARTS)
            must_return(&r, c->woken, 0);
        else
            must_return(&r, -1, EINTR);
        ck_assert_int_eq(handled, 1);
    }
    tear_down();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, is_woken, 0, CALLS);
    tcase_add_loop_test(tc, ends_in_time, 0, CALLS);
    tcase_add_loop_test(tc, sees_a_handler, 0, CALLS);
    tcase_add_loop_test(tc, sees_a_restarting_handler, 0, CALLS);
}

CHECK_MAIN("api/blocking", tests)
