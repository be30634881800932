/* report.c - lines on standard error. It is replaced by a socket that keeps writes apart, so that each can be counted. */
#include "../check_main.h"

#include "base/report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = 512 };

static int read_end;

static void setup(void)
{
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
    ck_assert_int_eq(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
    close(fd[1]);
    read_end = fd[0];
}

/* What the next write(2) on standard error was; "" when there was none. */
static const char *next_write(void)
{
    static char text[4096];
    ssize_t n = recv(read_end, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* .oneline */
START_TEST(line)
{
    errno = E2BIG;
    report_line("%d bytes of %s", 42, "gold");
    ck_assert_int_eq(errno, E2BIG);
    ck_assert_str_eq(next_write(), "spangc: 42 bytes of gold\n");
    ck_assert_str_eq(next_write(), "");
    report_line("%s", "");
    ck_assert_str_eq(next_write(), "spangc: \n");
    report_line("%s", "two\nlines and a \x1b");
    ck_assert_str_eq(next_write(), "spangc: two?lines and a ?\n");
}
END_TEST

/* .oneline: whatever the length, one write of at most LINE bytes, the front of the text, a newline at its end alone. */
START_TEST(long_line)
{
    static char text[2000];
    for (size_t n = LINE - 20; n < LINE + 20; n++) {
        memset(text, 'a', n);
        text[n] = 0;
        report_line("%s", text);
        const char *got = next_write();
        size_t len = strlen(got), want = n + strlen("spangc: \n");
        if (len > LINE || (len < want && len < LINE - 2) || strchr(got, '\n') != got + len - 1)
            ck_abort_msg("%zu characters made a line of %zu", n, len);
        ck_assert_int_eq(strncmp(got + 8, text, len - 9), 0);
        ck_assert_str_eq(next_write(), "");
    }
}
END_TEST

START_TEST(text_as_it_is)
{
    errno = ERANGE;
    report_text("a\nb", 3);
    report_text("c", 0);
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_str_eq(next_write(), "a\nb");
    ck_assert_str_eq(next_write(), "");
}
END_TEST

/* A standard error that nobody reads is no reason to fail or to hang. */
START_TEST(closed)
{
    errno = ERANGE;
    close(STDERR_FILENO);
    report_line("nobody reads this");
    report_text("nor this", 8);
    report_warn("nor this");
    ck_assert_int_eq(errno, ERANGE);
}
END_TEST

static char told[1000];
static void remember(const char *message) { strcpy(told, message); }

START_TEST(warn)
{
    ck_assert(report_get_warn() == NULL);
    report_warn("number %d", 1);
    ck_assert_str_eq(next_write(), "spangc: number 1\n");
    ck_assert(report_set_warn(remember) == NULL);
    ck_assert(report_get_warn() == remember);
    report_warn("number %d", 2);
    ck_assert_str_eq(told, "number 2");
    ck_assert_str_eq(next_write(), "");
    ck_assert(report_set_warn(NULL) == remember);
    report_warn("number %d", 3);
    ck_assert_str_eq(told, "number 2");
    ck_assert_str_eq(next_write(), "spangc: number 3\n");
}
END_TEST

START_TEST(long_warning)
{
    static char text[2000];
    memset(text, 'w', sizeof text - 1);
    report_set_warn(remember);
    report_warn("%s", text);
    ck_assert_uint_lt(strlen(told), LINE);
    ck_assert_uint_ge(strlen(told), LINE - 20);
}
END_TEST

START_TEST(fatal)
{
    pid_t child = fork();
    if (child == 0)
        report_fatal("all is %s", "lost");
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_str_eq(next_write(), "spangc: all is lost\n");
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, line);
    tcase_add_test(tc, long_line);
    tcase_add_test(tc, text_as_it_is);
    tcase_add_test(tc, closed);
    tcase_add_test(tc, warn);
    tcase_add_test(tc, long_warning);
    tcase_add_test(tc, fatal);
}
CHECK_MAIN("unit/report", tests)
