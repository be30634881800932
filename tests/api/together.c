/* together.c - several threads allocate at once and hand objects to each other, while another collects without pause:
 * every byte stays what its writer wrote. Holds mcache.claim, mcache.owner, stop.region, stop.memory. */
#include "helpers.h"

#include <pthread.h>

enum { THREADS = 4, SLOTS = 300, PER_THREAD = 30000, LARGEST = 50000 };

struct item {
    struct item *next;
    void *data;
    size_t size, i;
};

/* A queue of gc memory; its head is all that holds it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more, less;
    struct item *head, **tail;
    size_t n;
    int writers;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .less = PTHREAD_COND_INITIALIZER};

static _Atomic bool collecting = true;
static _Atomic uint64_t received, sent;

static size_t size_of(size_t i) { return 1 + (i % 97 == 0 ? i * 131 % LARGEST : i * 13 % 700); }

static void put(struct item *it)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.n >= SLOTS)
        pthread_cond_wait(&queue.less, &queue.lock);
    *queue.tail = it;
    queue.tail = &it->next;
    queue.n++;
    pthread_cond_signal(&queue.more);
    pthread_mutex_unlock(&queue.lock);
}

static struct item *get(void)
{
    pthread_mutex_lock(&queue.lock);
    while (!queue.head && queue.writers > 0)
        pthread_cond_wait(&queue.more, &queue.lock);
    struct item *it = queue.head;
    if (it) {
        queue.head = it->next;
        if (!queue.head)
            queue.tail = &queue.head;
        queue.n--;
        pthread_cond_signal(&queue.less);
    }
    pthread_mutex_unlock(&queue.lock);
    return it;
}

static struct item *make_item(size_t i)
{
    struct item *it = gc_malloc(sizeof *it);
    if (!it || it->next || it->data)
        ck_abort_msg("an item that is not zero at %p", (void *)it);
    it->size = size_of(i);
    it->i = i;
    it->data = i % 3 ? gc_malloc(it->size) : gc_malloc_noscan(it->size);
    if (!it->data)
        ck_abort_msg("no memory for %zu bytes", it->size);
    if (i % 3)
        check_zero(it->data, it->size);
    fill(it->data, it->size, i);
    return it;
}

static void *write_items(void *number)
{
    size_t first = (size_t)(uintptr_t)number * PER_THREAD;
    for (size_t i = first; i < first + PER_THREAD; i++) {
        put(make_item(i));
        sent++;
    }
    pthread_mutex_lock(&queue.lock);
    queue.writers--;
    pthread_cond_broadcast(&queue.more);
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

/* Some are freed by hand, some kept for a while, the rest is left to the collector. */
static void *read_items(void *unused)
{
    struct item *kept[64] = {NULL}, *it;
    while ((it = get()) != NULL) {
        check_filled(it->data, it->size, it->i);
        received++;
        struct item **slot = &kept[it->i % 64];
        if (*slot) {
            check_filled((*slot)->data, (*slot)->size, (*slot)->i);
            if ((*slot)->i % 2) {
                gc_free((*slot)->data);
                (*slot)->data = NULL;
            }
        }
        it->next = NULL;
        *slot = it;
    }
    return unused;
}

static void *collect_always(void *unused)
{
    while (collecting)
        gc_collect();
    return unused;
}

static void hand_over(bool collector)
{
    pthread_t writers[THREADS], readers[THREADS], c;
    queue.tail = &queue.head;
    queue.writers = THREADS;
    if (collector)
        ck_assert_int_eq(pthread_create(&c, NULL, collect_always, NULL), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_items, (void *)i), 0);
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_items, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(writers[i], NULL);
        pthread_join(readers[i], NULL);
    }
    collecting = false;
    if (collector)
        pthread_join(c, NULL);
    ck_assert_uint_eq(received, (uint64_t)THREADS * PER_THREAD);
    ck_assert_uint_eq(sent, received);
}

START_TEST(hand_over_while_collecting) { hand_over(true); }
END_TEST
START_TEST(hand_over_as_due)
{
    struct gc_memstats st;
    hand_over(false);
    ck_assert_uint_gt(read_stats(&st)->num_gc, 3);
}
END_TEST

/* Every thread for itself: a tree, a table of each kind of object, checked again and again. */
struct own {
    pthread_t thread;
    size_t number;
};

static void *work_alone(void *arg)
{
    const struct own *o = arg;
    void *held[SLOTS] = {NULL};
    size_t number[SLOTS];
    for (size_t i = 0; i < 40000; i++) {
        size_t k = (i * 7919 + o->number) % SLOTS, size = size_of(i + o->number);
        if (held[k])
            check_filled(held[k], size_of(number[k]), number[k]);
        switch (i % 5) {
        case 0:
            held[k] = gc_malloc_noscan(size);
            break;
        case 1:
            gc_free(held[k]);
            held[k] = gc_malloc(size);
            break;
        case 2:
            held[k] = gc_realloc(held[k], size);
            break;
        default:
            held[k] = gc_malloc(size);
        }
        number[k] = i + o->number;
        fill(held[k], size, number[k]);
    }
    return NULL;
}

START_TEST(side_by_side)
{
    struct own own[THREADS];
    pthread_t c;
    ck_assert_int_eq(pthread_create(&c, NULL, collect_always, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        own[i].number = i * 1000;
        ck_assert_int_eq(pthread_create(&own[i].thread, NULL, work_alone, &own[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(own[i].thread, NULL);
    collecting = false;
    pthread_join(c, NULL);
}
END_TEST

/* Several collect at once, read the figures and change settings: nothing waits for ever. */
static void *do_everything(void *number)
{
    struct gc_memstats st;
    for (int i = 0; i < 150; i++) {
        void *p = make_filled(100, (size_t)i);
        switch (((uintptr_t)number + (uintptr_t)i) % 6) {
        case 0:
            gc_collect();
            break;
        case 1:
            gc_read_memstats(&st);
            break;
        case 2:
            gc_set_percent(50 + i);
            break;
        case 3:
            gc_add_roots(&st, &st + 1);
            gc_remove_roots(&st, &st + 1);
            break;
        case 4:
            gc_release_memory();
            break;
        default:
            gc_disable();
            churn(100, 100);
            gc_enable();
        }
        check_filled(p, 100, (size_t)i);
    }
    return NULL;
}

START_TEST(everything_at_once)
{
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, do_everything, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    ck_assert_int_eq(gc_disabled_depth(), 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, hand_over_while_collecting);
    tcase_add_test(tc, hand_over_as_due);
    tcase_add_test(tc, side_by_side);
    tcase_add_test(tc, everything_at_once);
}
CHECK_MAIN("api/together", tests)
