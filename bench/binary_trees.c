/* binary_trees.c - complete binary trees by the thousand: many small short-lived objects beside one large long-lived
 * tree. The work is that of "binary-trees" in the Computer Language Benchmarks Game; the code is our own.
 *
 * usage: binary_trees DEPTH [THREADS]      the short-lived trees are shared out among THREADS threads (default 1)
 */
#include "bench.h"

enum { MIN_DEPTH = 4, MAX_DEPTH = 30, MAX_THREADS = 64 };

struct node {
    struct node *left, *right;
};

struct worker {
    pthread_t thread;
    int number;                /* 0 .. workers - 1 */
    int workers;               /* how many share the trees */
    int max_depth;             /* of the short-lived trees */
    long check[MAX_DEPTH + 1]; /* nodes counted in this worker's trees, by depth */
};

static struct node *make_tree(int depth)
{
    struct node *left = depth > 0 ? make_tree(depth - 1) : NULL;
    struct node *right = depth > 0 ? make_tree(depth - 1) : NULL;
    struct node *n = bench_alloc_filled(sizeof *n);

    n->left = left;
    n->right = right;
    return n;
}

static long count_nodes(const struct node *n)
{
    return n->left == NULL ? 1 : 1 + count_nodes(n->left) + count_nodes(n->right);
}

static void free_nodes(struct node *n)
{
    if (n->left != NULL) {
        free_nodes(n->left);
        free_nodes(n->right);
    }
    bench_free(n);
}

static void free_tree(struct node *n)
{
    if (BENCH_FREES)
        free_nodes(n);
}

static long make_count_free(int depth)
{
    struct node *tree = make_tree(depth);
    long nodes = count_nodes(tree);

    free_tree(tree);
    return nodes;
}

/* Trees of this depth: the deeper, the fewer, so that every depth makes about as many nodes. */
static long trees_of(int depth, int max_depth) { return 1L << (max_depth - depth + MIN_DEPTH); }

static void *work(void *arg)
{
    struct worker *w = arg;

    for (int depth = MIN_DEPTH; depth <= w->max_depth; depth += 2)
        for (long i = w->number; i < trees_of(depth, w->max_depth); i += w->workers)
            w->check[depth] += make_count_free(depth);
    return NULL;
}

static void run_workers(struct worker *w, int workers, int max_depth)
{
    for (int i = 0; i < workers; i++) {
        w[i].number = i;
        w[i].workers = workers;
        w[i].max_depth = max_depth;
    }
    if (workers == 1) {
        work(w);
        return;
    }
    for (int i = 0; i < workers; i++)
        bench_start_thread(&w[i].thread, NULL, work, &w[i]);
    for (int i = 0; i < workers; i++)
        bench_join_thread(w[i].thread);
}

static void print_checks(const struct worker *w, int workers, int max_depth)
{
    for (int depth = MIN_DEPTH; depth <= max_depth; depth += 2) {
        long sum = 0;
        for (int i = 0; i < workers; i++)
            sum += w[i].check[depth];
        printf("%ld\t trees of depth %d\t check: %ld\n", trees_of(depth, max_depth), depth, sum);
    }
}

int main(int argc, char **argv)
{
    static struct worker w[MAX_THREADS];
    int depth = (int)bench_arg(argc, argv, 1, 10, MIN_DEPTH + 2, MAX_DEPTH);
    int workers = (int)bench_arg(argc, argv, 2, 1, 1, MAX_THREADS);
    struct node *long_lived;

    bench_init();
    printf("stretch tree of depth %d\t check: %ld\n", depth + 1, make_count_free(depth + 1));
    long_lived = make_tree(depth);
    run_workers(w, workers, depth);
    print_checks(w, workers, depth);
    printf("long lived tree of depth %d\t check: %ld\n", depth, count_nodes(long_lived));
    free_tree(long_lived);
    return 0;
}
