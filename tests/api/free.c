/* free.c - gc_free lets memory be used again: by the same thread, by others, small, large and uncollectable; and it
 * never lets go of what is not freed. Collections are forbidden throughout, so only gc_free can give memory back. */
#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <semaphore.h>

static uint64_t sys_bytes(void) { return read_stats(&(struct gc_memstats){0})->sys; }

static uint64_t random_state = 88172645463325252;

static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* Every slot of a table is freed and made again, over and over; what is held is checked as it goes. */
enum { SLOTS = 500 };
static struct slot {
    void *p;
    size_t size, i;
} slots[SLOTS];

static void replace(struct slot *s, size_t size, size_t i)
{
    if (s->p)
        check_filled(s->p, s->size, s->i);
    gc_free(s->p);
    *s = (struct slot){i % 2 ? gc_malloc(size) : gc_malloc_noscan(size), size, i};
    if (i % 2)
        check_zero(s->p, size);
    fill(s->p, size, i);
}

static void alloc_and_free(size_t rounds, size_t largest)
{
    for (size_t i = 0; i < rounds; i++)
        replace(&slots[random_below(SLOTS)], 16 + random_below(i % 16 == 0 ? largest : 256), i);
}

START_TEST(small_is_reused)
{
    gc_disable();
    alloc_and_free(100000, 2000);
    uint64_t before = sys_bytes();
    alloc_and_free(400000, 2000);
    ck_assert_uint_le(sys_bytes(), before + before / 8);
    ck_assert_uint_eq(read_stats(&(struct gc_memstats){0})->num_gc, 0);
}
END_TEST

START_TEST(large_is_reused)
{
    gc_disable();
    alloc_and_free(5000, 300000);
    uint64_t before = sys_bytes();
    alloc_and_free(10000, 300000);
    ck_assert_uint_le(sys_bytes(), before + before / 4);
    ck_assert_uint_eq(read_stats(&(struct gc_memstats){0})->num_gc, 0);
}
END_TEST

/* With collections at any moment: a slot that is freed, swept and handed out again is never two objects. */
START_TEST(with_collections)
{
    for (int i = 0; i < 200; i++) {
        alloc_and_free(1000, 50000);
        if (i % 2)
            gc_collect();
    }
}
END_TEST

START_TEST(one_object_over_and_over)
{
    gc_disable();
    gc_set_profile_rate(0);
    gc_free(launder(gc_malloc(48)));
    uint64_t before = sys_bytes();
    for (int i = 0; i < 1000000; i++)
        gc_free(launder(gc_malloc(48)));
    ck_assert_uint_eq(sys_bytes(), before);
}
END_TEST

START_TEST(uncollectable_is_reused)
{
    gc_set_profile_rate(0);
    static const size_t sizes[] = {1, 15, 16, 100, 5000, 100000};
    gc_disable();
    for (size_t k = 0; k < 6; k++) {
        uint64_t before = 0;
        for (int i = 0; i < 2000; i++) {
            void *p = gc_malloc_uncollectable(sizes[k]), *q = gc_malloc_uncollectable_noscan(sizes[k]);
            check_zero(p, sizes[k]);
            check_zero(q, sizes[k]);
            memset(p, 0xff, sizes[k]);
            memset(q, 0xff, sizes[k]);
            gc_free(p);
            gc_free(q);
            if (i == 200)
                before = sys_bytes();
        }
        ck_assert_uint_eq(sys_bytes(), before);
    }
}
END_TEST

/* Free in order, backwards and in stripes: what is left is whole. */
START_TEST(orders)
{
    enum { MANY = 6000 };
    static void *p[MANY];
    gc_disable();
    for (size_t stripe = 1; stripe < 6; stripe++) {
        for (size_t i = 0; i < MANY; i++)
            p[i] = make_filled(48, i);
        for (size_t i = 0; i < MANY; i++)
            if (i % stripe == 0)
                gc_free(p[i]);
        churn(48, MANY);
        for (size_t i = 0; i < MANY; i++)
            if (i % stripe != 0)
                check_filled(p[i], 48, i);
        for (size_t i = MANY; i-- > 0;)
            if (i % stripe != 0)
                gc_free(p[i]);
    }
}
END_TEST

/* Free pages are coalesced: many small objects become one large one. */
START_TEST(pages_coalesce)
{
    enum { MANY = 20000 };
    static void *p[MANY];
    gc_disable();
    for (size_t i = 0; i < MANY; i++)
        p[i] = gc_malloc(1024);
    for (size_t i = 0; i < MANY; i++) {
        gc_free(p[i]);
        p[i] = NULL;
    }
    gc_collect();
    uint64_t before = sys_bytes();
    void *large = gc_malloc(MANY * 1000);
    check_zero(large, MANY * 1000);
    ck_assert_uint_le(sys_bytes(), before + (1 << 20));
}
END_TEST

/* A large object's pages are idle as soon as it is freed. */
START_TEST(large_goes_at_once)
{
    struct gc_memstats before, held, after;
    gc_disable();
    launder(gc_malloc(100));
    gc_read_memstats(&before);
    void *p = gc_malloc(10 << 20);
    gc_read_memstats(&held);
    gc_free(p);
    gc_read_memstats(&after);
    ck_assert_uint_ge(held.heap_inuse, before.heap_inuse + (10 << 20));
    ck_assert_uint_eq(after.heap_inuse, before.heap_inuse);
    ck_assert_uint_eq(after.heap_objects, before.heap_objects);
    ck_assert_uint_eq(after.frees, before.frees + 1);
    ck_assert_uint_eq(after.alloc, before.alloc);
}
END_TEST

START_TEST(freed_is_no_object)
{
    static const size_t sizes[] = {16, 48, 1024, 32768, 100000};
    for (size_t k = 0; k < 5; k++) {
        for (int i = 0; i < 200; i++) {
            char *p = gc_malloc(sizes[k]);
            gc_free(p);
            if (gc_base(p) || gc_base(p + 5) || gc_usable_size(p) != 0 || gc_is_noscan(p) != -1)
                ck_abort_msg("%zu bytes at %p are an object after gc_free", sizes[k], (void *)p);
        }
    }
    gc_free(NULL);
}
END_TEST

/* One thread makes, another frees. */
enum { BATCH = 2000 };
static void *batch[BATCH];
static sem_t full, empty;
static bool done;

static void *free_batches(void *unused)
{
    for (;;) {
        while (sem_wait(&full) != 0)
            ;
        if (done)
            return unused;
        for (size_t i = 0; i < BATCH; i++) {
            check_filled(batch[i], 16 + i % 600, i);
            gc_free(batch[i]);
            batch[i] = NULL;
        }
        sem_post(&empty);
    }
}

static void pass_batches(int n)
{
    for (int round = 0; round < n; round++) {
        for (size_t i = 0; i < BATCH; i++)
            batch[i] = make_filled(16 + i % 600, i);
        sem_post(&full);
        while (sem_wait(&empty) != 0)
            ;
    }
}

static void with_freeing_thread(void (*fn)(void))
{
    pthread_t t;
    sem_init(&full, 0, 0);
    sem_init(&empty, 0, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, free_batches, NULL), 0);
    fn();
    done = true;
    sem_post(&full);
    pthread_join(t, NULL);
}

static void other_thread_bounded(void)
{
    gc_disable();
    pass_batches(20);
    uint64_t before = sys_bytes();
    pass_batches(200);
    ck_assert_uint_le(sys_bytes(), before + before / 4);
    ck_assert_uint_eq(read_stats(&(struct gc_memstats){0})->num_gc, 0);
}

START_TEST(other_thread) { with_freeing_thread(other_thread_bounded); }
END_TEST

static void pass_and_collect(void)
{
    for (int i = 0; i < 50; i++) {
        pass_batches(2);
        gc_collect();
    }
}

START_TEST(other_thread_with_collections) { with_freeing_thread(pass_and_collect); }
END_TEST

/* Made by a thread that has ended. */
static void *make_batch(void *unused)
{
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = make_filled(64, i);
    return unused;
}

enum { PASSERS = 3, PASSED = 256, PASS_ROUNDS = 10000 };
static _Atomic(void *) passed[PASSED];

/* Each puts an object in the place of one that another thread just took from its cache, and frees that. */
static void *pass_on(void *unused)
{
    for (size_t round = 0; round < PASS_ROUNDS; round++)
        for (size_t i = 0; i < PASSED; i++)
            gc_free(atomic_exchange(&passed[(i * 7 + round) % PASSED], launder(gc_malloc(48))));
    return unused;
}

/* mcache.pair: a live object of a group that its owner just finished is never taken for a slot not handed out. */
START_TEST(fresh_from_other_caches)
{
    pthread_t t[PASSERS];
    for (int i = 0; i < PASSERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, pass_on, NULL), 0);
    for (int i = 0; i < PASSERS; i++)
        pthread_join(t[i], NULL);
    settle();
    ck_assert_uint_le(heap_objects(), PASSED + 64);
}
END_TEST

/* Large objects are freed right after a collection, while the background sweeper is at their spans. */
START_TEST(large_being_swept)
{
    enum { LARGE = 400, LARGE_ROUNDS = 200 };
    static void *held[LARGE];
    struct gc_memstats st;
    for (int round = 0; round < LARGE_ROUNDS; round++) {
        for (int i = 0; i < LARGE; i++)
            held[i] = gc_malloc_noscan(40000);
        uint64_t cycles = read_stats(&st)->num_gc;
        do
            for (int i = 0; i < 8; i++)
                launder(gc_malloc_noscan(400000));
        while (read_stats(&st)->num_gc == cycles);
        for (int i = LARGE; i-- > 0;)
            gc_free(held[i]);
    }
    memset(held, 0, sizeof held);
    settle();
    ck_assert_uint_le(heap_objects(), 64);
}
END_TEST

START_TEST(maker_has_ended)
{
    uint64_t before = 0;
    gc_disable();
    for (int round = 0; round < 60; round++) {
        pthread_t t;
        ck_assert_int_eq(pthread_create(&t, NULL, make_batch, NULL), 0);
        pthread_join(t, NULL);
        for (size_t i = 0; i < BATCH; i++) {
            check_filled(batch[i], 64, i);
            gc_free(batch[i]);
        }
        if (round == 10)
            before = sys_bytes();
    }
    ck_assert_uint_le(sys_bytes(), before + before / 4);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, small_is_reused);
    tcase_add_test(tc, large_is_reused);
    tcase_add_test(tc, with_collections);
    tcase_add_test(tc, one_object_over_and_over);
    tcase_add_test(tc, uncollectable_is_reused);
    tcase_add_test(tc, orders);
    tcase_add_test(tc, pages_coalesce);
    tcase_add_test(tc, large_goes_at_once);
    tcase_add_test(tc, freed_is_no_object);
    tcase_add_test(tc, other_thread);
    tcase_add_test(tc, other_thread_with_collections);
    tcase_add_test(tc, fresh_from_other_caches);
    tcase_add_test(tc, large_being_swept);
    tcase_add_test(tc, maker_has_ended);
}
CHECK_MAIN("api/free", tests)
