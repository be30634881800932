/* gcbench.c - trees built from the root down and from the leaves up while a long-lived tree and a large array of
 * doubles stay alive. The idea is GCBench, by John Ellis and Pete Kovac, changed by Hans Boehm and others; the code is
 * our own, with their sizes.
 *
 * usage: gcbench [ROUNDS]      everything is done ROUNDS times (default 5)
 */
#include "bench.h"

enum {
    STRETCH_DEPTH = 18,    /* of the tree that makes the heap grow once */
    LONG_LIVED_DEPTH = 16, /* of the tree that stays */
    ARRAY_LENGTH = 500000, /* doubles, 4 MB; the first half is filled */
    MIN_DEPTH = 4,         /* of the short-lived trees */
    MAX_DEPTH = 16
};

struct node {
    struct node *left, *right;
    int i, j;
};

/* Nodes of a complete tree. */
static long tree_size(int depth) { return (1L << (depth + 1)) - 1; }

/* Trees of this depth that take twice the memory of the stretch tree together. */
static long trees_of(int depth) { return 2 * tree_size(STRETCH_DEPTH) / tree_size(depth); }

static struct node *new_node(struct node *left, struct node *right)
{
    struct node *n = bench_alloc_filled(sizeof *n);

    *n = (struct node){.left = left, .right = right};
    return n;
}

static struct node *bottom_up(int depth)
{
    struct node *left, *right;

    if (depth <= 0)
        return new_node(NULL, NULL);
    left = bottom_up(depth - 1);
    right = bottom_up(depth - 1);
    return new_node(left, right);
}

/* Hangs `depth` levels of new nodes below n. */
static void populate(struct node *n, int depth)
{
    if (depth <= 0)
        return;
    n->left = new_node(NULL, NULL);
    n->right = new_node(NULL, NULL);
    populate(n->left, depth - 1);
    populate(n->right, depth - 1);
}

static struct node *top_down(int depth)
{
    struct node *root = new_node(NULL, NULL);

    populate(root, depth);
    return root;
}

static void free_nodes(struct node *n)
{
    if (n->left != NULL) {
        free_nodes(n->left);
        free_nodes(n->right);
    }
    bench_free(n);
}

static void drop_tree(struct node *n)
{
    bench_use(n);
    if (BENCH_FREES)
        free_nodes(n);
}

static long count_nodes(const struct node *n)
{
    return n == NULL ? 0 : 1 + count_nodes(n->left) + count_nodes(n->right);
}

static void short_lived(int depth)
{
    for (long i = trees_of(depth); i > 0; i--)
        drop_tree(top_down(depth));
    for (long i = trees_of(depth); i > 0; i--)
        drop_tree(bottom_up(depth));
}

static double *new_array(void)
{
    double *a = bench_alloc_noscan(ARRAY_LENGTH * sizeof *a);

    for (int i = 0; i < ARRAY_LENGTH / 2; i++)
        a[i] = 1.0 / (i + 1);
    return a;
}

static void round_of(long number)
{
    struct node *long_lived;
    double *array;

    drop_tree(bottom_up(STRETCH_DEPTH));
    long_lived = top_down(LONG_LIVED_DEPTH);
    array = new_array();
    for (int depth = MIN_DEPTH; depth <= MAX_DEPTH; depth += 2)
        short_lived(depth);
    if (count_nodes(long_lived) != tree_size(LONG_LIVED_DEPTH) || array[999] != 1.0 / 1000)
        bench_die("long-lived data was lost");
    printf("round %ld: long-lived tree and array intact\n", number);
    drop_tree(long_lived);
    bench_free(array);
}

int main(int argc, char **argv)
{
    long rounds = bench_arg(argc, argv, 1, 5, 1, 1000000);

    bench_init();
    for (long i = 1; i <= rounds; i++)
        round_of(i);
    return 0;
}
