/* profile.c - sampling and writing while the program goes on: threads, signals, fork, files that fail. What the figures
 * are is seen by tests/unit/buckets.c, tests/unit/sampler.c, and with pprof's own tools by tests/meta/profile.sh. */
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4 };

static void *volatile sink;
static _Atomic int over;

NOINLINE static void *allocate_here(size_t n)
{
    void *p = gc_malloc(n);
    __asm__ volatile("" ::: "memory");
    return p;
}

/* A profile as text; for free(). */
static char *text_profile(void)
{
    FILE *f = tmpfile();
    ck_assert_int_eq(gc_write_heap_profile(fileno(f), GC_SPAN_PROFILE_TEXT), 0);
    size_t n = (size_t)lseek(fileno(f), 0, SEEK_END);
    char *text = malloc(n + 1);
    ck_assert_int_eq(pread(fileno(f), text, n, 0), (ssize_t)n);
    text[n] = 0;
    fclose(f);
    return text;
}

struct totals {
    unsigned long inuse, inuse_bytes, allocs, alloc_bytes;
};

static struct totals totals(void)
{
    struct totals t;
    char *text = text_profile();
    int n = sscanf(text, "heap profile: %lu: %lu [%lu: %lu]", &t.inuse, &t.inuse_bytes, &t.allocs, &t.alloc_bytes);
    ck_assert_int_eq(n, 4);
    free(text);
    return t;
}

START_TEST(rate)
{
    errno = 77;
    ck_assert_uint_eq(gc_get_profile_rate(), GC_SPAN_PROFILE_RATE);
    ck_assert_uint_eq(gc_set_profile_rate(1), GC_SPAN_PROFILE_RATE);
    ck_assert_uint_eq(gc_set_profile_rate(0), 1);
    ck_assert_uint_eq(gc_set_profile_rate(SIZE_MAX), 0);
    ck_assert_uint_gt(gc_get_profile_rate(), UINT64_C(1) << 40);
    ck_assert_int_eq(errno, 77);
}
END_TEST

/* At 1 each object is noted, from the call on; at 0 none. */
START_TEST(each_and_none)
{
    gc_set_profile_rate(0);
    gc_collect();
    struct totals before = totals();
    for (int i = 0; i < 1000; i++)
        sink = allocate_here(24);
    gc_collect();
    ck_assert_uint_eq(totals().allocs, before.allocs);
    gc_set_profile_rate(1);
    for (int i = 0; i < 1000; i++)
        sink = allocate_here(24);
    sink = gc_malloc_uncollectable(100);
    sink = gc_malloc_noscan(100000);
    gc_set_profile_rate(0);
    gc_collect();
    struct totals after = totals();
    ck_assert_uint_eq(after.allocs, before.allocs + 1002);
    ck_assert_uint_eq(after.alloc_bytes, before.alloc_bytes + 1000 * 32 + 112 + 106496);
}
END_TEST

/* As of the last mark: garbage is not in use, and what came after it is not there yet. */
START_TEST(as_of_the_last_mark)
{
    gc_set_profile_rate(1);
    gc_collect();
    struct totals before = totals();
    gc_free(allocate_here(32));
    for (int i = 0; i < 99; i++)
        sink = allocate_here(32);
    sink = NULL;
    ck_assert_uint_eq(totals().allocs, before.allocs);
    gc_clear_stack(65536);
    gc_collect();
    struct totals after = totals();
    ck_assert_uint_eq(after.allocs, before.allocs + 100);
    ck_assert_uint_le(after.inuse, before.inuse + 3);
}
END_TEST

START_TEST(bad_files)
{
    int full = open("/dev/full", O_WRONLY), fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    gc_set_profile_rate(1);
    sink = allocate_here(32);
    for (int format = GC_SPAN_PROFILE_PPROF; format <= GC_SPAN_PROFILE_TEXT; format++) {
        ck_assert(gc_write_heap_profile(-1, format) == -1 && errno == EBADF);
        ck_assert(gc_write_heap_profile(full, format) == -1 && errno == ENOSPC);
        ck_assert(gc_write_heap_profile(fds[1], format) == -1 && errno == EPIPE);
    }
    ck_assert(gc_write_heap_profile(1, (enum gc_profile_format)2) == -1 && errno == EINVAL);
    ck_assert(gc_report_leaks(-1) == -1 && errno == EBADF);
    ck_assert(gc_report_leaks(full) == -1 && errno == ENOSPC);
    ck_assert(gc_explain(launder(allocate_here(32)), -1) == -1 && errno == EBADF);
    ck_assert(gc_explain(launder(allocate_here(32)), full) == -1 && errno == ENOSPC);
    ck_assert(gc_explain(&full, full) == -1 && errno == ENOSPC);
    int null = open("/dev/null", O_WRONLY);
    errno = 77;
    ck_assert_int_eq(gc_write_heap_profile(null, GC_SPAN_PROFILE_PPROF), 0);
    ck_assert_int_eq(errno, 77);
    ck_assert(gc_explain(&full, null) == -1 && errno == EINVAL);
}
END_TEST

static void *storm(void *unused)
{
    (void)unused;
    for (size_t i = 0; !over; i++) {
        void *p = allocate_here(i % 700 + 1);
        if (i % 3 == 0)
            gc_free(p);
    }
    return NULL;
}

static void start_storm(pthread_t t[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, storm, NULL), 0);
}

static void end_storm(pthread_t t[THREADS])
{
    over = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* Both formats, and why an object is alive, while threads allocate, free and collect. */
START_TEST(while_threads_allocate)
{
    pthread_t t[THREADS];
    int null = open("/dev/null", O_WRONLY);
    static void *kept;
    gc_set_profile_rate(1024);
    kept = allocate_here(100);
    start_storm(t);
    for (int i = 0; i < share_of(16); i++) {
        ck_assert_int_eq(gc_write_heap_profile(null, GC_SPAN_PROFILE_PPROF), 0);
        struct totals now = totals();
        ck_assert_uint_ge(now.allocs, now.inuse);
        ck_assert_int_eq(gc_explain(kept, null), 0);
        ck_assert_int_ge(gc_report_leaks(null), 0);
        gc_set_profile_rate(i % 2 ? 1024 : 1);
    }
    end_storm(t);
}
END_TEST

/* A thread that waits for the program's signals and writes the profile that one asks for. */
static void *take_signals(void *profiles)
{
    sigset_t set;
    int sig, null = open("/dev/null", O_WRONLY);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    while (sigwait(&set, &sig) == 0 && !over)
        *(_Atomic int *)profiles += gc_write_heap_profile(null, GC_SPAN_PROFILE_PPROF) == 0;
    return NULL;
}

START_TEST(from_a_signal_thread)
{
    pthread_t t[THREADS], signals;
    _Atomic int profiles = 0;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    gc_set_profile_rate(4096);
    ck_assert_int_eq(pthread_create(&signals, NULL, take_signals, &profiles), 0);
    start_storm(t);
    while (profiles < 5) {
        kill(getpid(), SIGUSR1);
        usleep(10000);
    }
    end_storm(t);
    kill(getpid(), SIGUSR1);
    pthread_join(signals, NULL);
}
END_TEST

static void *allocate_only(void *unused)
{
    (void)unused;
    while (!over)
        sink = allocate_here(100);
    return NULL;
}

/* An object whose stack is being walked is held, though nobody looks at stacks. */
START_TEST(collected_without_stacks)
{
    pthread_t t[THREADS];
    gc_set_profile_rate(1);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, allocate_only, NULL), 0);
    for (int i = 0; i < 300; i++)
        gc_collect_without_stacks();
    end_storm(t);
}
END_TEST

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* The walk opens nothing, which a program that closes all it does not know would take for its own. */
START_TEST(no_descriptor)
{
    int before = descriptors();
    gc_set_profile_rate(1);
    for (int i = 0; i < 1000; i++)
        sink = allocate_here(100);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* Two callers at the same depth, again and again, and one deeper: walks that are remembered are told apart. */
NOINLINE static void *one(void) { return launder(allocate_here(40)); }
NOINLINE static void *other(void) { return launder(allocate_here(40)); }
NOINLINE static void *deeper(int n) { return launder(n ? deeper(n - 1) : one()); }

START_TEST(walks_told_apart)
{
    static void *kept[3][100];
    gc_collect();
    gc_set_profile_rate(1);
    struct totals before = totals();
    for (int i = 0; i < 100; i++) {
        kept[0][i] = one();
        kept[1][i] = other();
        kept[2][i] = deeper(i % 10);
    }
    gc_set_profile_rate(0);
    gc_collect();
    char *text = text_profile(), line[64];
    ck_assert_uint_eq(totals().inuse, before.inuse + 300);
    int hundreds = 0;
    snprintf(line, sizeof line, "\n100: %d [100: %d] @", 100 * 48, 100 * 48);
    for (const char *p = text; (p = strstr(p, line)); p++)
        hundreds++;
    ck_assert_int_eq(hundreds, 2);
    int tens = 0;
    snprintf(line, sizeof line, "\n10: %d [10: %d] @", 10 * 48, 10 * 48);
    for (const char *p = text; (p = strstr(p, line)); p++)
        tens++;
    ck_assert_int_eq(tens, 10);
    free(text);
    gc_keep_alive(kept);
}
END_TEST

#if defined __x86_64__

/* A coroutine whose first frame returns to nowhere, as some libraries make them: the profile has its caller. */
static void *resume_sp;
extern void run_on(void *sp, void (*fn)(void));
__asm__(".text\n"
        "run_on:\n"
        "    push %rbp\n"
        "    mov %rsp, %rbp\n"
        "    mov %rdi, %rsp\n"
        "    jmp *%rsi\n");

/* Not by a return: there is nowhere to. */
NOINLINE static void on_coroutine(void)
{
    for (int i = 0; i < 100; i++)
        sink = allocate_here(200);
    siglongjmp(*(sigjmp_buf *)resume_sp, 1);
}

START_TEST(coroutine_that_returns_nowhere)
{
    sigjmp_buf here;
    struct gc_stack *stack = gc_stack_alloc(0);
    uintptr_t *top = (uintptr_t *)stack->hi - 1;
    *top = UINT64_C(0xdeaddeaddeaddead);
    resume_sp = &here;
    gc_set_profile_rate(1);
    if (sigsetjmp(here, 0) == 0)
        run_on(top, on_coroutine);
    gc_set_profile_rate(0);
    gc_collect();
    char *text = text_profile(), line[64];
    snprintf(line, sizeof line, " [100: %d] @ 0x", 100 * 208);
    ck_assert_ptr_nonnull(strstr(text, line));
    free(text);
    gc_stack_free(stack);
}
END_TEST

#endif

/* The walk of the stack keeps out of fork's way: children that allocate, and whose allocations are noted. */
START_TEST(forks)
{
    pthread_t t[THREADS];
    gc_set_profile_rate(64);
    start_storm(t);
    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            for (int k = 0; k < 1000; k++)
                sink = allocate_here(100);
            gc_collect();
            _exit(gc_write_heap_profile(open("/dev/null", O_WRONLY), GC_SPAN_PROFILE_PPROF) != 0);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    end_storm(t);
}
END_TEST

/* A stack as small as one may be is enough. */
static void *allocate_on_little(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        sink = allocate_here(100);
    return NULL;
}

START_TEST(small_stack)
{
    pthread_t t;
    pthread_attr_t attr;
    gc_set_profile_rate(1);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384 + 4096);
    ck_assert_int_eq(pthread_create(&t, &attr, allocate_on_little, NULL), 0);
    pthread_join(t, NULL);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, rate);
    tcase_add_test(tc, each_and_none);
    tcase_add_test(tc, as_of_the_last_mark);
    tcase_add_test(tc, bad_files);
    tcase_add_test(tc, while_threads_allocate);
    tcase_add_test(tc, from_a_signal_thread);
    tcase_add_test(tc, collected_without_stacks);
    tcase_add_test(tc, no_descriptor);
    tcase_add_test(tc, walks_told_apart);
#if defined __x86_64__
    tcase_add_test(tc, coroutine_that_returns_nowhere);
#endif
    tcase_add_test(tc, forks);
    tcase_add_test(tc, small_stack);
}
CHECK_MAIN("api/profile", tests)
