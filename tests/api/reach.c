/* reach.c - gc_is_reachable and its form without stacks: what holds an object and what does not, and that asking
 * changes nothing. Holds reach.hidden. */
#include "helpers.h"

#include <pthread.h>

#ifdef __SANITIZE_ADDRESS__
enum { N = 100 }; /* each question is a mark, of the sanitizer's data too */
#else
enum { N = 200 };
#endif
enum { SIZE = 64 };

static void *volatile in_data[N]; /* volatile: or stores that nobody reads are left out */
static uintptr_t hidden[N];

/* N objects that nothing holds. */
static NOINLINE void make_hidden(void)
{
    for (size_t i = 0; i < N; i++)
        hidden[i] = hide(make_filled(SIZE, i));
    gc_clear_stack(64 * 1024);
}

/* How many of them are reached. None may have gone meanwhile: asking frees nothing. */
static NOINLINE size_t reached(int (*ask)(const void *))
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        int r = ask(reveal(hidden[i]));
        if (r < 0)
            ck_abort_msg("object %zu: no answer, errno %d", i, errno);
        n += (size_t)r;
    }
    return n;
}

START_TEST(dropped)
{
    make_hidden();
    ck_assert_uint_eq(reached(gc_is_reachable_without_stacks), 0);
    ck_assert_uint_le(reached(gc_is_reachable), N / 50);
    ck_assert_uint_eq(reached(gc_is_reachable_without_stacks), 0);
}
END_TEST

/* The argument, revealed in the call and passed in a register, is no reference; nor is an interior one. */
START_TEST(argument_does_not_count)
{
    make_hidden();
    for (size_t k = 0; k < 64; k += 21) {
        size_t n = 0;
        for (size_t i = 0; i < N; i++)
            n += gc_is_reachable((void *)(~hidden[i] + k)) != 0;
        ck_assert_uint_le(n, N / 50);
    }
}
END_TEST

#if defined __x86_64__
/* Asks with the pointer left in every register that a call may change. */
int ask_with_copies(uintptr_t hidden_pointer);
__asm__(".text\n"
        ".type ask_with_copies, @function\n"
        "ask_with_copies:\n"
        "    notq %rdi\n"
        "    movq %rdi, %rax; movq %rdi, %rcx; movq %rdi, %rdx; movq %rdi, %rsi\n"
        "    movq %rdi, %r8; movq %rdi, %r9; movq %rdi, %r10; movq %rdi, %r11\n"
        "    jmp gc_is_reachable@PLT\n"
        ".size ask_with_copies, . - ask_with_copies\n");

START_TEST(dead_registers_do_not_count)
{
    size_t n = 0;
    make_hidden();
    for (size_t i = 0; i < N; i++)
        n += ask_with_copies(hidden[i]) != 0;
    ck_assert_uint_le(n, N / 50);
}
END_TEST
#endif

START_TEST(held_by_data)
{
    make_hidden();
    for (size_t i = 0; i < N; i++)
        in_data[i] = i % 2 ? (char *)reveal(hidden[i]) + i % SIZE : NULL;
    gc_clear_stack(64 * 1024);
    for (size_t i = 0; i < N; i++) {
        if (i % 2 && gc_is_reachable(reveal(hidden[i])) != 1)
            ck_abort_msg("object %zu is held and was not reached", i);
        if (gc_is_reachable_without_stacks(reveal(hidden[i])) != (int)(i % 2))
            ck_abort_msg("object %zu: wrong answer without stacks", i);
    }
}
END_TEST

struct node {
    struct node *next;
};
static struct node *list;

static NOINLINE void make_list(void)
{
    for (size_t i = 0; i < N; i++) {
        struct node *n = gc_malloc(sizeof *n);
        n->next = list;
        list = n;
        hidden[i] = hide(n);
    }
}

START_TEST(held_by_objects)
{
    make_list();
    ck_assert_uint_eq(reached(gc_is_reachable_without_stacks), N);
    ck_assert_uint_eq(reached(gc_is_reachable), N);
    list = NULL;
    gc_clear_stack(64 * 1024);
    ck_assert_uint_eq(reached(gc_is_reachable_without_stacks), 0);
}
END_TEST

START_TEST(held_by_a_stack)
{
    void *volatile local = make_filled(SIZE, 1);
    ck_assert_int_eq(gc_is_reachable(local), 1);
    gc_clear_stack(64 * 1024);
    ck_assert_int_eq(gc_is_reachable(local), 1);
    ck_assert_int_eq(gc_is_reachable_without_stacks(local), 0);
    ck_assert_int_eq(gc_is_reachable(local), 1);
    check_live(local, SIZE, 1);
}
END_TEST

static uintptr_t of_the_thread;
static int step;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void go_to(int s)
{
    pthread_mutex_lock(&mutex);
    step = s;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(int s)
{
    pthread_mutex_lock(&mutex);
    while (step != s)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void *hold_one(void *unused)
{
    (void)unused;
    void *volatile local = make_filled(SIZE, 7);
    of_the_thread = hide(local);
    go_to(1);
    wait_for(2);
    check_live(local, SIZE, 7);
    return NULL;
}

START_TEST(held_by_another_thread)
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, hold_one, NULL), 0);
    wait_for(1);
    ck_assert_int_eq(gc_is_reachable(reveal(of_the_thread)), 1);
    ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(of_the_thread)), 0);
    go_to(2);
    pthread_join(t, NULL);
}
END_TEST

static _Thread_local void *volatile variable;

START_TEST(held_by_a_thread_local_variable)
{
    make_hidden();
    variable = reveal(hidden[3]);
    ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(hidden[3])), 1);
    variable = NULL;
    ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(hidden[3])), 0);
}
END_TEST

static char data[64];

static void is_no_object(const void *p)
{
    errno = 0;
    ck_assert_int_eq(gc_is_reachable(p), -1);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_int_eq(gc_is_reachable_without_stacks(p), -1);
    ck_assert_int_eq(errno, EINVAL);
}

START_TEST(no_object)
{
    char local;
    is_no_object(NULL);
    is_no_object(&local);
    is_no_object(data);
    is_no_object((void *)1);
    is_no_object((void *)UINTPTR_MAX);
    char *freed = gc_malloc(SIZE), *large = gc_malloc(100000);
    uintptr_t f = (uintptr_t)freed, l = (uintptr_t)large;
    gc_free(freed);
    gc_free(large);
    is_no_object((void *)f);
    is_no_object((void *)l);
}
END_TEST

START_TEST(collected_before)
{
    make_hidden();
    gc_collect_without_stacks();
    for (size_t i = 0; i < N; i++)
        if (gc_is_reachable(reveal(hidden[i])) != -1 || errno != EINVAL)
            ck_abort_msg("object %zu was collected, and yet it has an answer", i);
}
END_TEST

static NOINLINE void *large_hidden(void) { return (void *)hide(gc_malloc(1000000)); }

START_TEST(every_kind)
{
    char *pinned = gc_malloc_uncollectable(100);
    uintptr_t h = hide(pinned);
    ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(h)), 1);
    gc_free(pinned);
    ck_assert_int_eq(gc_is_reachable(gc_malloc(0)), 1);
    uintptr_t large = (uintptr_t)large_hidden();
    gc_clear_stack(64 * 1024);
    ck_assert_int_eq(gc_is_reachable_without_stacks((char *)reveal(large) + 999999), 0);
    in_data[0] = (char *)reveal(large) + 500000;
    ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(large)), 1);
}
END_TEST

static unsigned events;
static void count_event(const struct gc_event *e, void *arg)
{
    (void)e;
    (void)arg;
    events++;
}

/* Objects, figures, errno and what is freed later are as if nobody had asked. */
START_TEST(asking_changes_nothing)
{
    struct gc_memstats before, after;
    make_list();
    make_hidden();
    read_stats(&before);
    gc_set_event_handler(count_event, NULL);
    errno = 77;
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(gc_is_reachable_without_stacks(reveal(hidden[i])), 0);
        ck_assert_int_eq(gc_is_reachable_without_stacks(list), 1);
    }
    ck_assert_int_eq(errno, 77);
    ck_assert_uint_eq(events, 0);
    gc_set_event_handler(NULL, NULL);
    read_stats(&after);
    ck_assert_uint_eq(after.heap_objects, before.heap_objects);
    ck_assert_uint_eq(after.num_gc, before.num_gc);
    ck_assert_uint_eq(after.next_gc, before.next_gc);
    gc_collect_without_stacks();
    read_stats(&after);
    ck_assert_uint_le(after.heap_objects, before.heap_objects - N);
    churn(SIZE, 3 * N);
    size_t n = 0;
    for (struct node *p = list; p; p = p->next)
        n++;
    ck_assert_uint_eq(n, N);
}
END_TEST

static void *ask_and_allocate(void *unused)
{
    (void)unused;
    void *volatile kept = make_filled(SIZE, 5);
    for (int i = 0; i < 200; i++) {
        churn(SIZE, 500);
        if (gc_is_reachable(kept) != 1)
            ck_abort_msg("a local was not reached");
        if (i % 10 == 0)
            gc_collect();
        check_live(kept, SIZE, 5);
    }
    return NULL;
}

START_TEST(by_many_threads)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, ask_and_allocate, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, dropped);
    tcase_add_test(tc, argument_does_not_count);
#if defined __x86_64__
    tcase_add_test(tc, dead_registers_do_not_count);
#endif
    tcase_add_test(tc, held_by_data);
    tcase_add_test(tc, held_by_objects);
    tcase_add_test(tc, held_by_a_stack);
    tcase_add_test(tc, held_by_another_thread);
    tcase_add_test(tc, held_by_a_thread_local_variable);
    tcase_add_test(tc, no_object);
    tcase_add_test(tc, collected_before);
    tcase_add_test(tc, every_kind);
    tcase_add_test(tc, asking_changes_nothing);
    tcase_add_test(tc, by_many_threads);
}
CHECK_MAIN("api/reach", tests)
