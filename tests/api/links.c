/* links.c - a link becomes 0 when its target is no more, and is left alone else: by collections and by gc_free of either
 * end, replaced, beside collections. Holds weaklink.both, lifetimes.cleared. */
#include "beside.h"

#include <stdatomic.h>

enum { SIZE = 48, MANY = 100000 };

static void **volatile holder; /* 4 words, not scanned */
static void *volatile target;

static NOINLINE void make_both(size_t size, size_t offset)
{
    char *p = make_filled(size, 1);
    holder = gc_calloc_noscan(4, sizeof *holder);
    holder[1] = p + offset;
    if (gc_weak_link(&holder[1]) != 0)
        abort();
    target = p;
}

static void collect(void) { gc_collect_without_stacks(); }

START_TEST(refused)
{
    static void *data;
    void *local = NULL, **h = gc_calloc_noscan(4, sizeof *h), *gone = gc_malloc(SIZE);
    char *tiny = gc_malloc_noscan(3);
    gc_free(gone);
    void **bad[] = {NULL,
                    &data,
                    &local,
                    (void **)((char *)h + 4),
                    gone,
                    (void **)UINTPTR_MAX,
                    (void **)launder(tiny),
                    (void **)launder(gc_ephemeron_new(h, h))};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_int_eq(gc_weak_link(bad[i]), -1);
        ck_assert_int_eq(errno, EINVAL);
        errno = 0;
        ck_assert_int_eq(gc_weak_unlink(bad[i]), -1);
        ck_assert_int_eq(errno, EINVAL);
    }
    void *no_target[] = {NULL, &data, tiny, gone, gc_malloc(0), h, h + 3};
    for (size_t i = 0; i < sizeof no_target / sizeof *no_target; i++) {
        h[0] = no_target[i];
        errno = 0;
        ck_assert_int_eq(gc_weak_link(h), -1);
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_int_eq(gc_weak_unlink(h), -1);
    ck_assert_int_eq(errno, ENOENT);
    errno = 77;
    h[0] = gc_malloc(SIZE);
    ck_assert_int_eq(gc_weak_link(h), 0);
    ck_assert_int_eq(gc_weak_unlink(h), 0);
    ck_assert_int_eq(errno, 77);
}
END_TEST

static const size_t sizes[] = {8, SIZE, 1024, 100000};

START_TEST(zeroed_by_a_collection)
{
    size_t size = sizes[_i];
    make_both(size, size - 1);
    for (int i = 0; i < 3; i++) {
        collect();
        check_live(target, size, 1);
        ck_assert_ptr_eq(holder[1], (char *)target + size - 1);
    }
    target = NULL;
    collect();
    ck_assert_ptr_null(holder[1]);
    errno = 0;
    ck_assert_int_eq(gc_weak_unlink(&holder[1]), -1);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(zeroed_by_free)
{
    make_both(SIZE, 0);
    gc_free(target);
    ck_assert_ptr_null(holder[1]);
}
END_TEST

/* Its memory is another object's then. */
START_TEST(holder_goes)
{
    make_both(SIZE, 0);
    void **was = holder;
    if (_i) {
        gc_free(was);
    } else {
        holder = NULL;
        collect();
    }
    void **h;
    do
        h = launder(gc_malloc_noscan(4 * sizeof *h));
    while (h != was);
    h[1] = target;
    target = NULL;
    collect();
    ck_assert_ptr_nonnull(h[1]);
}
END_TEST

START_TEST(overwritten)
{
    make_both(SIZE, 0);
    void *other = make_filled(SIZE, 2);
    holder[1] = other;
    target = NULL;
    collect();
    ck_assert_ptr_eq(holder[1], other);
    holder[1] = (void *)77;
    make_both(SIZE, 0);
    ck_assert_int_eq(gc_weak_unlink(&holder[1]), 0);
    target = NULL;
    collect();
    ck_assert_ptr_nonnull(holder[1]);
}
END_TEST

/* A word that is scanned holds what it points to. */
START_TEST(scanned_word_holds)
{
    make_both(SIZE, 0);
    void **h = gc_calloc(4, sizeof *h);
    h[0] = target;
    ck_assert_int_eq(gc_weak_link(h), 0);
    target = h;
    collect();
    check_live(h[0], SIZE, 1);
    ck_assert_ptr_eq(holder[1], h[0]);
}
END_TEST

static void *volatile brought_back;

static void bring_back(void *obj, void *arg)
{
    (void)arg;
    if (holder[1])
        abort(); /* it was zeroed before */
    brought_back = obj;
}

START_TEST(target_brought_back)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    make_both(SIZE, 0);
    ck_assert_int_eq(gc_set_finalizer(target, bring_back, NULL, NULL, NULL), 0);
    target = NULL;
    collect();
    ck_assert_ptr_null(holder[1]);
    ck_assert_int_eq(gc_run_finalizers(), 1);
    check_live(brought_back, SIZE, 1);
}
END_TEST

static void keep_holder(void *obj, void *arg)
{
    (void)arg;
    holder = obj;
}

/* What a finalizer keeps keeps its links. */
START_TEST(holder_brought_back)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    make_both(SIZE, 0);
    ck_assert_int_eq(gc_set_finalizer(holder, keep_holder, NULL, NULL, NULL), 0);
    holder = NULL;
    collect();
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_ptr_eq(holder[1], target);
    target = NULL;
    collect();
    ck_assert_ptr_null(holder[1]);
}
END_TEST

START_TEST(not_by_a_question)
{
    make_both(SIZE, 0);
    void *t = target;
    target = NULL;
    ck_assert_int_eq(gc_is_reachable_without_stacks(t), 0);
    ck_assert_ptr_eq(holder[1], t);
}
END_TEST

/* A table of links to objects of which half live; then all to one. */
static void *volatile *lives;

static NOINLINE void fill_table(void)
{
    holder = gc_calloc_noscan(MANY, sizeof *holder);
    lives = gc_calloc(MANY, sizeof *lives);
    for (size_t i = 0; i < MANY; i++) {
        holder[i] = make_filled(16, i);
        if (gc_weak_link(&holder[i]) != 0)
            ck_abort_msg("link %zu", i);
        lives[i] = i % 2 ? holder[i] : NULL;
    }
}

static NOINLINE void check_table(void)
{
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2 == 0 && holder[i])
            ck_abort_msg("link %zu is not 0", i);
        if (i % 2)
            check_live(holder[i], 16, i);
    }
}

START_TEST(table_of_links)
{
    fill_table();
    collect();
    check_table();
    target = make_filled(SIZE, 1);
    for (size_t i = 0; i < MANY; i++) {
        holder[i] = target;
        if (gc_weak_link(&holder[i]) != 0)
            ck_abort_msg("link %zu", i);
    }
    lives = NULL;
    collect();
    for (size_t i = 0; i < MANY; i++)
        if (holder[i] != target || (i % 3 == 0 && gc_weak_unlink(&holder[i]) != 0))
            ck_abort_msg("link %zu", i);
    target = NULL;
    collect();
    for (size_t i = 0; i < MANY; i++)
        if ((holder[i] == NULL) != (i % 3 != 0))
            ck_abort_msg("link %zu", i);
}
END_TEST

/* Children that lead to a parent: all go, or some are freed. */
static void ***children;

static NOINLINE void make_children(void)
{
    target = make_filled(SIZE, 1);
    children = gc_calloc(MANY, sizeof *children);
    for (size_t i = 0; i < MANY; i++) {
        children[i] = gc_malloc_noscan(2 * sizeof **children);
        children[i][0] = target;
        if (gc_weak_link(children[i]) != 0)
            ck_abort_msg("link %zu", i);
    }
}

START_TEST(many_of_a_target)
{
    make_children();
    for (size_t i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            gc_free(children[i]);
        if (i % 3 < 2)
            children[i] = NULL;
    }
    collect();
    ck_assert_uint_eq(heap_objects(), MANY / 3 + 2);
    target = NULL;
    collect();
    for (size_t i = 2; i < MANY; i += 3)
        if (children[i][0])
            ck_abort_msg("link %zu is not 0", i);
}
END_TEST

START_TEST(leaves_nothing)
{
    struct gc_memstats st;
    uint64_t sys = 0;
    gc_set_profile_rate(0);
    for (int i = 0; i < 600; i++) {
        for (int k = 0; k < 1000; k++)
            make_both(SIZE, 0);
        if (i == 300)
            sys = read_stats(&st)->other_sys;
    }
    ck_assert_uint_eq(read_stats(&st)->other_sys, sys);
    ck_assert_uint_gt(st.num_gc, 3);
}
END_TEST

static void in_child(void *unused)
{
    (void)unused;
    collect();
    if (holder[1] != target)
        _exit(3);
    target = NULL;
    collect();
    if (holder[1])
        _exit(4);
}

START_TEST(forked)
{
    struct outcome o;
    make_both(SIZE, 0);
    run_child(in_child, NULL, &o);
    must_exit_0(&o);
    ck_assert_ptr_eq(holder[1], target);
}
END_TEST

/* ---- beside collections: each reads all links and puts new ones */

enum { TABLE = 64 };
static _Atomic(void *) *table; /* not scanned */

static NOINLINE void read_one(size_t i)
{
    unsigned char *p = atomic_load(&table[i]);
    if (!p) {
        atomic_fetch_add(&missing, 1);
        return;
    }
    check_filled(p, SIZE, i);
    if (gc_base(p) != p)
        ck_abort_msg("%p is no object", (void *)p);
    atomic_fetch_add(&seen, 1);
}

/* Only one of the threads writes a word, so that it still points to what is made its target. */
static void *read_and_link(void *number)
{
    size_t own = (size_t)(uintptr_t)number;
    uint32_t x = (uint32_t)own + 1;
    while (!atomic_load(&over)) {
        for (size_t i = 0; i < TABLE; i++)
            read_one(i);
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        size_t i = x % (TABLE / BESIDE_THREADS) * BESIDE_THREADS + own;
        void *p = gc_malloc_noscan(SIZE);
        fill(p, SIZE, i);
        atomic_store(&table[i], p);
        if (gc_weak_link((void **)&table[i]) != 0)
            ck_abort_msg("no link: errno %d", errno);
        gc_keep_alive(p); /* until it is a link: a word that is none yet is not cleared */
        if (x >> 8 & 1) {
            atomic_store(&table[i], NULL);      /* first: nothing else holds what it points to */
            gc_weak_unlink((void **)&table[i]); /* or the object is no more already */
        }
        for (int k = 0; k < 20; k++)
            memset(launder(gc_malloc_noscan(SIZE)), 0xee, SIZE);
    }
    return NULL;
}

START_TEST(beside_collections)
{
    table = gc_calloc_noscan(TABLE, sizeof *table);
    run_beside_collections(read_and_link);
}
END_TEST

/* ---- check=1, in a process of its own */

static int scene(void)
{
    make_both(SIZE, 0);
    gc_free(target);
    if (holder[1])
        return 3;
    make_both(SIZE, 0);
    target = NULL;
    collect();
    if (holder[1])
        return 4;
    make_both(SIZE, 0);
    gc_free(holder);
    holder = NULL;
    make_both(SIZE, 0);
    holder = NULL;
    for (int i = 0; i < 3; i++)
        collect();
    return 0;
}

START_TEST(with_check) { run_scene_with_check(); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, zeroed_by_a_collection, 0, 4);
    tcase_add_test(tc, zeroed_by_free);
    tcase_add_loop_test(tc, holder_goes, 0, 2);
    tcase_add_test(tc, overwritten);
    tcase_add_test(tc, scanned_word_holds);
    tcase_add_test(tc, target_brought_back);
    tcase_add_test(tc, holder_brought_back);
    tcase_add_test(tc, not_by_a_question);
    tcase_add_test(tc, table_of_links);
    tcase_add_test(tc, many_of_a_target);
    tcase_add_test(tc, leaves_nothing);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, beside_collections);
    tcase_add_test(tc, with_check);
}

int main(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? scene() : check_main("api/links", tests);
}
