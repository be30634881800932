/* announced.c - a thread that was announced and is not known yet can be listed by who stops the world, when there is no
 * memory for a record any more; and what was in reserve for it goes back. Holds thread.reserve. */
#include "../asleep.h"
#include "heap.h"

#include "heap/fixalloc.h"
#include "heap/persistentalloc.h"
#include "os/os_real.h"
#include "world/thread.h"
#include "world/worker.h"

enum { NOBODY = 1 << 30 /* no thread's id */ };

static _Atomic int tid;
static uint64_t before; /* bytes of records in use: where the library has started, there is one */
static uint32_t threads;

/* No record can be had but those that are free. */
static void refuse_memory(void)
{
    os_fail(1, true);
    while (persistentalloc(FIXALLOC_CHUNK, 64, SYS_OTHER))
        ;
}

static struct thread *announce(void)
{
    lock_acquire(&world_lock);
    struct thread *t = thread_announce();
    lock_release(&world_lock);
    return t;
}

static void *become_known(void *record)
{
    tid = own_tid();
    thread_adopt(record);
    return NULL;
}

START_TEST(found_before_it_is_known)
{
    pthread_t id;
    struct thread *t = announce();
    ck_assert_ptr_nonnull(t);
    refuse_memory();
    lock_acquire(&world_lock);
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, become_known, t), 0);
    wait_until_asleep(&tid);
    ck_assert_ptr_nonnull(thread_list_found(tid));
    ck_assert_ptr_null(thread_list_found(NOBODY));
    lock_release(&world_lock);
    ck_assert_int_eq(pthread_join(id, NULL), 0);
    ck_assert_uint_eq(thread_record_bytes(), before);
    ck_assert_uint_eq(thread_count, threads);
}
END_TEST

START_TEST(known_in_time)
{
    pthread_t id;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, become_known, announce()), 0);
    ck_assert_int_eq(pthread_join(id, NULL), 0);
    ck_assert_uint_eq(thread_record_bytes(), before);
}
END_TEST

START_TEST(in_vain)
{
    thread_announced_in_vain(announce());
    ck_assert_uint_eq(thread_record_bytes(), before);
}
END_TEST

/* What one leaves serves the other no more than memory for both does. */
START_TEST(of_two_each_has_its_own)
{
    struct thread *a = announce(), *b = announce();
    refuse_memory();
    lock_acquire(&world_lock);
    struct thread *x = thread_list_found(NOBODY), *y = thread_list_found(NOBODY + 1);
    ck_assert(x && y && !thread_list_found(NOBODY + 2));
    thread_forget_dead(x);
    lock_release(&world_lock);
    thread_announced_in_vain(a);
    lock_acquire(&world_lock);
    thread_forget_dead(y);
    lock_release(&world_lock);
    thread_announced_in_vain(b);
    ck_assert_uint_eq(thread_record_bytes(), before);
}
END_TEST

START_TEST(without_memory_for_both)
{
    lock_acquire(&world_lock);
    struct thread *x = thread_list_found(NOBODY);
    refuse_memory();
    thread_forget_dead(x);
    lock_release(&world_lock);
    ck_assert_ptr_null(announce());
    ck_assert_uint_eq(thread_record_bytes(), before);
    ck_assert(!worker_start(become_known, NULL));
    lock_acquire(&world_lock);
    ck_assert_ptr_nonnull(thread_list_found(NOBODY));
    lock_release(&world_lock);
}
END_TEST

static void note_records(void)
{
    before = thread_record_bytes();
    threads = thread_count;
}

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, note_records, NULL);
    tcase_add_test(tc, found_before_it_is_known);
    tcase_add_test(tc, known_in_time);
    tcase_add_test(tc, in_vain);
    tcase_add_test(tc, of_two_each_has_its_own);
    tcase_add_test(tc, without_memory_for_both);
}

CHECK_MAIN("unit/announced", tests)
