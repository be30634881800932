/* guards.c - pages that cannot be read in what is scanned, stacks that lie where nobody thought, and locks of the C
 * library's; each lost an object, crashed or hung once. Holds rootjobs.all, rootjobs.given, fork.stdio, stop.all. */
#include "../api/helpers.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { SIZE = 1000, PAGE = 4096, PAGES = 3, HELD = 20, STACK = 256 * 1024 };

/* ---- a guard page in a static array, as a program has it that wants to find overruns */

static _Alignas(PAGE) void *table[PAGES * PAGE / sizeof(void *)];
static void **const last_page = &table[(PAGES - 1) * PAGE / sizeof(void *)];

static NOINLINE void fill_table(void)
{
    table[0] = make_filled(SIZE, 1);
    *last_page = make_filled(SIZE, 2);
}

START_TEST(in_static_data)
{
    fill_table();
    ck_assert_int_eq(mprotect((char *)table + PAGE, PAGE, PROT_NONE), 0);
    settle();
    churn(SIZE, 300);
    check_live(table[0], SIZE, 1);
    check_live(*last_page, SIZE, 2);
}
END_TEST

/* The same that the program registered besides: it is not taken for granted that data can be read. */
START_TEST(registered_in_static_data)
{
    ck_assert_int_eq(gc_add_roots(table, &table[PAGES * PAGE / sizeof(void *)]), 0);
    ck_assert_int_eq(munmap((char *)table + PAGE, PAGE), 0);
    gc_set_warn_handler(launder(NULL));
    settle();
}
END_TEST

/* ---- a coroutine's stack whose lowest page was used before it became the guard */

START_TEST(in_a_stack)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(stack, MAP_FAILED);
    memset(stack, 1, STACK);
    ck_assert_int_eq(mprotect(stack, PAGE, PROT_NONE), 0);
    ck_assert_ptr_nonnull(gc_stack_register(stack, stack + STACK, NULL, 0));
    settle();
}
END_TEST

/* ---- a thread on a stack that nobody told us of, which lies above its own: that one is scanned all the same */

static unsigned warnings;
static void note_warning(const char *unused)
{
    (void)unused;
    warnings++;
}

static ucontext_t home, away;

static void collect_away(void)
{
    gc_collect();
    churn(SIZE, 300);
    swapcontext(&away, &home);
}

static NOINLINE void go_away(char *stack)
{
    void *volatile held[HELD];
    for (size_t i = 0; i < HELD; i++) {
        held[i] = make_filled(SIZE, i);
        make_filled(SIZE, i); /* no pointer stands one past one's end */
    }
    getcontext(&away);
    away.uc_stack.ss_sp = stack;
    away.uc_stack.ss_size = STACK;
    makecontext(&away, collect_away, 0);
    swapcontext(&home, &away);
    for (size_t i = 0; i < HELD; i++)
        check_live(held[i], SIZE, i);
}

static void *run_away(void *stack)
{
    go_away(stack);
    return NULL;
}

START_TEST(on_a_foreign_stack)
{
    pthread_t id;
    gc_set_warn_handler(note_warning);
    char *above =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* the first is highest */
    ck_assert_int_eq(pthread_create(&id, NULL, run_away, above), 0);
    ck_assert_int_eq(pthread_join(id, NULL), 0);
    ck_assert_uint_eq(warnings, 1);
}
END_TEST

/* ---- the main thread is deeper than its limit was at the start, and collects on an alternate stack */

static char alternate[STACK];

static void collect_here(int sig)
{
    (void)sig;
    gc_collect();
    churn(SIZE, 300);
}

static NOINLINE size_t deep(size_t left)
{
    volatile char frame[64 * 1024];
    frame[0] = 1;
    if (left > sizeof frame)
        return deep(left - sizeof frame) + (size_t)frame[0];
    void *volatile held[HELD];
    for (size_t i = 0; i < HELD; i++) {
        held[i] = make_filled(SIZE, i);
        make_filled(SIZE, i);
    }
    raise(SIGUSR1);
    for (size_t i = 0; i < HELD; i++)
        check_live(held[i], SIZE, i);
    return 0;
}

static void grow_main_stack(void)
{
    struct rlimit r;
    struct sigaction sa = {.sa_handler = collect_here, .sa_flags = SA_ONSTACK};
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    getrlimit(RLIMIT_STACK, &r);
    if (r.rlim_cur == RLIM_INFINITY || r.rlim_max != RLIM_INFINITY)
        return;
    size_t before = r.rlim_cur;
    r.rlim_cur = 3 * before;
    if (setrlimit(RLIMIT_STACK, &r) != 0 || sigaction(SIGUSR1, &sa, NULL) != 0 || sigaltstack(&ss, NULL) != 0)
        abort();
    deep(2 * before);
}

START_TEST(grown_since_the_start)
{
    struct outcome o;
    run_scene("grown", NULL, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

/* ---- a sandbox that does not let mincore through: what is on a stack is found all the same */

static bool deny(unsigned call)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void hold_without_mincore(void)
{
    struct sigaction sa = {.sa_handler = collect_here, .sa_flags = SA_ONSTACK};
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    void *volatile held[HELD];
    for (size_t i = 0; i < HELD; i++) {
        held[i] = make_filled(SIZE, i);
        make_filled(SIZE, i);
    }
    if (!deny(SYS_mincore) || sigaction(SIGUSR1, &sa, NULL) != 0)
        return;
    collect_here(0);
    if (sigaltstack(&ss, NULL) == 0)
        raise(SIGUSR1);
    for (size_t i = 0; i < HELD; i++)
        check_live(held[i], SIZE, i);
}

START_TEST(without_mincore)
{
    struct outcome o;
    run_scene("mincore", NULL, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

/* ---- a stream that allocates as it is written, under stdio's lock of all streams, and forks beside it */

static _Atomic bool enough;

static ssize_t allocate_and_take(void *unused, const char *text, size_t n)
{
    (void)unused;
    (void)text;
    for (size_t i = 0; i < 200; i++)
        launder(gc_malloc(16 * (1 + i % 100)));
    return (ssize_t)n;
}

static void *flush_all(void *stream)
{
    while (!atomic_load(&enough)) {
        fputs("text", stream);
        fflush(NULL);
    }
    return NULL;
}

START_TEST(fork_beside_stdio)
{
    pthread_t id;
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = allocate_and_take});
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(pthread_create(&id, NULL, flush_all, stream), 0);
    for (int i = 0; i < 200; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            FILE *own = fopencookie(NULL, "w", (cookie_io_functions_t){.write = allocate_and_take});
            fputs("text", own);
            fflush(own);
            gc_collect();
            _exit(fclose(own));
        }
        waitpid(pid, &status, 0);
        if (status != 0)
            ck_abort_msg("child %d ended with status %#x", i, (unsigned)status);
    }
    atomic_store(&enough, true);
    pthread_join(id, NULL);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, in_static_data);
    tcase_add_test(tc, registered_in_static_data);
    tcase_add_test(tc, in_a_stack);
    tcase_add_test(tc, on_a_foreign_stack);
    tcase_add_test(tc, grown_since_the_start);
    tcase_add_test(tc, without_mincore);
    tcase_add_test(tc, fork_beside_stdio);
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return check_main("fault/guards", tests);
    if (strcmp(argv[1], "grown") == 0)
        grow_main_stack();
    else
        hold_without_mincore();
    return EXIT_SUCCESS;
}
