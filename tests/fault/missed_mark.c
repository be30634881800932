/* missed_mark.c - the verifying second mark: an object that the first mark is made to miss is reported, with the way to
 * it, and the program aborts; without the fault nothing is said. Holds scan.tricolour. */
#include "fault.h"

#include "mark/scan.h"

struct node {
    struct node *next;
    void *text;
};

enum { DEPTH = 4, LONG = 40 };

static struct node *root;

/* root -> [0] -> [1] -> ... -> [n - 1] -> text, which no stack holds. */
static __attribute__((noinline)) void make_chain(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct node *node = gc_malloc(sizeof *node);
        ck_assert_ptr_nonnull(node);
        node->next = root;
        node->text = i == 0 ? gc_malloc_noscan(100) : NULL;
        root = node;
    }
}

static struct node *nth(size_t n)
{
    struct node *node = root;
    while (n-- > 0)
        node = node->next;
    return node;
}

/* Writes the addresses that the report must name, then collects. */
static void miss(void *p)
{
    mark_plant_fault((uintptr_t)p);
    gc_collect_without_stacks();
}

static void miss_nth(void *n)
{
    make_chain(DEPTH);
    for (size_t i = 0; i < DEPTH; i++)
        dprintf(STDERR_FILENO, "%#lx\n", (unsigned long)(uintptr_t)nth(i));
    miss(nth((size_t)(uintptr_t)n));
}

static void must_name(const struct outcome *o, const char *before, const char *address)
{
    char text[80];
    snprintf(text, sizeof text, "%s%s", before, address);
    if (!strstr(o->text, text))
        ck_abort_msg("the report does not say \"%s\": %s", text, o->text);
}

/* Every node on the way is named, the missed one first. */
START_TEST(object_on_a_path)
{
    struct outcome o;
    char address[DEPTH][32];
    int missed = _i, at = 0, n;
    must_abort_saying(miss_nth, (void *)(uintptr_t)missed, "broken invariant scan.tricolour", &o);
    for (int i = 0; i < DEPTH; i++, at += n)
        ck_assert_int_eq(sscanf(o.text + at, "%31s\n%n", address[i], &n), 1);
    must_name(&o, "marking missed a live object: ", address[missed]);
    for (int i = 0; i < missed; i++)
        must_name(&o, "in object ", address[i]);
    must_name(&o, "refers to: data", "");
    ck_assert_uint_eq(count_of(o.text, "in object "), (size_t)missed);
}
END_TEST

static void miss_noscan(void *unused)
{
    (void)unused;
    make_chain(2);
    miss(nth(1)->text);
}

static void miss_uncollectable(void *unused)
{
    (void)unused;
    miss(gc_malloc_uncollectable(50));
}

static void miss_large(void *unused)
{
    (void)unused;
    make_chain(1);
    root->text = gc_malloc(1000000);
    miss(root->text);
}

/* Of a layout, and what its word refers to. */
static void miss_typed(void *unused)
{
    (void)unused;
    make_chain(1);
    root->text = gc_malloc_typed(GC_SPAN_LAYOUT(struct node, text));
    miss(root->text);
}

static void miss_by_layout(void *unused)
{
    (void)unused;
    make_chain(1);
    struct node *array = root->text = gc_calloc_typed(GC_SPAN_LAYOUT(struct node, text), 10000);
    array[9999].text = gc_malloc(500);
    miss(array[9999].text);
}

/* The path is longer than is shown: its start is. */
static void miss_far(void *unused)
{
    (void)unused;
    make_chain(LONG);
    miss(nth(LONG - 1));
}

START_TEST(objects_of_every_kind)
{
    static void (*const cases[])(void *) = {miss_noscan, miss_uncollectable, miss_large,
                                            miss_typed,  miss_by_layout,     miss_far};
    struct outcome o;
    must_abort_saying(cases[_i], NULL, "marking missed a live object: 0x", &o);
    ck_assert_ptr_nonnull(strstr(o.text, "broken invariant scan.tricolour"));
}
END_TEST

/* On a stack only, and seen from there. */
static void miss_on_stack(void *unused)
{
    void *volatile held = gc_malloc(64);
    (void)unused;
    mark_plant_fault((uintptr_t)held);
    gc_collect();
    gc_keep_alive(held);
}

START_TEST(object_on_a_stack)
{
    struct outcome o;
    must_abort_saying(miss_on_stack, NULL, "refers to: ", &o);
    ck_assert(strstr(o.text, "stack") || strstr(o.text, "registers"));
}
END_TEST

/* What is not reachable may be missed, and without a fault nothing is. */
START_TEST(nothing_missed)
{
    make_chain(LONG);
    gc_collect_without_stacks();
    struct node *dropped = root;
    root = root->next;
    mark_plant_fault((uintptr_t)dropped);
    gc_collect_without_stacks();
    ck_assert_uint_eq(gc_usable_size(dropped), 0);
    mark_plant_fault(0);
    gc_collect();
    for (size_t i = 0; i < LONG - 1; i++)
        ck_assert_ptr_eq(gc_base(nth(i)), nth(i));
    ck_assert_uint_eq(gc_usable_size(nth(LONG - 2)->text), 112);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, object_on_a_path, 0, DEPTH);
    tcase_add_loop_test(tc, objects_of_every_kind, 0, 6);
    tcase_add_test(tc, object_on_a_stack);
    tcase_add_test(tc, nothing_missed);
}
FAULT_MAIN("fault/missed_mark", tests, 2)
