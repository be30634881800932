/* helpers.h - what the tests of the public interface share: filled objects, hidden pointers, churn, children whose
 * standard error is read. */
#ifndef API_HELPERS_H
#define API_HELPERS_H

#include "../check_main.h"
#include "../share.h"

#include <errno.h>
#include <sched.h>
#include <spangc.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, unused))

/* The compiler forgets what it knows about p: two results of a malloc-like function could not be compared else. */
static inline void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* A pointer that no scan takes for one. */
static inline uintptr_t hide(const void *p) { return ~(uintptr_t)p; }
static inline void *reveal(uintptr_t hidden) { return (void *)~hidden; }

static NOINLINE struct gc_memstats *read_stats(struct gc_memstats *st)
{
    gc_read_memstats(st);
    return st;
}

static inline uint64_t heap_objects(void) { return read_stats(&(struct gc_memstats){0})->heap_objects; }

/* Bytes of the process in memory. */
static NOINLINE uint64_t resident(void)
{
    unsigned long pages;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        ck_abort_msg("/proc/self/statm cannot be read");
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static inline bool checks_full(void) { return strstr(gc_features(), "checks=full") != NULL; }

static inline bool sanitizer_is(const char *name)
{
    const char *s = getenv("SANITIZER");
    return s && strstr(s, name);
}

/* Every byte is at least 0x80, so no word of it is an address in user space. */
static inline unsigned char pattern(size_t i, size_t k) { return (unsigned char)(0x80 | ((i * 31 + k) & 0x7f)); }

static NOINLINE void fill(void *p, size_t size, size_t i)
{
    unsigned char *b = p;
    for (size_t k = 0; k < size; k++)
        b[k] = pattern(i, k);
}

static NOINLINE void check_filled(const void *p, size_t size, size_t i)
{
    const unsigned char *b = p;
    for (size_t k = 0; k < size; k++)
        if (b[k] != pattern(i, k))
            ck_abort_msg("object %zu at %p: byte %zu of %zu is %#x, not %#x", i, p, k, size, b[k], pattern(i, k));
}

/* The same of an object that must be live: a lost one may still be intact when its pages have no new tenant yet. */
static NOINLINE void check_live(const void *p, size_t size, size_t i)
{
    if (gc_base(p) != p)
        ck_abort_msg("object %zu at %p was lost", i, p);
    check_filled(p, size, i);
}

static NOINLINE void *make_filled(size_t size, size_t i)
{
    void *p = gc_malloc(size);
    if (!p)
        ck_abort_msg("gc_malloc(%zu) failed", size);
    fill(p, size, i);
    return p;
}

static NOINLINE void check_zero(const void *p, size_t size)
{
    const unsigned char *b = p;
    for (size_t k = 0; k < size; k++)
        if (b[k])
            ck_abort_msg("byte %zu of %zu at %p is %#x, not 0", k, size, p, b[k]);
}

/* Collect without what dead frames below left. */
static NOINLINE void settle(void)
{
    gc_clear_stack(64 * 1024);
    gc_collect();
}

/* Allocate and dirty enough objects of a size that every slot that came free is handed out again. */
static NOINLINE void churn(size_t size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *p = launder(gc_malloc(size)); /* or the compiler drops the stores */
        if (!p)
            ck_abort_msg("gc_malloc(%zu) failed", size);
        memset(p, 0xee, size);
    }
}

/* A child process: how it ended and what it wrote to standard error. */
struct outcome {
    int status;
    size_t n;
    char text[8192];
};

static inline void read_all(int fd, struct outcome *o)
{
    ssize_t n;
    o->n = 0;
    while ((n = read(fd, o->text + o->n, sizeof o->text - 1 - o->n)) != 0)
        if (n > 0)
            o->n += (size_t)n;
        else if (errno != EINTR)
            break;
    o->text[o->n] = 0;
}

/* Runs fn(arg) in a child, which exits with 0 when fn returns. The alarm only ends a child that hangs. Between the fork
 * and fn the child asserts nothing: another thread may have been inside an assertion, and Check's lock is then held in
 * the child for ever. */
static inline void run_child(void (*fn)(void *), void *arg, struct outcome *o)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(120);
        close(fds[0]);
        dup2(fds[1], STDERR_FILENO);
        close(fds[1]);
        fn(arg);
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    close(fds[1]);
    read_all(fds[0], o);
    close(fds[0]);
    while (waitpid(pid, &o->status, 0) < 0 && errno == EINTR)
        ;
}

static inline size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

/* checks=full says when it cannot check for want of memory; such lines are not what the tests are about. */
static inline void drop_lines(char *text, const char *part)
{
    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        char *found = strstr(line, part);
        if (found && found < end) {
            memmove(line, end, strlen(end) + 1);
            end = line;
        }
    }
}

static inline void must_exit_0(const struct outcome *o)
{
    if (!WIFEXITED(o->status) || WEXITSTATUS(o->status) != 0)
        ck_abort_msg("the child ended with status %#x and said: %.4000s", (unsigned)o->status, o->text);
}

/* A program with scenes is run again, in a process of its own, as `program SCENE`, with variables of the environment
 * set: NAME=value, up to NULL. */
struct scene {
    const char *name;
    const char *const *env;
};

static inline void exec_scene(void *arg)
{
    const struct scene *s = arg;
    for (const char *const *e = s->env; e && *e; e++)
        putenv((char *)*e);
    execl("/proc/self/exe", "scene", s->name, (char *)NULL);
    _exit(127);
}

static inline void run_scene(const char *name, const char *const *env, struct outcome *o)
{
    run_child(exec_scene, &(struct scene){name, env}, o);
}

/* The scene "check", with SPANGC_DEBUG=check=1. */
static NOINLINE void run_scene_with_check(void)
{
    static const char *const env[] = {"SPANGC_DEBUG=check=1", NULL};
    struct outcome o;
    run_scene("check", env, &o);
    must_exit_0(&o);
}

/* On one CPU a thread that was just made, or sent a signal, mostly runs after its maker has gone on. */
static NOINLINE void stay_on_one_cpu(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all) && CPU_COUNT(&one) == 0)
            CPU_SET(i, &one);
    sched_setaffinity(0, sizeof one, &one);
}

#endif
