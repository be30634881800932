/* typed.c - what a layout saves: of a tree whose nodes are mostly numbers, the time of a full mark (mark); of a table whose
 * records have a number each that looks like an address of the heap, the memory that such numbers hold (keep).
 *
 * With `untyped` the same is allocated without a layout. Of spangc the mark alone is timed, of bdwgc the whole collection.
 *
 * usage: typed mark|keep typed|untyped [BYTES [COUNT [ROUNDS]]]      default 256 bytes, 200000, 5 rounds
 *   mark: ROUNDS marks of a tree of COUNT nodes; prints their median, in nanoseconds for each node
 *   keep: a table of COUNT records, of which COUNT are replaced in each of ROUNDS rounds; prints what a collection then
 *         leaves, in times of what the table needs
 */
#include "bench.h"

#include <string.h>

#ifdef BENCH_BDWGC
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>
#endif

enum { MAX_ROUNDS = 101 };

/* Two pointers, apart from each other, and numbers. Of a node of BYTES the rest is in `more`. */
struct node {
    struct node *left;
    uint64_t numbers[6];
    struct node *right;
    uint64_t more[];
};

static size_t bytes;
static int typed;
static uint64_t seed = 88172645463325252;

#ifdef BENCH_BDWGC
static GC_descr descr;

static void make_layout(void)
{
    GC_word bits[1] = {0};

    GC_set_bit(bits, GC_WORD_OFFSET(struct node, left));
    GC_set_bit(bits, GC_WORD_OFFSET(struct node, right));
    descr = GC_make_descriptor(bits, GC_WORD_LEN(struct node));
}

static struct node *make_node(void)
{
    return bench_checked(typed ? GC_malloc_explicitly_typed(bytes, descr) : GC_MALLOC(bytes));
}

static double collect(void)
{
    double from = bench_seconds();

    GC_gcollect();
    return bench_seconds() - from;
}

static void GC_CALLBACK add_object(void *unused, size_t n, void *sum)
{
    (void)unused;
    *(double *)sum += (double)n;
}

static void *GC_CALLBACK add_objects(void *sum)
{
    GC_enumerate_reachable_objects_inner(add_object, sum);
    return NULL;
}

static double live(void)
{
    double sum = 0;

    GC_call_with_alloc_lock(add_objects, &sum);
    return sum;
}
#else
static struct gc_layout *layout;
static double mark_seconds;

static void make_layout(void)
{
    const struct gc_layout_field fields[] = {{offsetof(struct node, left), sizeof(struct node *)},
                                             {offsetof(struct node, right), sizeof(struct node *)}};

    layout = bench_checked(gc_layout_fields(bytes, fields, 2));
}

static struct node *make_node(void) { return bench_checked(typed ? gc_malloc_typed(layout) : gc_malloc(bytes)); }

static void on_event(const struct gc_event *e, void *unused)
{
    static uint64_t from;

    (void)unused;
    if (e->kind == GC_SPAN_EVENT_STOPPED)
        from = e->time_ns;
    if (e->kind == GC_SPAN_EVENT_MARK_DONE)
        mark_seconds = (double)(e->time_ns - from) * 1e-9;
}

static double collect(void)
{
    gc_set_event_handler(on_event, NULL);
    gc_collect();
    return mark_seconds;
}

static double live(void)
{
    struct gc_memstats st;

    gc_read_memstats(&st);
    return (double)st.heap_alloc;
}
#endif

/* Numbers that are no addresses: odd, and larger than any. */
static struct node *filled_node(void)
{
    struct node *n = make_node();

    for (size_t i = 0; i < 6; i++)
        n->numbers[i] = bench_random(&seed) | 1 | UINT64_C(1) << 63;
    for (size_t i = 0; i < (bytes - sizeof *n) / sizeof *n->more; i++)
        n->more[i] = bench_random(&seed) | 1 | UINT64_C(1) << 63;
    return n;
}

static struct node *tree(size_t count)
{
    struct node *n;

    if (count == 0)
        return NULL;
    n = filled_node();
    n->left = tree((count - 1) / 2);
    n->right = tree(count - 1 - (count - 1) / 2);
    return n;
}

static void mark(size_t count, int rounds)
{
    static struct node *volatile root;
    static double ns[MAX_ROUNDS];

    root = tree(count);
    collect(); /* helpers are started by the first that finds much live */
    for (int i = 0; i < rounds; i++)
        ns[i] = collect() * 1e9 / (double)count;
    printf("value mark %.1f ns/node\n", bench_median(ns, rounds));
    bench_use(root);
}

/* Any address between the lowest and the highest that was seen. */
static uint64_t like_an_address(const struct node *n)
{
    static uint64_t lowest = UINT64_MAX, highest;
    uint64_t at = (uint64_t)(uintptr_t)n;

    lowest = at < lowest ? at : lowest;
    highest = at > highest ? at : highest;
    return lowest + bench_random(&seed) % (highest - lowest + 1);
}

static void keep(size_t count, int rounds)
{
    static struct node **volatile table;

    table = bench_alloc(count * sizeof *table);
    for (size_t i = 0; i < count * (size_t)(rounds + 1); i++) {
        struct node *n = filled_node();

        n->numbers[1] = like_an_address(n);
        table[i < count ? i : bench_random(&seed) % count] = n;
    }
    collect();
    bench_use(table);
    printf("value retained %.2f times\n", live() / (double)(count * (bytes + sizeof *table)));
}

int main(int argc, char **argv)
{
    int marks = argc > 1 && strcmp(argv[1], "mark") == 0;
    size_t count = (size_t)bench_arg(argc, argv, 4, 200000, 1, 1L << 30);
    int rounds = (int)bench_arg(argc, argv, 5, 5, 1, MAX_ROUNDS);

    bytes = (size_t)bench_arg(argc, argv, 3, 256, sizeof(struct node), 32768) / 8 * 8;
    typed = !(argc > 2 && strcmp(argv[2], "untyped") == 0);
    bench_init();
    make_layout();
    if (marks)
        mark(count, rounds);
    else
        keep(count, rounds);
    return 0;
}
