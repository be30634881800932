/* unknown.c - threads that the library was not told of: made by clone, with thread-local storage of their own, with
 * their maker's and with none; by the C library's own thrd_create, round the wrapper. What only their stacks, registers and variables hold survives, and is
 * freed once they are gone; they may be born and end, fork, and make themselves known at any moment. Holds
 * unknown.counted, unknown.stack, stop.unknown. */
#include "cloned.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <threads.h>

enum way { SPINNING, SLEEPING };

static int hold(void *way)
{
    void *volatile local[N];
    reveal_all(local);
    tell(&state, 1);
    while (atomic_load(&state) != 2)
        if ((intptr_t)way == SLEEPING)
            sleep_on(&state, 1);
    return local[0] == NULL;
}

static void held_by(int (*fn)(void *), enum way way, int flags, void *tls)
{
    static struct cloned c;
    gc_set_warn_handler(note_warning);
    build_hidden();
    start_cloned(&c, fn, (void *)(intptr_t)way, flags, tls);
    wait_until(&state, 1);
    collect_around();
    check_hidden();
    collect_around();
    check_hidden();
    tell(&state, 2);
    join_cloned(&c);
    munmap(c.stack, CLONED_STACK);
    c.stack = NULL;
    check_freed();
    ck_assert_int_eq(warnings, 0);
}

START_TEST(spins_with_shared_tls) { held_by(hold, SPINNING, 0, NULL); }
END_TEST
START_TEST(sleeps_with_shared_tls) { held_by(hold, SLEEPING, 0, NULL); }
END_TEST

/* A thread pointer of nothing: whoever follows it dies. */
START_TEST(without_tls)
{
    held_by(hold, SPINNING, CLONE_SETTLS, NULL);
    atomic_store(&state, 0);
    held_by(hold, SLEEPING, CLONE_SETTLS, (void *)0x10000);
}
END_TEST

/* Variables about its thread pointer, as a runtime lays them out. */
static void **variables;

static int hold_in_variables(void *way)
{
    reveal_all(variables);
    tell(&state, 1);
    while (atomic_load(&state) != 2)
        if ((intptr_t)way == SLEEPING)
            sleep_on(&state, 1);
    for (size_t i = 0; i < N; i++)
        ((void *volatile *)variables)[i] = NULL;
    return 0;
}

static void held_by_variables(size_t before)
{
    char *block = map_pages(8192);
    mprotect(block + 4096, 4096, PROT_NONE);
    void **tp = (void **)(void *)(block + before);
    variables = before >= 2048 ? tp - N : tp + 2;
    *tp = tp;
    held_by(hold_in_variables, SPINNING, CLONE_SETTLS, tp);
    munmap(block, 8192);
}

START_TEST(below_its_thread_pointer) { held_by_variables(2048); }
END_TEST
START_TEST(above_its_thread_pointer) { held_by_variables(1024); }
END_TEST

#if defined __x86_64__
static int hold_in_registers(void *unused)
{
    hold_in_16(hidden, &state);
    return unused != NULL;
}

START_TEST(in_registers)
{
    static struct cloned c;
    build_hidden();
    start_cloned(&c, hold_in_registers, NULL, 0, NULL);
    while (atomic_load(&state) != 1)
        ;
    collect_around();
    for (size_t i = 0; i < 16; i++)
        check_live(reveal(hidden[i]), SIZE, i);
    size_t others = 0;
    for (size_t i = 16; i < N; i++)
        others += gc_base(reveal(hidden[i])) == reveal(hidden[i]) && *(unsigned char *)reveal(hidden[i]) != 0xee;
    ck_assert_uint_le(others, N / 10);
    tell(&state, 2);
    join_cloned(&c);
}
END_TEST
#endif

/* Above the stack in the same mapping, a page that cannot be read, and that /proc/self/maps does not show. */
START_TEST(beside_a_hidden_guard)
{
    enum { GUARD_INSTALL = 102 };
    struct cloned c = {.stack = map_pages(4 * CLONED_STACK)};
    gc_set_warn_handler(note_warning);
    if (madvise(c.stack + CLONED_STACK, 4096, GUARD_INSTALL) != 0)
        mprotect(c.stack + CLONED_STACK, 4096, PROT_NONE);
    build_hidden();
    start_cloned(&c, hold, (void *)SLEEPING, 0, NULL);
    check_while_held();
    join_cloned(&c);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* A frame far from the thread's variables, which lie above its stack. */
static NOINLINE int far_down(int (*fn)(void *), void *arg)
{
    volatile char gap[CLONED_STACK];
    gap[0] = 0;
    return fn(arg) + gap[0];
}

/* ---- on an alternate stack: that, and what it left ---- */

/* The wrapper is not what a search in this library alone finds. */
static void start_behind(thrd_t *t, thrd_start_t fn, void *arg)
{
    int (*create)(thrd_t *, thrd_start_t, void *) = NULL;
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (libc)
        *(void **)&create = dlsym(libc, "thrd_create");
    ck_assert(create && create != thrd_create);
    ck_assert_int_eq(create(t, fn, arg), thrd_success);
}

static char *alternate;

static void on_alternate(int sig)
{
    void *volatile local[N / 2];
    (void)sig;
    for (size_t i = 0; i < N / 2; i++)
        local[i] = reveal(hidden[i]);
    tell(&state, 1);
    while (atomic_load(&state) != 2)
        sleep_on(&state, 1);
    launder((void *)local);
}

static int hold_on_two(void *unused)
{
    void *volatile local[N / 2];
    stack_t ss = {.ss_sp = alternate, .ss_size = CLONED_STACK};
    for (size_t i = N / 2; i < N; i++)
        local[i - N / 2] = reveal(hidden[i]);
    sigaltstack(&ss, NULL);
    raise(SIGUSR1);
    launder((void *)local);
    return unused != NULL;
}

static int hold_on_two_stacks(void *arg) { return far_down(hold_on_two, arg); }

START_TEST(on_an_alternate_stack)
{
    thrd_t t;
    struct sigaction sa = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
    alternate = map_pages(CLONED_STACK);
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    gc_set_warn_handler(note_warning);
    build_hidden();
    start_behind(&t, hold_on_two_stacks, NULL);
    check_while_held();
    thrd_join(t, NULL);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The same of a thread that has no thread pointer of its own to find its stack by. The handler may block the stop's signal
 * like all others. */
static int hold_on_two_bare(void *signals)
{
    void *volatile local[N / 2];
    stack_t ss = {.ss_sp = alternate, .ss_size = CLONED_STACK};
    for (size_t i = N / 2; i < N; i++)
        local[i - N / 2] = reveal(hidden[i]);
    raw(SYS_sigaltstack, (long)&ss, 0, 0, 0);
    raw(SYS_tgkill, raw(SYS_getpid, 0, 0, 0, 0), raw(SYS_gettid, 0, 0, 0, 0), SIGUSR1, 0);
    launder((void *)local);
    return signals != NULL;
}

START_TEST(bare_on_an_alternate_stack)
{
    struct cloned c = {.stack = map_pages(CLONED_STACK)};
    struct sigaction sa = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
    alternate = map_pages(CLONED_STACK);
    if (_i)
        sigfillset(&sa.sa_mask);
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    gc_set_warn_handler(note_warning);
    build_hidden();
    start_cloned(&c, hold_on_two_bare, NULL, 0, NULL);
    check_while_held();
    join_cloned(&c);
    munmap(c.stack, CLONED_STACK);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- made by the C library, which does not tell: its variables and values count as well ---- */

static _Thread_local void *volatile own[N / 4];
static pthread_key_t keys[N / 4];

static int hold_in_all_places(void *unused)
{
    void *volatile local[N / 2];
    for (size_t i = 0; i < N; i++)
        if (i < N / 4)
            own[i] = reveal(hidden[i]);
        else if (i < N / 2)
            pthread_setspecific(keys[i - N / 4], reveal(hidden[i]));
        else
            local[i - N / 2] = reveal(hidden[i]);
    tell(&state, 1);
    wait_until(&state, 2);
    launder((void *)local);
    return unused != NULL;
}

static int hold_everywhere(void *arg) { return far_down(hold_in_all_places, arg); }

START_TEST(by_the_c_library)
{
    thrd_t t;
    gc_set_warn_handler(note_warning);
    for (size_t i = 0; i < 64; i++) /* some are kept out of the first block */
        ck_assert_int_eq(pthread_key_create(&keys[i % (N / 4)], NULL), 0);
    build_hidden();
    start_behind(&t, hold_everywhere, NULL);
    check_while_held();
    thrd_join(t, NULL);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- they become known, they fork, they end ---- */

enum { COLLECTIONS = 50 };

static _Atomic int done; /* of them, by the thread */

static int wait_then_register(void *unused)
{
    void *p;
    tell(&state, 1);
    wait_until(&state, 2);
    for (int i = 1; i <= COLLECTIONS; i++) {
        p = make_filled(SIZE, 1);
        settle();
        check_live(p, SIZE, 1);
        tell(&done, i);
    }
    return unused != NULL;
}

/* One beside each of the thread's: who collects without a pause stops the others before they have got anywhere. */
static void collect_along(void)
{
    for (int seen = 0; seen < COLLECTIONS; seen = atomic_load(&done)) {
        gc_collect();
        sleep_on(&done, seen);
    }
}

START_TEST(makes_itself_known)
{
    thrd_t t;
    start_behind(&t, wait_then_register, NULL);
    wait_until(&state, 1);
    gc_collect();
    tell(&state, 2);
    collect_along();
    thrd_join(t, NULL);
    gc_collect();
}
END_TEST

/* It was found, and stops the world itself as it forks. */
static int wait_then_fork(void *unused)
{
    int status = -1;
    tell(&state, 1);
    wait_until(&state, 2);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        gc_collect();
        _exit(gc_malloc(10) ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    tell(&state, 3);
    return unused != NULL || status;
}

START_TEST(forks)
{
    thrd_t t;
    int result;
    start_behind(&t, wait_then_fork, NULL);
    wait_until(&state, 1);
    gc_collect();
    tell(&state, 2);
    while (atomic_load(&state) != 3)
        gc_collect();
    thrd_join(t, &result);
    ck_assert_int_eq(result, 0);
}
END_TEST

/* Threads that come and go, and make others, while the world is stopped again and again. Each has an object from its
 * maker, in memory that is not scanned, and looks whether it is whole. */
enum { PLACES = 8, STOPS = 1000 };

struct brief {
    struct cloned self;
    _Atomic uintptr_t given; /* hidden; 0 taken */
    size_t number;
    struct brief *child;
};

static _Atomic int broken, lived;

static int live_briefly(void *arg)
{
    struct brief *b = arg;
    const unsigned char *volatile p = reveal(atomic_load(&b->given));
    if (b->child) {
        struct brief *c = b->child;
        c->number = b->number;
        atomic_store(&c->given, atomic_load(&b->given));
        start_cloned(&c->self, live_briefly, c, 0, NULL);
        while (atomic_load(&c->given))
            raw(SYS_sched_yield, 0, 0, 0, 0);
    }
    atomic_store(&b->given, 0);
    wake((void *)&b->given);
    for (int i = 0; i < 20; i++)
        raw(SYS_sched_yield, 0, 0, 0, 0);
    for (size_t k = 0; k < SIZE; k++)
        if (p[k] != pattern(b->number, k))
            atomic_store(&broken, 1);
    atomic_fetch_add(&lived, 1);
    return 0;
}

static NOINLINE void begin_life(struct brief *b, size_t number)
{
    void *p = make_filled(SIZE, number);
    b->number = number;
    atomic_store(&b->given, hide(p));
    start_cloned(&b->self, live_briefly, b, 0, NULL);
    while (atomic_load(&b->given))
        raw(SYS_sched_yield, 0, 0, 0, 0);
    launder(p);
}

START_TEST(born_and_dying)
{
    struct brief *b = calloc(2 * PLACES, sizeof *b);
    gc_set_warn_handler(note_warning);
    for (size_t i = 0; i < PLACES; i++)
        b[i].child = i % 2 ? &b[PLACES + i] : NULL;
    for (size_t i = 0; i < STOPS; i++) {
        struct brief *at = &b[i % PLACES];
        if (atomic_load(&at->self.tid) == 0 && (!at->child || atomic_load(&at->child->self.tid) == 0))
            begin_life(at, i);
        gc_collect();
        churn(SIZE, 20);
    }
    for (size_t i = 0; i < 2 * PLACES; i++)
        join_cloned(&b[i].self);
    ck_assert_int_eq(broken, 0);
    ck_assert_int_gt(lived, PLACES);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The list of threads is cut short where one ends while it is read, and who collects here comes last in it. */
enum { ROUNDS = 500, TOGETHER = 4 };

static void *collect_once(void *held)
{
    gc_collect();
    return held;
}

START_TEST(collected_by_the_youngest)
{
    if (sanitizer_is("address"))
        return; /* which keeps a thread's argument in memory of its own until the thread runs */
    gc_set_warn_handler(note_warning);
    for (size_t i = 0; i < ROUNDS; i++) {
        pthread_t ids[TOGETHER];
        for (size_t k = 0; k < TOGETHER; k++)
            ck_assert_int_eq(pthread_create(&ids[k], NULL, collect_once, make_filled(SIZE, k)), 0);
        for (size_t k = 0; k < TOGETHER; k++) {
            void *held;
            ck_assert_int_eq(pthread_join(ids[k], &held), 0);
            check_live(held, SIZE, k);
        }
    }
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- a thread ended without a word, its stack is gone, and its id is another's ---- */

static int id_of_the_dead, id_of_the_new;

static int hold_and_tell_id(void *way)
{
    id_of_the_new = (int)raw(SYS_gettid, 0, 0, 0, 0);
    return hold(way);
}

static void *end_unseen(void *unused)
{
    make_filled(SIZE, 1);
    id_of_the_dead = (int)raw(SYS_gettid, 0, 0, 0, 0);
    raw(SYS_exit, 0, 0, 0, 0);
    return unused;
}

/* The kernel gives this id to the next thread, if it lets us say so. */
static bool choose_id(int id)
{
    char text[20];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    int n = snprintf(text, sizeof text, "%d", id - 1);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    close(fd);
    return ok;
}

static void start_unseen(void)
{
    pthread_t t;
    pthread_attr_t large; /* larger than the C library keeps for the next thread */
    pthread_attr_init(&large);
    pthread_attr_setstacksize(&large, 64 << 20);
    ck_assert_int_eq(pthread_create(&t, &large, end_unseen, NULL), 0);
    pthread_attr_destroy(&large);
    pthread_join(t, NULL);
}

START_TEST(with_the_id_of_a_dead_one)
{
    gc_set_warn_handler(note_warning);
    for (int tries = 0; tries < 20; tries++) { /* another process may get it */
        struct cloned c = {0};
        start_unseen();
        if (!choose_id(id_of_the_dead))
            return;
        atomic_store(&state, 0);
        build_hidden();
        start_cloned(&c, hold_and_tell_id, (void *)(intptr_t)(_i ? SLEEPING : SPINNING), 0, NULL);
        check_while_held();
        join_cloned(&c);
        munmap(c.stack, CLONED_STACK);
        if (id_of_the_new == id_of_the_dead)
            break;
    }
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- the main thread ends first: it stays in the list of tasks, and never answers ---- */

static NOINLINE void *held_after_all(void)
{
    for (size_t i = 0; i < 1000; i++)
        make_filled(SIZE, i);
    return make_filled(SIZE, 7);
}

static void *collect_alone(void *unused)
{
    struct cloned c = {0};
    char name[64];
    int state_of_main = 0;
    /* Until the main thread is a zombie. */
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)getpid());
    while (state_of_main != 'Z') {
        FILE *f = fopen(name, "r");
        if (!f || fscanf(f, "%*d (%*[^)]) %c", (char *)&state_of_main) != 1)
            _exit(2);
        fclose(f);
    }
    void *p = held_after_all();
    for (int i = 0; i < 20; i++)
        settle();
    check_live(p, SIZE, 7);
    if (heap_objects() > 100)
        _exit(3);
    build_hidden();
    start_cloned(&c, hold, (void *)SLEEPING, 0, NULL);
    wait_until(&state, 1);
    collect_around();
    check_hidden();
    _exit(warnings ? 4 : 0);
    return unused;
}

static void end_main(void *raw_exit)
{
    pthread_t t;
    gc_set_warn_handler(note_warning);
    gc_collect();
    pthread_create(&t, NULL, collect_alone, NULL);
    if (raw_exit)
        syscall(SYS_exit, 0);
    pthread_exit(NULL);
}

START_TEST(after_the_main_thread)
{
    struct outcome o;
    run_child(end_main, _i ? &o : NULL, &o);
    must_exit_0(&o);
}
END_TEST

/* ---- a worker of io_uring's: a thread of the process by every count, that no signal and no tracer stops ---- */

static bool start_worker(void)
{
    static char byte;
    struct io_uring_params p = {0};
    int pipe_ends[2];
    long fd = syscall(SYS_io_uring_setup, 4, &p);
    if (fd < 0 || pipe(pipe_ends) != 0)
        return false;
    char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd,
                    IORING_OFF_SQ_RING);
    struct io_uring_sqe *e =
        mmap(NULL, p.sq_entries * sizeof *e, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, (off_t)IORING_OFF_SQES);
    ck_assert(sq != MAP_FAILED && e != MAP_FAILED);
    *e = (struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = pipe_ends[0]};
    e->addr = (uintptr_t)&byte;
    e->len = 1;
    ((unsigned *)(void *)(sq + p.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(void *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    return syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) == 1;
}

static nlink_t tasks(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) == 0 ? st.st_nlink - 2 : 0;
}

START_TEST(beside_a_worker_of_the_kernel)
{
    struct cloned c = {0};
    gc_set_warn_handler(note_warning);
    if (!start_worker())
        return; /* io_uring is not for us here */
    while (tasks() < 2)
        sched_yield();
    build_hidden();
    start_cloned(&c, hold, (void *)SLEEPING, 0, NULL);
    check_while_held();
    join_cloned(&c);
    check_freed();
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* ---- where /proc says nothing ---- */

static void collect_blindly(void)
{
    void *p = held_after_all();
    for (int i = 0; i < 3; i++)
        settle();
    check_live(p, SIZE, 7);
    dprintf(STDERR_FILENO, "%s", heap_objects() < 100 ? "freed\n" : "kept\n");
}

static void without_proc(void *unused)
{
    (void)unused;
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", "/proc", "tmpfs", 0, NULL) != 0)
        return;
    collect_blindly();
}

static int wait_for_ever(void *unused)
{
    (void)unused;
    while (atomic_load(&state) == 0)
        sleep_on(&state, 0);
    return 0;
}

/* /proc counts the threads, and calls them by other ids than they have. */
static void in_a_namespace(void *unused)
{
    static struct cloned c;
    (void)unused;
    start_cloned(&c, wait_for_ever, NULL, 0, NULL);
    collect_blindly();
}

static void in_another_namespace(void *unused)
{
    (void)unused;
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        return;
    struct outcome o;
    run_child(in_a_namespace, NULL, &o);
    must_exit_0(&o);
    dprintf(STDERR_FILENO, "%s", o.text);
}

START_TEST(where_proc_is_blind_it_is_said_once)
{
    struct outcome o;
    run_child(_i ? in_another_namespace : without_proc, NULL, &o);
    must_exit_0(&o);
    if (o.n == 0)
        return; /* not allowed to make a namespace */
    drop_lines(o.text, "verifying second mark");
    ck_assert_uint_eq(count_lines(o.text), 2);
    ck_assert_ptr_nonnull(strstr(o.text, "spangc: /proc cannot be read"));
    ck_assert_ptr_nonnull(strstr(o.text, "freed"));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, spins_with_shared_tls);
    tcase_add_test(tc, sleeps_with_shared_tls);
    tcase_add_test(tc, without_tls);
    tcase_add_test(tc, below_its_thread_pointer);
    tcase_add_test(tc, above_its_thread_pointer);
#if defined __x86_64__
    tcase_add_test(tc, in_registers);
#endif
    tcase_add_loop_test(tc, with_the_id_of_a_dead_one, 0, 2);
    tcase_add_test(tc, beside_a_hidden_guard);
    tcase_add_test(tc, on_an_alternate_stack);
#if defined __x86_64__
    tcase_add_loop_test(tc, bare_on_an_alternate_stack, 0, 2);
#endif
    tcase_add_test(tc, by_the_c_library);
    tcase_add_test(tc, makes_itself_known);
    tcase_add_test(tc, forks);
    tcase_add_test(tc, born_and_dying);
    tcase_add_test(tc, collected_by_the_youngest);
    tcase_add_loop_test(tc, after_the_main_thread, 0, 2);
    tcase_add_test(tc, beside_a_worker_of_the_kernel);
    tcase_add_loop_test(tc, where_proc_is_blind_it_is_said_once, 0, 2);
}
CHECK_MAIN("api/unknown", tests)
