/* overflow.c - no memory for the stack of grey objects: marking finds everything all the same, by looking at every
 * marked object again. Holds scan.tricolour. */
#include "fault.h"

#include "mark/workbuf.h"

enum { WIDE = 100000, CHAIN = 200, LEAF = 24, SLAB_BLOCKS = WORKBUF_SLAB / WORKBUF_BYTES };

struct node {
    struct node *next;
    uint64_t *leaf; /* noscan: its own number */
    uint64_t other; /* which a layout does not name */
};

static bool typed;

static struct node *alloc_node(void)
{
    return typed ? gc_malloc_typed(GC_SPAN_LAYOUT(struct node, next, leaf)) : gc_malloc(sizeof(struct node));
}

static struct node **alloc_table(void)
{
    struct pair { /* in a typed table every other word is passed over */
        struct node *node;
        uint64_t number;
    };
    return typed ? gc_calloc_typed(GC_SPAN_LAYOUT(struct pair, node), WIDE) : gc_calloc(WIDE, sizeof(struct pair));
}

static struct node **table; /* of WIDE nodes, in every other word: one large object */
static struct node *chain;  /* each refers to one at a lower address: the worst order for a pass over the heap */

static struct node *make_node(uint64_t number)
{
    struct node *node = alloc_node();
    ck_assert(node && (node->leaf = gc_malloc_noscan(LEAF)));
    *node->leaf = ~number;
    return node;
}

static __attribute__((noinline)) void build(void)
{
    table = alloc_table();
    for (uint64_t i = 0; i < WIDE; i++) {
        struct node *node = alloc_node();
        if (!node || !(node->leaf = gc_malloc_noscan(LEAF)))
            ck_abort_msg("no memory for node %llu", (unsigned long long)i);
        *node->leaf = ~i;
        table[2 * i] = node;
    }
    for (uint64_t i = 0; i < CHAIN; i++) {
        struct node *node = make_node(i);
        node->next = chain;
        chain = node;
    }
}

static void check_node(const struct node *node, uint64_t number)
{
    if (gc_base(node) != node || gc_base(node->leaf) != node->leaf || *node->leaf != ~number)
        ck_abort_msg("node %llu at %p was lost", (unsigned long long)number, (const void *)node);
}

static void check_all(size_t step)
{
    uint64_t number = CHAIN;
    for (size_t i = 0; i < WIDE; i += step)
        check_node(table[2 * i], i);
    for (const struct node *node = chain; node; node = node->next)
        check_node(node, --number);
    ck_assert_uint_eq(number, 0);
}

/* Exactly what is reachable is left: a node and a leaf each, and the table. */
static void check_counts(size_t in_table) { ck_assert_uint_eq(heap_objects(), 2 * (in_table + CHAIN) + 1); }

static __attribute__((noinline)) void collect(void) { gc_collect_without_stacks(); }

START_TEST(everything_survives)
{
    typed = _i / 2;
    workbuf_set_limit(_i % 2 == 0 ? 0 : SLAB_BLOCKS);
    build();
    collect();
    check_all(1);
    check_counts(WIDE);
    collect();
    for (size_t i = 0; i < WIDE; i++)
        if (i % 2)
            table[2 * i] = NULL;
    collect();
    check_all(2);
    check_counts(WIDE / 2);
    workbuf_set_limit(SIZE_MAX);
    collect();
    check_all(2);
    check_counts(WIDE / 2);
}
END_TEST

static void tests(TCase *tc) { tcase_add_loop_test(tc, everything_survives, 0, 4); }
CHECK_MAIN("fault/overflow", tests)
