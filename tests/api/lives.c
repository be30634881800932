/* lives.c - threads of every life: detached, ended by pthread_exit or cancelled, anywhere; what they hold is held to
 * the end, what they held is freed after it; nothing runs in a stopped thread. Holds rootjobs.all, stop.quiet,
 * thread.listed. */
#include "../asleep.h"
#include "places.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { OBJECTS = 1000 };

static _Atomic int state;

static void wait_until(int n)
{
    while (state < n)
        sched_yield();
}

/* ---- a thread ends in some way; it held OBJECTS on its stack before ---- */

static _Atomic int holder; /* the thread */

static NOINLINE void hold_on_stack(void)
{
    void *volatile local[OBJECTS];
    holder = (pid_t)syscall(SYS_gettid);
    held_put(local, 0, OBJECTS);
    state = 1;
    wait_until(2);
    for (size_t i = 0; i < OBJECTS; i++)
        check_live(local[i], HELD_SIZE, i);
}

static void *by_return(void *unused)
{
    hold_on_stack();
    state = 3;
    return unused;
}

static void (*volatile leave)(void *) = pthread_exit;

static NOINLINE void exit_below(int depth)
{
    volatile char room[500];
    room[0] = (char)depth;
    if (depth > 0) {
        exit_below(depth - 1);
    } else {
        hold_on_stack();
        leave(NULL);
    }
    room[1] = room[0];
}

static void ended(void *unused)
{
    (void)unused;
    state = 3;
}

static void *by_exit(void *unused)
{
    pthread_cleanup_push(ended, NULL);
    exit_below(20);
    pthread_cleanup_pop(0);
    return unused;
}

/* In a destructor of pthread_setspecific, which runs after the library's own. */
static pthread_key_t late_key;

static void hold_in_destructor(void *unused)
{
    (void)unused;
    hold_on_stack();
    state = 3;
}

static void *by_destructor(void *unused)
{
    pthread_setspecific(late_key, &late_key);
    return unused;
}

/* Cancelled at a point of cancellation, in a loop of its own, and in a call that blocks: each time the objects are on
 * its stack until its cleanup handlers run. */
static void *by_deferred_cancel(void *unused)
{
    void *volatile local[OBJECTS];
    holder = (pid_t)syscall(SYS_gettid);
    pthread_cleanup_push(ended, NULL);
    held_put(local, 0, OBJECTS);
    state = 1;
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
    return unused;
}

/* Without a cleanup handler: clang's unwind tables lead to those from calls only. */
static pthread_key_t ended_key;

static void *by_asynchronous_cancel(void *unused)
{
    void *volatile local[OBJECTS];
    holder = (pid_t)syscall(SYS_gettid);
    pthread_setspecific(ended_key, &ended_key);
    held_put(local, 0, OBJECTS);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    state = 1;
    for (;;)
        ;
    return unused;
}

static int never[2];  /* a pipe that nobody writes to */
static sem_t nothing; /* nobody posts */

static void read_for_ever(void)
{
    char c;
    while (read(never[0], &c, 1) != 1)
        ;
}

static void *by_cancel_in_read(void *unused)
{
    void *volatile local[OBJECTS];
    holder = (pid_t)syscall(SYS_gettid);
    pthread_cleanup_push(ended, NULL);
    held_put(local, 0, OBJECTS);
    state = 1;
    read_for_ever();
    pthread_cleanup_pop(0);
    return unused;
}

static const struct life {
    void *(*fn)(void *);
    bool cancelled;
} lives[] = {{by_return, false},
             {by_exit, false},
             {by_destructor, false},
             {by_deferred_cancel, true},
             {by_asynchronous_cancel, true},
             {by_cancel_in_read, true}};
enum { LIVES = sizeof lives / sizeof *lives };

/* ThreadSanitizer lets no signal into a loop without a call, and AddressSanitizer is not told that its frame is left. */
static bool spins_without_a_call(const struct life *l)
{
    return l->fn == by_asynchronous_cancel && (sanitizer_is("thread") || sanitizer_is("address"));
}

/* Joined, or detached and never seen again. */
START_TEST(held_until_it_ends)
{
    const struct life *l = &lives[_i / 2];
    bool detached = _i % 2;
    pthread_t t;
    pthread_attr_t attr;
    if (spins_without_a_call(l))
        return;
    ck_assert_int_eq(pipe(never), 0);
    ck_assert_int_eq(pthread_key_create(&late_key, hold_in_destructor), 0);
    ck_assert_int_eq(pthread_key_create(&ended_key, ended), 0);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    held_make(OBJECTS, 0);
    ck_assert_int_eq(pthread_create(&t, &attr, l->fn, NULL), 0);
    wait_until(1);
    held_shake();
    held_check();
    state = 2;
    if (l->cancelled)
        ck_assert_int_eq(pthread_cancel(t), 0);
    wait_until(3);
    if (!detached)
        pthread_join(t, NULL);
    wait_until_gone(&holder); /* its frames may still be there */
    held_must_go();
}
END_TEST

/* ---- nothing runs in a thread that is stopped ---- */

static volatile int tids[2];
static _Atomic uint64_t unblocked; /* bits of signals that a stopped thread had open */
static _Atomic int stops;
static char status_path[2][64];

/* The mask that a thread has, from /proc: no lock, no allocation, since the world is stopped. One that a tracer holds runs
 * nothing, whatever its mask: it was late to leave the last stop, and had this one's signal blocked still. */
static uint64_t mask_of(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    if (strstr(text, "State:\tt"))
        return UINT64_MAX;
    const char *at = strstr(text, "SigBlk:");
    return at ? strtoull(at + strlen("SigBlk:"), NULL, 16) : 0;
}

static void look_at_masks(const struct gc_event *event, void *unused)
{
    (void)unused;
    if (event->kind != GC_SPAN_EVENT_STOPPED)
        return;
    const uint64_t never_blocked = UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1);
    for (int i = 0; i < 2; i++)
        unblocked |= ~(mask_of(status_path[i]) | never_blocked);
    stops++;
}

static void *work(void *arg)
{
    bool allocates = arg != NULL;
    tids[allocates] = (int)syscall(SYS_gettid);
    while (state == 0)
        if (allocates)
            churn(48, 100);
        else
            sched_yield();
    return NULL;
}

START_TEST(every_signal_is_blocked)
{
    const int enough_stops =
        sanitizer_is("address") ? 60 : share_of(300); /* threads and roots cost ten times as much there */
    pthread_t t[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&t[i], NULL, work, i ? &state : NULL), 0);
        while (tids[i] == 0)
            sched_yield();
        snprintf(status_path[i], sizeof status_path[i], "/proc/self/task/%d/status", tids[i]);
    }
    gc_set_event_handler(look_at_masks, NULL);
    while (stops < enough_stops)
        gc_collect();
    gc_set_event_handler(NULL, NULL); /* what ends has no file to look at */
    state = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    if (unblocked)
        ck_abort_msg("signals %#llx (bit 0 is signal 1) were not blocked", (unsigned long long)unblocked);
}
END_TEST

/* ---- cancelled by the hundred while collections run ---- */

static _Atomic bool enough;
static _Atomic int collected;

static void *collect_all_the_time(void *unused)
{
    while (!enough) {
        gc_collect();
        collected++;
    }
    return unused;
}

struct chain {
    struct chain *next;
    uintptr_t check;
};

static NOINLINE struct chain *build_chain(int n)
{
    struct chain *head = NULL;
    while (n-- > 0) {
        struct chain *c = gc_malloc(sizeof *c);
        *c = (struct chain){head, ~(uintptr_t)head};
        head = c;
    }
    return head;
}

static NOINLINE void check_chain(void *head)
{
    for (struct chain *c = head; c; c = c->next)
        if (c->check != ~(uintptr_t)c->next)
            ck_abort_msg("a link of a thread that was cancelled is gone");
}

static _Atomic int cleaned;

/* Allocates, as cleanup may. */
static void clean(void *head)
{
    check_chain(head);
    check_chain(build_chain(50));
    cleaned++;
}

static sem_t up;

/* POSIX lets nothing be called that may be cancelled asynchronously, gc_malloc as little as malloc. */
static void *live_until_cancelled(void *how)
{
    int type;
    intptr_t n = (intptr_t)how;
    struct chain *head = build_chain(100);
    pthread_cleanup_push(clean, head);
    sem_post(&up);
    for (;;) {
        check_chain(build_chain(20));
        switch (n % 4) {
        case 0:
            pthread_testcancel();
            break;
        case 1:
            pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
            for (volatile int i = 0; i < 10000; i++)
                ;
            pthread_setcanceltype(type, NULL);
            break;
        case 2:
            read_for_ever();
            break;
        default:
            (void)!sem_wait(&nothing);
        }
    }
    pthread_cleanup_pop(0);
    return NULL;
}

START_TEST(cancelled_while_others_collect)
{
    enum { AT_ONCE = 8 };
    const int rounds = share_of(sanitizer_is("address") ? 12 : 30);
    pthread_t collector, t[AT_ONCE];
    ck_assert_int_eq(pipe(never), 0);
    sem_init(&up, 0, 0);
    sem_init(&nothing, 0, 0);
    ck_assert_int_eq(pthread_create(&collector, NULL, collect_all_the_time, NULL), 0);
    for (int round = 0; round < rounds; round++) {
        for (intptr_t i = 0; i < AT_ONCE; i++)
            ck_assert_int_eq(pthread_create(&t[i], NULL, live_until_cancelled, (void *)i), 0);
        for (int i = 0; i < AT_ONCE; i++)
            while (sem_wait(&up) != 0)
                ;
        for (int i = 0; i < AT_ONCE; i++) {
            ck_assert_int_eq(pthread_cancel(t[i]), 0);
            churn(48, 100);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            void *result;
            pthread_join(t[i], &result);
            ck_assert_ptr_eq(result, PTHREAD_CANCELED);
        }
    }
    ck_assert_int_eq(cleaned, rounds * AT_ONCE);
    enough = true;
    pthread_join(collector, NULL);
}
END_TEST

/* ---- thousands of short lives, each with objects of its own, while another thread collects: and more where that gets
 * little time ---- */

static _Atomic int gone;
static pthread_key_t key;

static void at_end(void *value)
{
    check_chain(value);
    check_chain(build_chain(10));
}

static void *live_shortly(void *way)
{
    intptr_t n = (intptr_t)way;
    pthread_setspecific(key, build_chain(10));
    struct chain *head = build_chain((int)(n % 50));
    check_chain(head);
    gone++;
    if (n % 3 == 0)
        pthread_exit(NULL);
    return NULL;
}

START_TEST(short_while_others_collect)
{
    enum { AT_ONCE = 5 };
    const int least = share_of(sanitizer_is("address") ? 400 : 2000);
    int threads = 0;
    pthread_t collector, t[AT_ONCE];
    struct gc_memstats st;
    ck_assert_int_eq(pthread_key_create(&key, at_end), 0);
    ck_assert_int_eq(pthread_create(&collector, NULL, collect_all_the_time, NULL), 0);
    for (; threads < least || collected <= least / 20; threads += AT_ONCE) {
        for (intptr_t k = 0; k < AT_ONCE; k++)
            ck_assert_int_eq(pthread_create(&t[k], NULL, live_shortly, (void *)(threads + k)), 0);
        for (int k = 0; k < AT_ONCE; k++)
            if (k % 2)
                pthread_detach(t[k]);
            else
                pthread_join(t[k], NULL);
    }
    while (gone < threads)
        sched_yield();
    enough = true;
    pthread_join(collector, NULL);
    settle();
    gc_read_memstats(&st);
    ck_assert_uint_gt(st.num_gc, least / 20);
    ck_assert_uint_eq(st.mallocs - st.frees, st.heap_objects);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, held_until_it_ends, 0, LIVES * 2);
    tcase_add_test(tc, every_signal_is_blocked);
    tcase_add_test(tc, cancelled_while_others_collect);
    tcase_add_test(tc, short_while_others_collect);
}
CHECK_MAIN("api/lives", tests)
