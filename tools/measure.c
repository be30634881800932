/* measure.c - runs a command and writes down what it took: "wall-seconds cpu-seconds peak-RSS-KiB" in one line.
 *
 * Usage: measure -o FILE COMMAND [ARG...]
 *
 * Exits as the command does (128 + signal if one killed it), 127 when it cannot be run. The CPU time is user and system
 * time of all its threads. The peak includes what the command's own children held, if it waited for any. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
    exit(127);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

static int run(char **command, struct rusage *usage)
{
    int status;
    pid_t got, pid = fork();

    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        execvp(command[0], command);
        fail(command[0]);
    }
    do
        got = wait4(pid, &status, 0, usage);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        fail("wait4");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    const char *name = NULL;
    struct rusage usage;
    double start, wall;
    FILE *out;
    int option, status;

    while ((option = getopt(argc, argv, "+o:")) == 'o')
        name = optarg;
    if (option != -1 || !name || optind == argc) {
        fputs("usage: measure -o FILE COMMAND [ARG...]\n", stderr);
        return 127;
    }
    start = now();
    status = run(argv + optind, &usage);
    wall = now() - start;
    out = fopen(name, "w");
    if (!out)
        fail(name);
    fprintf(out, "%.3f %.3f %ld\n", wall, seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
    if (fclose(out) != 0)
        fail(name);
    return status;
}
