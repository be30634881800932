/* garbage.c - what nothing holds is freed: 95 of 100 dropped objects at least (the scan is conservative, a stray word
 * may hold a few), cycles, lists too long for any stack, wide arrays. Each is the twin of a test in held.c. */
#include "helpers.h"

#include <pthread.h>

/* A stray of before may have gone meanwhile. */
static uint64_t objects_since(uint64_t before)
{
    uint64_t now = heap_objects();
    return now > before ? now - before : 0;
}

static uint64_t live_bytes(void) { return read_stats(&(struct gc_memstats){0})->alloc; }

/* n objects that drop(n, size) makes and leaves; all but a few must go. */
static void is_freed(void (*drop)(size_t n, size_t size), size_t n, size_t size)
{
    settle();
    uint64_t before = heap_objects();
    gc_disable();
    drop(n, size);
    uint64_t made = heap_objects() - before;
    ck_assert_uint_ge(made, n);
    settle();
    gc_enable();
    uint64_t left = objects_since(before);
    if (left > made / 20)
        ck_abort_msg("%llu of %llu objects of %zu bytes are left", (unsigned long long)left, (unsigned long long)made,
                     size);
}

static NOINLINE void drop_plain(size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++)
        make_filled(size, i);
}

static NOINLINE void drop_noscan(size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++)
        fill(launder(gc_malloc_noscan(size)), size, i);
}

START_TEST(plain)
{
    static const size_t sizes[] = {1, 8, 16, 48, 64, 1024, 8192, 32768, 32769, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        is_freed(drop_plain, 1000, sizes[i]);
        if (sizes[i] >= 16)
            is_freed(drop_noscan, 1000, sizes[i]);
    }
}
END_TEST

/* A pointer one past the end counts on stacks and in registers, not in data. */
static void *past[1000];

static NOINLINE void drop_past(size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        char *p = make_filled(size, i);
        make_filled(size, i);
        past[i % 1000] = p + size;
    }
}

START_TEST(one_past_in_data)
{
    settle();
    uint64_t before = heap_objects();
    drop_past(1000, 64);
    launder(past);
    settle();
    /* Of each pair the second is held, by its start. */
    ck_assert_uint_le(heap_objects() - before, 1050);
}
END_TEST

/* Chained both ways: nothing but the chain itself refers to any. */
struct node {
    struct node *next, *prev;
};

static NOINLINE void drop_ring(size_t n, size_t size)
{
    struct node *first = gc_malloc(size), *last = first;
    for (size_t i = 1; i < n; i++) {
        struct node *x = gc_malloc(size);
        x->prev = last;
        last->next = x;
        last = x;
    }
    last->next = first;
    first->prev = last;
}

START_TEST(rings)
{
    is_freed(drop_ring, 1000, 16);
    is_freed(drop_ring, 1000, 64);
    is_freed(drop_ring, 100, 50000);
}
END_TEST

static NOINLINE void drop_selves(size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        void **p = gc_malloc(size);
        *p = p;
    }
}

START_TEST(selves) { is_freed(drop_selves, 1000, 32); }
END_TEST

/* One held member keeps all of its ring. */
static struct node *held;

static NOINLINE void build_held_ring(size_t n)
{
    struct node *first = held = gc_malloc(sizeof *held);
    for (size_t i = 1; i < n; i++) {
        struct node *x = gc_malloc(sizeof *x);
        x->next = held;
        held->prev = x;
        held = x;
    }
    held->prev = first;
    first->next = held;
}

START_TEST(held_ring)
{
    settle();
    uint64_t before = heap_objects();
    build_held_ring(1000);
    settle();
    ck_assert_uint_ge(heap_objects() - before, 1000);
    held = NULL;
    settle();
    ck_assert_uint_le(heap_objects() - before, 50);
}
END_TEST

/* A noscan table of pointers holds nothing; the same table, scanned, holds all. */
static NOINLINE void fill_table(void **table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table[i] = make_filled(64, i);
}

static uint64_t left_of_table(void **table, size_t n)
{
    settle();
    gc_disable();
    uint64_t before = heap_objects();
    fill_table(table, n);
    settle();
    gc_enable();
    uint64_t left = objects_since(before);
    gc_keep_alive(table);
    return left;
}

START_TEST(noscan_holds_nothing)
{
    static const size_t lengths[] = {20, 100, 4000, 100000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        uint64_t left = left_of_table(gc_malloc_noscan(n * sizeof(void *)), n);
        ck_assert_uint_le(left, n / 20 + 2);
        left = left_of_table(gc_aligned_alloc_noscan(64, n * sizeof(void *)), n);
        ck_assert_uint_le(left, n / 20 + 2);
        left = left_of_table(gc_malloc(n * sizeof(void *)), n);
        ck_assert_uint_ge(left + 2, n); /* a stray or two from before may have gone meanwhile */
    }
}
END_TEST

/* Pointers that only a freed object holds are gone too. */
START_TEST(freed_holds_nothing)
{
    enum { TABLE = 1000 };
    static const size_t words[] = {1000, 100000};
    for (int i = 0; i < 2; i++) {
        settle();
        uint64_t before = heap_objects();
        void **table = gc_malloc(words[i] * sizeof *table);
        fill_table(table, TABLE);
        gc_free(table);
        settle();
        ck_assert_uint_le(objects_since(before), TABLE / 20);
        gc_keep_alive(table);
    }
}
END_TEST

/* gc_clear_stack clears what a deep call left. */
static NOINLINE uint64_t deep(int depth)
{
    void *volatile local[64];
    for (int i = 0; i < 64; i++)
        local[i] = gc_malloc(64);
    uint64_t sum = depth > 0 ? deep(depth - 1) : 0;
    return sum + (local[63] != NULL);
}

START_TEST(cleared_stack_holds_nothing)
{
    settle();
    uint64_t before = heap_objects();
    ck_assert_uint_eq(deep(40), 41);
    gc_clear_stack(256 * 1024);
    gc_collect();
    ck_assert_uint_le(heap_objects() - before, 41 * 64 / 20);
}
END_TEST

/* More than there is: as much as there is, on every stack. */
static void *clear_too_much(void *unused)
{
    char local[1000];
    fill(local, sizeof local, 1);
    gc_clear_stack(0);
    gc_clear_stack(1);
    gc_clear_stack(1 << 30);
    gc_clear_stack(SIZE_MAX);
    check_filled(local, sizeof local, 1);
    return unused;
}

START_TEST(clear_too_much_stack)
{
    pthread_attr_t attr;
    pthread_t t;
    clear_too_much(NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    ck_assert_int_eq(pthread_create(&t, &attr, clear_too_much, NULL), 0);
    pthread_join(t, NULL);
}
END_TEST

/* A list that no recursive marker survives. */
struct cell {
    struct cell *next;
};

static NOINLINE struct cell *long_list(size_t n)
{
    struct cell *list = NULL;
    for (size_t i = 0; i < n; i++) {
        struct cell *c = gc_malloc(sizeof *c);
        c->next = list;
        list = c;
    }
    return list;
}

static NOINLINE size_t length(const struct cell *c)
{
    size_t n = 0;
    for (; c; c = c->next)
        n++;
    return n;
}

START_TEST(long_lists)
{
    static struct cell *list;
    size_t n = checks_full() || getenv("SANITIZER") ? 2000000 : 50000000;
    list = long_list(n);
    settle();
    ck_assert_uint_eq(length(list), n);
    ck_assert_uint_ge(live_bytes(), n * sizeof *list);
    list = NULL;
    settle();
    ck_assert_uint_le(live_bytes(), n * sizeof *list / 20);
}
END_TEST

/* A million pointers in one object: as many grey objects at once. */
enum { WIDE = 1000000 };
static struct cell **wide;

static size_t wide_length(size_t i) { return i % 100 == 0 ? 3 : 1; }

static NOINLINE void build_wide(void)
{
    wide = gc_malloc(WIDE * sizeof *wide);
    for (size_t i = 0; i < WIDE; i++)
        wide[i] = long_list(wide_length(i));
}

static NOINLINE void check_wide(void)
{
    for (size_t i = 0; i < WIDE; i++)
        if (length(wide[i]) != wide_length(i))
            ck_abort_msg("list %zu", i);
}

START_TEST(wide_array)
{
    build_wide();
    settle();
    check_wide();
    uint64_t bytes = live_bytes();
    ck_assert_uint_ge(bytes, WIDE * (sizeof *wide + sizeof(struct cell)));
    wide = NULL;
    settle();
    ck_assert_uint_le(live_bytes(), bytes / 20);
}
END_TEST

/* A tree that is deep and wide; half of it is cut off. */
struct tree {
    struct tree *left, *right;
};

static NOINLINE struct tree *grow(int depth)
{
    struct tree *t = gc_malloc(sizeof *t);
    if (depth > 0) {
        t->left = grow(depth - 1);
        t->right = grow(depth - 1);
    }
    return t;
}

static NOINLINE size_t count(const struct tree *t) { return t ? 1 + count(t->left) + count(t->right) : 0; }

START_TEST(trees)
{
    static struct tree *root;
    enum { DEPTH = 17, ALL = (1 << (DEPTH + 1)) - 1 };
    settle();
    uint64_t before = heap_objects();
    root = grow(DEPTH);
    settle();
    ck_assert_uint_eq(count(root), ALL);
    root->left = NULL;
    settle();
    ck_assert_uint_eq(count(root), ALL / 2 + 1);
    uint64_t left = heap_objects() - before;
    ck_assert_uint_ge(left, ALL / 2 + 1);
    ck_assert_uint_le(left, ALL / 2 + 1 + ALL / 20);
}
END_TEST

/* Garbage made for long does not add up: no call to gc_collect here. */
START_TEST(garbage_does_not_add_up)
{
    struct gc_memstats st;
    for (int i = 0; i < 2000000; i++)
        launder(gc_malloc(16 + (size_t)i % 512));
    read_stats(&st);
    ck_assert_uint_gt(st.num_gc, 10);
    ck_assert_uint_eq(st.num_forced_gc, 0);
    ck_assert_uint_le(st.heap_sys, 32 << 20);
    ck_assert_uint_ge(st.total_alloc, UINT64_C(500000000));
}
END_TEST

START_TEST(without_stacks)
{
    static void *table[1000];
    void *local[1000];
    settle();
    uint64_t before = heap_objects();
    fill_table(local, 1000);
    gc_collect_without_stacks();
    ck_assert_uint_le(heap_objects() - before, 5);
    fill_table(table, 1000);
    gc_collect_without_stacks();
    ck_assert_uint_ge(heap_objects() - before, 1000);
    gc_keep_alive(local);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, plain);
    tcase_add_test(tc, one_past_in_data);
    tcase_add_test(tc, rings);
    tcase_add_test(tc, selves);
    tcase_add_test(tc, held_ring);
    tcase_add_test(tc, noscan_holds_nothing);
    tcase_add_test(tc, freed_holds_nothing);
    tcase_add_test(tc, cleared_stack_holds_nothing);
    tcase_add_test(tc, clear_too_much_stack);
    tcase_add_test(tc, long_lists);
    tcase_add_test(tc, wide_array);
    tcase_add_test(tc, trees);
    tcase_add_test(tc, garbage_does_not_add_up);
    tcase_add_test(tc, without_stacks);
}
CHECK_MAIN("api/garbage", tests)
