/* markers.c - several markers at once find what one finds: graphs of every shape, many short marks, no memory for what
 * is given away, a child without helpers. Holds workpool.end, workpool.session, scan.tricolour. */
#include "fault.h"

#include "mark/markers.h"

#include <pthread.h>

enum { NODES = 30000, MARKERS = 4, SMALL_GRAPH = 300 };

struct node {
    struct node *to[3];
    struct node *next; /* all of them */
    uint64_t *leaf;    /* noscan: ~number */
    uint64_t number;
};

static struct node *first;
static struct node **wide; /* one large object, several pieces of work */

static struct node *make_node(uint64_t number)
{
    struct node *node = gc_malloc(sizeof *node);
    if (!node || !(node->leaf = gc_malloc_noscan(sizeof *node->leaf * 3)))
        ck_abort_msg("no memory for node %llu", (unsigned long long)number);
    *node->leaf = ~number;
    node->number = number;
    return node;
}

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

static void wire(struct node *node, struct node **at, size_t n)
{
    for (int k = 0; k < 3; k++)
        node->to[k] = at[next_random() % n];
}

/* n nodes: half hang on the list, the others on the wide object alone; all point anywhere. */
static __attribute__((noinline)) void build(size_t n)
{
    wide = gc_calloc(n, sizeof *wide);
    ck_assert_ptr_nonnull(wide);
    first = NULL;
    for (size_t i = 0; i < n; i++) {
        wide[i] = make_node(i);
        wide[i]->next = i % 2 ? NULL : first;
        if (i % 2 == 0)
            first = wide[i];
    }
    for (size_t i = 0; i < n; i++)
        wire(wide[i], wide, n);
}

static void check_node(const struct node *node, uint64_t number)
{
    if (gc_base(node) != node || gc_base(node->leaf) != node->leaf || *node->leaf != ~number || node->number != number)
        ck_abort_msg("node %llu at %p was lost", (unsigned long long)number, (const void *)node);
}

static __attribute__((noinline)) void check_all(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_node(wide[i], i);
        for (int k = 0; k < 3; k++)
            if (wide[wide[i]->to[k]->number] != wide[i]->to[k])
                ck_abort_msg("node %zu refers to what is no node", i);
    }
}

static __attribute__((noinline)) void collect(void) { gc_collect_without_stacks(); }

/* Every second node is dropped: from the list, from the wide object and from the others. */
static __attribute__((noinline)) void drop_half(size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            if (wide[i]->to[k]->number % 4 < 2)
                wide[i]->to[k] = NULL;
    first = NULL;
    for (size_t i = 0; i < n; i++)
        if (i % 4 < 2)
            wide[i] = NULL;
        else
            wide[i]->next = NULL;
}

static void with_helpers(void)
{
    markers_init(MARKERS);
    markers_set_least(1);
    gc_collect(); /* starts them */
}

/* Helpers take part when they are awake in time: on a busy machine not in each mark. */
static void until_helped(void)
{
    uint32_t before = markers_helped();
    for (int i = 0; i < 100000 && markers_helped() == before; i++)
        collect();
    ck_assert_uint_gt(markers_helped(), before);
}

START_TEST(all_is_found)
{
    with_helpers();
    build(NODES);
    until_helped();
    for (int i = 0; i < share_of(30); i++) {
        collect();
        check_all(NODES);
        ck_assert_uint_eq(heap_objects(), 2 * NODES + 1);
    }
}
END_TEST

START_TEST(no_more_than_all)
{
    with_helpers();
    build(NODES);
    until_helped();
    drop_half(NODES);
    for (int i = 0; i < share_of(10); i++) {
        collect();
        ck_assert_uint_eq(heap_objects(), NODES + 1);
    }
}
END_TEST

/* Marks so short that helpers come too late, wake up in the next one, or find nothing. */
START_TEST(short_marks)
{
    with_helpers();
    build(SMALL_GRAPH);
    for (int i = 0; i < 3000; i++) {
        collect();
        if (i % 100 == 0)
            check_all(SMALL_GRAPH);
    }
    ck_assert_uint_eq(heap_objects(), 2 * SMALL_GRAPH + 1);
}
END_TEST

/* No block is to be had: nothing can be given away, and the marked are scanned again and again. */
START_TEST(without_memory)
{
    workbuf_set_limit(_i == 0 ? 0 : WORKBUF_SLAB / WORKBUF_BYTES);
    with_helpers();
    build(NODES);
    until_helped();
    for (int i = 0; i < 5; i++) {
        collect();
        check_all(NODES);
        ck_assert_uint_eq(heap_objects(), 2 * NODES + 1);
    }
}
END_TEST

START_TEST(small_heap_wakes_nobody)
{
    markers_init(MARKERS);
    build(SMALL_GRAPH);
    for (int i = 0; i < 50; i++)
        collect();
    ck_assert_uint_eq(markers_helped(), 0);
}
END_TEST

START_TEST(one_marker_alone)
{
    markers_init(1);
    markers_set_least(1);
    build(NODES);
    for (int i = 0; i < 20; i++)
        collect();
    ck_assert_uint_eq(markers_helped(), 0);
    check_all(NODES);
}
END_TEST

static void use_in_child(void *unused)
{
    (void)unused;
    uint32_t before = markers_helped();
    for (int i = 0; i < 100000 && markers_helped() < before + 2; i++)
        collect();
    if (markers_helped() < before + 2)
        _exit(3);
    check_all(NODES);
}

/* The child starts helpers of its own; the parent still has its. */
START_TEST(after_fork)
{
    struct outcome o;
    with_helpers();
    build(NODES);
    until_helped();
    for (int i = 0; i < 5 && !sanitizer_is("address"); i++) { /* which takes a forked child's new stack for poisoned */
        run_child(use_in_child, NULL, &o);
        must_exit_0(&o);
        until_helped();
    }
    check_all(NODES);
}
END_TEST

static void miss_one(void *unused)
{
    (void)unused;
    with_helpers();
    build(NODES);
    until_helped();
    mark_plant_fault((uintptr_t)wide[NODES / 2]->leaf);
    collect();
}

START_TEST(missed_mark_is_reported)
{
    struct outcome o;
    must_abort_saying(miss_one, NULL, "broken invariant scan.tricolour", &o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, all_is_found);
    tcase_add_test(tc, no_more_than_all);
    tcase_add_test(tc, short_marks);
    tcase_add_loop_test(tc, without_memory, 0, 2);
    tcase_add_test(tc, small_heap_wakes_nobody);
    tcase_add_test(tc, one_marker_alone);
    tcase_add_test(tc, after_fork);
    if (GC_CHECKS >= 2)
        tcase_add_test(tc, missed_mark_is_reported);
}
CHECK_MAIN("fault/markers", tests)
