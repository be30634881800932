/* spawned.c - other processes are made while threads collect and allocate: posix_spawn, vfork and exec, system, popen,
 * daemon, fork 1,000 times, and exec. All of them work, no collection is given up, and nothing is lost. Holds fork.whole,
 * cycle.forkable, stop.all. */
#include "helpers.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>

enum { HELD = 300, SIZE = 64, LIMIT_SECONDS = 250 };

extern char **environ;

static _Atomic bool enough;
static _Atomic int warnings;
static pthread_t others[2];

static void count_warning(const char *message)
{
    dprintf(STDERR_FILENO, "%s\n", message);
    warnings++;
}

static void *collect(void *unused)
{
    while (!enough)
        gc_collect();
    return unused;
}

static void *allocate(void *unused)
{
    for (size_t i = 0; !enough; i++) {
        size_t size = 16 + i * 41 % 3000;
        void *p = make_filled(size, i);
        churn(48, 50);
        check_filled(p, size, i);
    }
    return unused;
}

static void start_others(void)
{
    alarm(LIMIT_SECONDS);
    gc_set_warn_handler(count_warning);
    enough = false;
    if (pthread_create(&others[0], NULL, collect, NULL) != 0 || pthread_create(&others[1], NULL, allocate, NULL) != 0)
        ck_abort_msg("no thread");
}

static void join_others(void)
{
    enough = true;
    pthread_join(others[0], NULL);
    pthread_join(others[1], NULL);
    ck_assert_int_eq(warnings, 0);
}

static NOINLINE void build(void **held)
{
    for (size_t i = 0; i < HELD; i++)
        held[i] = make_filled(SIZE, i);
}

static NOINLINE void check_held(void *const *held)
{
    for (size_t i = 0; i < HELD; i++)
        check_filled(held[i], SIZE, i);
}

static int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *const exit_7[] = {(char *)"sh", (char *)"-c", (char *)"exit 7", NULL};

static void spawn_one(void)
{
    pid_t pid;
    ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", NULL, NULL, exit_7, environ), 0);
    ck_assert_int_eq(status_of(pid), 7);
}

static void vfork_one(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/bin/sh", exit_7);
        _exit(9);
    }
    ck_assert_int_eq(status_of(pid), 7);
}

static void system_one(void)
{
    int status = system("exit 7");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void popen_one(void)
{
    char line[100] = "";
    FILE *f = popen("echo a line; exit 7", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "a line\n");
    int status = pclose(f);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void (*const ways[])(void) = {spawn_one, vfork_one, system_one, popen_one};
enum { WAYS = sizeof ways / sizeof *ways };

START_TEST(programs)
{
    enum { TIMES = 60 };
    void *held[HELD];
    build(held);
    start_others();
    for (int i = 0; i < TIMES; i++) {
        ways[_i]();
        churn(SIZE, 200);
        check_held(held);
    }
    join_others();
}
END_TEST

/* ---- daemon: the program goes on in a child, with this thread alone ---- */

static void become_daemon(void *answer)
{
    void *held[HELD];
    build(held);
    start_others();
    if (daemon(1, 1) != 0)
        _exit(3);
    enough = true;
    start_others();
    for (int i = 0; i < 20; i++) {
        churn(SIZE, 1000);
        gc_collect();
        check_held(held);
    }
    join_others();
    (void)!write(*(int *)answer, "fine", 4);
}

START_TEST(a_daemon)
{
    struct outcome o;
    int answer[2];
    char text[5] = "";
    if (sanitizer_is("address"))
        return; /* the new threads' stacks: see forked.c */
    ck_assert_int_eq(pipe(answer), 0);
    run_child(become_daemon, &answer[1], &o);
    must_exit_0(&o);
    close(answer[1]);
    ck_assert_int_eq(read(answer[0], text, 4), 4);
    ck_assert_str_eq(text, "fine");
}
END_TEST

/* ---- fork, 1,000 times in all ---- */

enum { PARTS = 10, FORKS = 100 };

static void use_heap(void *held)
{
    gc_collect();
    churn(SIZE, 500);
    check_held(held);
    launder(gc_malloc(100000));
    gc_collect();
    check_held(held);
}

START_TEST(forks)
{
    void *held[HELD];
    build(held);
    start_others();
    for (int i = 0; i < share_of(FORKS); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(LIMIT_SECONDS);
            use_heap(held);
            _exit(7);
        }
        ck_assert_int_eq(status_of(pid), 7);
        check_held(held);
    }
    join_others();
}
END_TEST

/* ---- a process replaces itself while its other threads collect ---- */

enum { EXECS = 20, EXEC_WAYS = 9 };

static char *const exit_code[] = {(char *)"sh", (char *)"-c", (char *)"exit $CODE", NULL};
static char *const with_code[] = {(char *)"CODE=7", (char *)"PATH=/bin:/usr/bin", NULL};

static void replace_self(int way)
{
    int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    putenv((char *)"CODE=7");
    switch (way) {
    case 0:
        execl("/bin/sh", "sh", "-c", "exit $CODE", (char *)NULL);
        break;
    case 1:
        execle("/bin/sh", "sh", "-c", "exit $CODE", (char *)NULL, with_code);
        break;
    case 2:
        execlp("sh", "sh", "-c", "exit $CODE", (char *)NULL);
        break;
    case 3:
        execv("/bin/sh", exit_code);
        break;
    case 4:
        execve("/bin/sh", exit_code, with_code);
        break;
    case 5:
        execvp("sh", exit_code);
        break;
    case 6:
        execvpe("sh", exit_code, with_code);
        break;
    case 7:
        fexecve(fd, exit_code, with_code);
        break;
    default:
        execveat(fd, "", exit_code, with_code, AT_EMPTY_PATH);
    }
}

START_TEST(replaced)
{
    for (int i = 0; i < EXECS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(LIMIT_SECONDS);
            start_others();
            usleep(1000 + (unsigned)i * 137);
            replace_self(_i);
            _exit(1);
        }
        ck_assert_int_eq(status_of(pid), 7);
    }
}
END_TEST

/* One that fails leaves all as it was. */
START_TEST(not_replaced)
{
    void *held[HELD];
    sigset_t before, after;
    build(held);
    start_others();
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (int i = 0; i < 200; i++) {
        errno = 0;
        ck_assert_int_eq(i % 2 ? execl("/no such", "no", (char *)NULL) : execvp("no such", exit_code), -1);
        ck_assert_int_eq(errno, ENOENT);
        churn(SIZE, 10);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_mem_eq(&before, &after, 8);
    gc_collect();
    join_others();
    check_held(held);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, replaced, 0, EXEC_WAYS);
    tcase_add_test(tc, not_replaced);
    tcase_add_loop_test(tc, programs, 0, WAYS);
    tcase_add_test(tc, a_daemon);
    tcase_add_loop_test(tc, forks, 0, PARTS);
}
CHECK_MAIN("api/spawned", tests)
