/* os_task.c - what /proc says of threads and mappings, beside what is known. */
#include "../check_main.h"

#include "os/os.h"
#include "os/os_mem.h"
#include "os/os_real.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 200 };

static _Atomic int tids[THREADS];
static _Atomic bool leave;

static void *stay(void *number)
{
    atomic_store((_Atomic int *)number, os_tid());
    while (!atomic_load(&leave))
        usleep(1000);
    return NULL;
}

static size_t found, strange;

static void look_for(int tid, void *unused)
{
    (void)unused;
    for (size_t i = 0; i < THREADS; i++)
        if (tids[i] == tid) {
            found++;
            return;
        }
    strange += tid != os_pid();
}

/* More than one reading of the directory gives at once. */
START_TEST(tasks)
{
    pthread_t id[THREADS];
    ck_assert_int_eq(os_task_count(), 1);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(os_real_pthread_create(&id[i], NULL, stay, (void *)&tids[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        while (tids[i] == 0)
            sched_yield();
    ck_assert_int_eq(os_task_count(), THREADS + 1);
    ck_assert(os_each_task(look_for, NULL));
    ck_assert_uint_eq(found, THREADS);
    ck_assert_uint_eq(strange, 0);
    ck_assert_int_eq(os_task_state(tids[0]), OS_TASK_RUNS);
    atomic_store(&leave, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(id[i], NULL);
    while (os_task_count() > 1)
        sched_yield();
    ck_assert_int_eq(os_task_state(os_tid()), OS_TASK_RUNS);
}
END_TEST

static bool stack_seen;

static bool look_for_stack(const struct os_mapping *m, void *at)
{
    stack_seen |= (uintptr_t)at >= m->lo && (uintptr_t)at < m->hi;
    return true;
}

/* The mappings are those of the process all the same. */
static void *watch_main_end(void *unused)
{
    while (os_task_state(os_pid()) != OS_TASK_ENDED)
        sched_yield();
    if (!os_each_mapping(look_for_stack, &unused) || !stack_seen)
        _exit(3);
    _exit(os_task_count() == 2 && !os_thread_alive(os_pid()) && os_thread_alive(os_tid()) ? 0 : 1);
    return unused;
}

/* A thread that ended but stays, under a name that may be taken for the rest of the line. */
START_TEST(a_main_thread_that_ended)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t id;
        alarm(100);
        int fd = open("/proc/self/comm", O_WRONLY);
        if (write(fd, ") R 1 (iou-", 11) != 11 || os_task_state(os_tid()) != OS_TASK_RUNS)
            _exit(2);
        os_real_pthread_create(&id, NULL, watch_main_end, NULL);
        syscall(SYS_exit, 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(masks)
{
    sigset_t old;
    ck_assert_int_eq(os_task_blocks(os_tid(), 40), 0);
    os_block_signals_but(40, &old);
    ck_assert_int_eq(os_task_blocks(os_tid(), 40), 0);
    ck_assert_int_eq(os_task_blocks(os_tid(), 39), 1);
    ck_assert_int_eq(os_task_blocks(os_tid(), 64), 1);
    ck_assert_int_eq(os_task_blocks(os_tid(), 1), 1);
    os_restore_signals(&old);
    ck_assert_int_eq(os_task_blocks(os_tid(), 39), 0);
}
END_TEST

START_TEST(readable)
{
    size_t page = os_page_size();
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigset_t before, after;
    os_block_signals_but(40, &before);
    memset(p, 0xff, page);
    ck_assert(os_readable((uintptr_t)p));
    ck_assert(os_readable((uintptr_t)p + page));
    ck_assert_int_eq(mprotect(p + page, page, PROT_NONE), 0);
    ck_assert(os_readable((uintptr_t)p + page - 8));
    ck_assert(!os_readable((uintptr_t)p + page));
    ck_assert(!os_readable(8));
    ck_assert(!os_readable(UINTPTR_MAX - 7));
    ck_assert_int_eq(os_task_blocks(os_tid(), 40), 0); /* nothing is done with what was read */
    os_block_signals(&after);
    os_restore_signals(&before);
}
END_TEST

/* Where the C library keeps a thread is told from other memory. */
START_TEST(threads_of_the_c_library)
{
    os_tls_init();
    uintptr_t self = os_thread_pointer();
    ck_assert_uint_eq(self, (uintptr_t)pthread_self());
    ck_assert(os_tls_is_thread(self, os_tid()));
    ck_assert(!os_tls_is_thread(self, os_tid() + 1));
    ck_assert(!os_tls_is_thread(0, os_tid()));
    ck_assert(!os_tls_is_thread(8, os_tid()));
    ck_assert(!os_tls_is_thread(self + 1, os_tid()));
    uintptr_t here = os_main_stack_address(), local = (uintptr_t)&self;
    ck_assert(here > local && here - local < 1 << 23);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, tasks);
    tcase_add_test(tc, a_main_thread_that_ended);
    tcase_add_test(tc, masks);
    tcase_add_test(tc, readable);
    tcase_add_test(tc, threads_of_the_c_library);
}
CHECK_MAIN("unit/os_task", tests)
