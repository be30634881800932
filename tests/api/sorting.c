/* sorting.c - qsort and qsort_r, which the library replaces: they sort, stably, elements of any size; what they sort is
 * held all the while; the comparison may leave as it likes. Holds sort.seen, sort.stable, sort.quiet. */
#include "helpers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

enum { MANY = 100000, STORM = 20 };

static unsigned long next_random(void)
{
    static unsigned long x = 88172645463325252UL;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

/* ---- sorted, stable, nothing lost ---- */

static size_t key_bytes;

/* The first byte, or with more room two, are the key; the rest of an element tells where it was. */
static int by_key(const void *a, const void *b)
{
    const unsigned char *x = a, *y = b;
    if (x[0] != y[0])
        return x[0] < y[0] ? -1 : 1;
    return key_bytes > 1 ? (x[1] > y[1]) - (x[1] < y[1]) : 0;
}

static int by_key_r(const void *a, const void *b, void *arg)
{
    ++*(size_t *)arg;
    return by_key(a, b);
}

/* Bytes past the key: the index, as far as there is room, then noise that depends on it. */
static void make_element(unsigned char *e, size_t size, size_t i, unsigned keys)
{
    for (size_t k = 0; k < size; k++)
        e[k] = (unsigned char)(k < key_bytes + 4 ? 0 : i * 7 + k * 13);
    e[0] = (unsigned char)(next_random() % keys);
    if (key_bytes > 1)
        e[1] = (unsigned char)(next_random() % 3);
    for (size_t k = 0; k < 4 && key_bytes + k < size; k++)
        e[key_bytes + k] = (unsigned char)(i >> 8 * k);
}

/* What a stable sort must give: insertion by binary search, after all that are not greater. */
static void reference(unsigned char *to, const unsigned char *from, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        size_t lo = 0, hi = i;
        while (lo < hi) {
            size_t middle = (lo + hi) / 2;
            if (by_key(to + middle * size, from + i * size) <= 0)
                lo = middle + 1;
            else
                hi = middle;
        }
        memmove(to + (lo + 1) * size, to + lo * size, (i - lo) * size);
        memcpy(to + lo * size, from + i * size, size);
    }
}

static void sort_and_compare(size_t n, size_t size, size_t offset, unsigned keys)
{
    unsigned char *room = malloc(n * size + offset + 2), *a = room + offset, *want = malloc(n * size + 1);
    size_t calls = 0;
    key_bytes = size > 8 ? 2 : 1;
    for (size_t i = 0; i < n; i++)
        make_element(a + i * size, size, i, keys);
    reference(want, a, n, size);
    a[n * size] = 0x5a;
    errno = 99;
    if (n % 2)
        qsort_r(a, n, size, by_key_r, &calls);
    else
        qsort(a, n, size, by_key);
    if (memcmp(a, want, n * size) != 0 || a[n * size] != 0x5a || errno != 99)
        ck_abort_msg("%zu elements of %zu bytes at offset %zu: wrong", n, size, offset);
    if (n % 2 && n > 1)
        ck_assert_uint_ge(calls, n - 1);
    free(room);
    free(want);
}

static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 24, 31, 32, 33, 40, 63, 64, 65, 100, 1000, 5000};

START_TEST(sorts_stably)
{
    static const size_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 64, 100, 128, 129, 255, 513, 1000};
    size_t size = sizes[_i];
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (size_t offset = 0; offset < 9; offset += 1 + offset / 2)
            sort_and_compare(counts[k], size, offset, k % 2 ? 200 : 3);
}
END_TEST

START_TEST(sorts_many)
{
    sort_and_compare(20001, 8, 0, 250);
    sort_and_compare(20000, 24, 0, 250);
    sort_and_compare(20001, 48, 0, 250);
}
END_TEST

/* Nothing stays behind. */
START_TEST(leaves_nothing)
{
    sort_and_compare(20000, 8, 0, 250);
    uint64_t before = heap_objects();
    for (int i = 0; i < 20; i++) {
        sort_and_compare(200, 8, 0, 250);
        sort_and_compare(20000, 8, 0, 250);
    }
    ck_assert_uint_eq(heap_objects(), before);
}
END_TEST

/* ---- without memory ---- */

static unsigned complaints;
static void *count_complaint(size_t bytes)
{
    (void)bytes;
    complaints++;
    return NULL;
}

/* Sorted all the same, and nobody is told. */
START_TEST(sorts_in_place)
{
    size_t size = sizes[_i], n = 9000000 / (size < 100 ? 100 : size);
    unsigned char *a = malloc(n * size);
    uint64_t sum = 0;
    key_bytes = 1;
    for (size_t i = 0; i < n; i++)
        make_element(a + i * size, size, i, 250);
    for (size_t i = 0; i < n * size; i++)
        sum += a[i] * (size == 1 ? 1 : i % size + 1);
    gc_set_oom_handler(count_complaint);
    gc_disable();
    gc_set_frozen(1);
    while (gc_malloc(100000))
        ;
    qsort(a, n, size, by_key);
    gc_set_frozen(0);
    gc_enable();
    for (size_t i = 1; i < n; i++)
        if (by_key(a + (i - 1) * size, a + i * size) > 0)
            ck_abort_msg("size %zu: not sorted at %zu", size, i);
    for (size_t i = 0; i < n * size; i++)
        sum -= a[i] * (size == 1 ? 1 : i % size + 1);
    ck_assert_uint_eq(sum, 0);
    ck_assert_uint_eq(complaints, 1);
    free(a);
}
END_TEST

/* ---- pointers to objects, while others collect ---- */

struct item {
    uintptr_t key;
    uintptr_t check;
};
struct wide {
    struct item *item;
    char more[40];
};

static struct item **items;
static struct wide *wides;
static _Atomic bool enough;

static NOINLINE struct item *new_item(uintptr_t key)
{
    struct item *p = gc_malloc(sizeof *p);
    p->key = key;
    p->check = ~key;
    return p;
}

static NOINLINE void check_item(const struct item *p, const void *from)
{
    if (gc_base(p) != p || p->check != ~p->key)
        ck_abort_msg("the item %p at %p was lost", (const void *)p, from);
}

static int by_item(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    if (x->check != ~x->key || y->check != ~y->key)
        ck_abort_msg("an item was lost during the sort");
    return (x->key > y->key) - (x->key < y->key);
}

static void *collect_all_the_time(void *unused)
{
    (void)unused;
    while (!enough) {
        gc_collect();
        churn(sizeof(struct item), 20000);
    }
    return NULL;
}

START_TEST(pointers_in_a_storm)
{
    pthread_t t;
    items = gc_malloc(MANY * sizeof *items);
    ck_assert_int_eq(pthread_create(&t, NULL, collect_all_the_time, NULL), 0);
    for (int round = 0; round < share_of(STORM); round++) {
        for (size_t i = 0; i < MANY; i++)
            items[i] = new_item(next_random() % 1000000);
        qsort(items, MANY, sizeof *items, by_item);
        for (size_t i = 0; i < MANY; i++) {
            check_item(items[i], &items[i]);
            if (i > 0 && items[i - 1]->key > items[i]->key)
                ck_abort_msg("not sorted at %zu", i);
        }
    }
    enough = true;
    pthread_join(t, NULL);
}
END_TEST

START_TEST(wide_elements_in_a_storm)
{
    pthread_t t;
    size_t n = MANY / 4;
    wides = gc_malloc(n * sizeof *wides);
    ck_assert_int_eq(pthread_create(&t, NULL, collect_all_the_time, NULL), 0);
    for (int round = 0; round < share_of(STORM); round++) {
        for (size_t i = 0; i < n; i++)
            wides[i].item = new_item(next_random() % 1000000);
        qsort(wides, n, sizeof *wides, by_item);
        for (size_t i = 0; i < n; i++)
            check_item(wides[i].item, &wides[i]);
    }
    enough = true;
    pthread_join(t, NULL);
}
END_TEST

/* The comparison allocates, collects, sorts. */
static int by_item_busily(const void *a, const void *b)
{
    static unsigned n;
    if (++n % 64 == 0) {
        struct item *some[200];
        for (size_t i = 0; i < 200; i++)
            some[i] = new_item(next_random());
        qsort(some, 200, sizeof *some, by_item);
        for (size_t i = 0; i < 200; i++)
            check_item(some[i], &some[i]);
    }
    if (n % 512 == 0)
        gc_collect();
    return by_item(a, b);
}

START_TEST(busy_comparison)
{
    items = gc_malloc(3000 * sizeof *items);
    for (size_t i = 0; i < 3000; i++)
        items[i] = new_item(next_random());
    qsort(items, 3000, sizeof *items, by_item_busily);
    for (size_t i = 0; i < 3000; i++)
        check_item(items[i], &items[i]);
}
END_TEST

/* ---- the comparison does not return ---- */

static jmp_buf out;
static unsigned countdown;

static int by_item_until(const void *a, const void *b)
{
    if (countdown-- == 0)
        longjmp(out, 1);
    return by_item(a, b);
}

static bool in_item_order(size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (items[i - 1]->key > items[i]->key)
            return false;
    return true;
}

/* Each jump leaves every item in the array, exactly once. */
START_TEST(jumps_out)
{
    enum { N = 1500 };
    items = gc_malloc(N * sizeof *items);
    for (size_t i = 0; i < N; i++)
        items[i] = new_item(i * 7919 % N);
    for (volatile unsigned k = 0; k < 20; k++) {
        countdown = 1 + k * 700;
        if (setjmp(out) == 0)
            qsort(items, N, sizeof *items, by_item_until);
        settle();
        churn(sizeof(struct item), 2 * N);
        static unsigned char seen[N];
        memset(seen, 0, sizeof seen);
        for (size_t i = 0; i < N; i++) {
            check_item(items[i], &items[i]);
            if (seen[items[i]->key]++)
                ck_abort_msg("after %u comparisons item %zu is there twice", 1 + k * 700, (size_t)items[i]->key);
        }
    }
    qsort(items, N, sizeof *items, by_item);
    ck_assert(in_item_order(N));
}
END_TEST

static int by_item_then_exit(const void *a, const void *b)
{
    if (countdown-- == 0)
        pthread_exit((void *)1);
    return by_item(a, b);
}

static void *sort_and_exit(void *unused)
{
    (void)unused;
    qsort(items, 1500, sizeof *items, by_item_then_exit);
    return NULL;
}

START_TEST(ends_the_thread)
{
    items = gc_malloc(1500 * sizeof *items);
    for (size_t i = 0; i < 1500; i++)
        items[i] = new_item(next_random());
    for (unsigned k = 0; k < 10; k++) {
        pthread_t t;
        void *result;
        countdown = 1 + k * 700;
        ck_assert_int_eq(pthread_create(&t, NULL, sort_and_exit, NULL), 0);
        ck_assert_int_eq(pthread_join(t, &result), 0);
        ck_assert_ptr_eq(result, (void *)1);
        for (size_t i = 0; i < 1500; i++)
            check_item(items[i], &items[i]);
    }
    settle();
    uint64_t objects = heap_objects();
    ck_assert_uint_le(objects, 1500 + 100);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, sorts_stably, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(tc, sorts_many);
    tcase_add_test(tc, leaves_nothing);
    tcase_add_loop_test(tc, sorts_in_place, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(tc, pointers_in_a_storm);
    tcase_add_test(tc, wide_elements_in_a_storm);
    tcase_add_test(tc, busy_comparison);
    tcase_add_test(tc, jumps_out);
    tcase_add_test(tc, ends_the_thread);
}
CHECK_MAIN("api/sorting", tests)
