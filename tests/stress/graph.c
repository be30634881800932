/* graph.c - one graph of objects that many threads walk, check, extend and cut at once: nodes of every size class and
 * larger, links to the middle of nodes, payloads that are never scanned, collections from every thread, gc_free of what
 * is provably private. A node's contents follow from its serial number, so whoever comes by can check them.
 * The environment: stress.h. */
#include "stress.h"

#include <stdatomic.h>

enum { SLOTS = 512, LINKS = 4, THREADS_MAX = 256, STEPS = 12000, WALK = 6, CELLS = 200 };

struct node;

/* Guarded by the node's lock. */
struct link {
    char *p; /* into the target: its start is off bytes before */
    size_t off;
    uint64_t serial; /* of the target */
};

/* A list that hangs on one node. */
struct cell {
    struct cell *next;
    uint64_t check;
};

struct node {
    atomic_flag lock;
    uint64_t serial;
    size_t size;            /* with the fill behind the node */
    unsigned char *payload; /* noscan, referred to by this node alone; guarded by the lock */
    size_t payload_size;
    struct cell *cells; /* or NULL; their number is serial % CELLS */
    struct link links[LINKS];
};

static _Atomic(struct node *) slots[SLOTS];
static _Atomic uint64_t next_serial = 1;

struct worker {
    uint64_t random; /* first: stress_run */
    unsigned long steps, nodes;
};

static uint64_t next_random(struct worker *w) { return stress_random(&w->random); }

static size_t below(struct worker *w, size_t n) { return (size_t)(next_random(w) >> 20) % n; }

/* Every byte is 0x80 or more: no word of it is an address. */
static unsigned char byte_at(uint64_t serial, size_t i)
{
    return (unsigned char)(0x80 | ((serial * 37 + i * 11) & 0x7f));
}

static void fill_bytes(unsigned char *p, size_t n, uint64_t serial)
{
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(serial, i);
}

static void check_bytes(const unsigned char *p, size_t n, uint64_t serial, const char *what)
{
    size_t step = n > 4096 ? 61 : 1;
    for (size_t i = 0; i < n; i += step)
        if (p[i] != byte_at(serial, i))
            ck_abort_msg("%s of node %llu at %p: byte %zu of %zu is %#x, not %#x", what, (unsigned long long)serial,
                         (const void *)p, i, n, p[i], byte_at(serial, i));
}

static size_t random_size(struct worker *w)
{
    size_t r = below(w, 100);
    return r < 70 ? below(w, 256) : r < 95 ? below(w, 4096) : r < 99 ? below(w, 40000) : below(w, 300000);
}

static struct cell *make_cells(uint64_t serial)
{
    struct cell *head = NULL;
    for (uint64_t i = 0; i < serial % CELLS; i++) {
        struct cell *c = gc_malloc(sizeof *c);
        if (!c)
            ck_abort_msg("no memory for a cell");
        *c = (struct cell){head, ~(serial + i)};
        head = c;
    }
    return head;
}

static void check_cells(const struct node *n)
{
    uint64_t i = n->serial % CELLS;
    if (!n->cells)
        return;
    for (const struct cell *c = n->cells; c; c = c->next)
        if (i-- == 0 || c->check != ~(n->serial + i))
            ck_abort_msg("a cell of node %llu at %p is wrong", (unsigned long long)n->serial, (const void *)c);
    if (i != 0)
        ck_abort_msg("node %llu has lost %llu cells", (unsigned long long)n->serial, (unsigned long long)i);
}

static struct node *make_node(struct worker *w)
{
    size_t size = sizeof(struct node) + random_size(w);
    struct node *n = gc_malloc(size);
    if (!n)
        ck_abort_msg("gc_malloc(%zu) failed", size);
    atomic_flag_clear(&n->lock);
    n->serial = atomic_fetch_add(&next_serial, 1);
    n->size = size;
    fill_bytes((unsigned char *)(n + 1), size - sizeof *n, n->serial);
    n->payload_size = random_size(w) + 1;
    n->payload = gc_malloc_noscan(n->payload_size);
    if (!n->payload)
        ck_abort_msg("gc_malloc_noscan(%zu) failed", n->payload_size);
    fill_bytes(n->payload, n->payload_size, n->serial);
    if (next_random(w) % 64 == 0)
        n->cells = make_cells(n->serial);
    w->nodes++;
    return n;
}

static bool lock_node(struct node *n) { return !atomic_flag_test_and_set_explicit(&n->lock, memory_order_acquire); }
static void unlock_node(struct node *n) { atomic_flag_clear_explicit(&n->lock, memory_order_release); }

/* Locked. */
static void check_node(const struct node *n, uint64_t serial)
{
    if (serial && n->serial != serial)
        ck_abort_msg("node %p is number %llu, not %llu", (const void *)n, (unsigned long long)n->serial,
                     (unsigned long long)serial);
    check_bytes((const unsigned char *)(n + 1), n->size - sizeof *n, n->serial, "fill");
    check_bytes(n->payload, n->payload_size, n->serial, "payload");
    check_cells(n);
}

static struct node *target_of(struct worker *w, const struct link *l)
{
    struct node *n = (struct node *)(void *)(l->p - l->off);
    if (next_random(w) % 4 == 0 && gc_base(l->p) != n)
        ck_abort_msg("gc_base(%p) is %p, not %p", (void *)l->p, gc_base(l->p), (void *)n);
    return n;
}

/* Locked. The link is known by its middle only. */
static void set_link(struct worker *w, struct node *from, struct node *to)
{
    size_t off = next_random(w) % 2 ? below(w, to->size) : 0;
    from->links[below(w, LINKS)] = (struct link){(char *)to + off, off, to->serial};
}

static struct node *random_node(struct worker *w) { return atomic_load(&slots[below(w, SLOTS)]); }

/* Some way along random links, checking every node met that nobody else has locked; the last of them. */
static struct node *walk(struct worker *w)
{
    struct node *n = random_node(w), *next = NULL;
    uint64_t serial = 0;
    for (int i = 0; n && i < WALK; i++, n = next) {
        if (!lock_node(n))
            return n;
        check_node(n, serial);
        const struct link *l = &n->links[below(w, LINKS)];
        next = l->p ? target_of(w, l) : NULL;
        serial = l->serial;
        unlock_node(n);
        if (!next)
            return n;
    }
    return n;
}

/* In a slot; the node that was there loses its links, so that history does not pile up. */
static void publish(struct worker *w, struct node *n)
{
    struct node *old = atomic_exchange(&slots[below(w, SLOTS)], n);
    if (!old || !lock_node(old))
        return;
    memset(old->links, 0, sizeof old->links);
    unlock_node(old);
}

static void extend(struct worker *w)
{
    struct node *n = make_node(w);
    for (int i = 0; i < LINKS; i++) {
        struct node *to = random_node(w);
        if (to)
            set_link(w, n, to);
    }
    publish(w, n);
}

static void relink(struct worker *w)
{
    struct node *from = walk(w), *to = random_node(w);
    if (!from || !to || !lock_node(from))
        return;
    set_link(w, from, to);
    unlock_node(from);
}

/* Nobody else has the payload while the node is locked. */
static void resize_payload(struct worker *w)
{
    struct node *n = walk(w);
    if (!n || !lock_node(n))
        return;
    size_t size = random_size(w) + 1, least = size < n->payload_size ? size : n->payload_size;
    n->payload = gc_realloc(n->payload, size);
    if (!n->payload)
        ck_abort_msg("gc_realloc to %zu bytes failed", size);
    check_bytes(n->payload, least, n->serial, "resized payload");
    fill_bytes(n->payload, size, n->serial);
    n->payload_size = size;
    unlock_node(n);
}

/* Never published: made, checked and freed by one thread. */
static void free_private(struct worker *w)
{
    struct node *n = make_node(w);
    check_node(n, n->serial);
    for (struct cell *c = n->cells, *next; c; c = next) {
        next = c->next;
        gc_free(c);
    }
    gc_free(n->payload);
    gc_free(n);
}

static void step(struct worker *w)
{
    size_t r = below(w, 1000);
    w->steps++;
    if (r < 500)
        walk(w);
    else if (r < 750)
        extend(w);
    else if (r < 850)
        relink(w);
    else if (r < 900)
        resize_payload(w);
    else if (r < 970)
        free_private(w);
    else if (r < 999)
        atomic_store(&slots[below(w, SLOTS)], NULL);
    else
        gc_collect();
}

static void *work(void *arg)
{
    struct worker *w = arg;
    while (stress_seconds ? !stress_time_is_up() : w->steps < STEPS)
        step(w);
    return NULL;
}

static void check_all(void)
{
    for (int i = 0; i < SLOTS; i++) {
        struct node *n = atomic_load(&slots[i]);
        if (n)
            check_node(n, n->serial);
    }
}

START_TEST(graph)
{
    static struct worker workers[STRESS_THREADS_MAX];
    unsigned long steps = 0, nodes = 0;
    stress_run(work, workers, sizeof *workers);
    for (unsigned long i = 0; i < stress_threads; i++) {
        steps += workers[i].steps;
        nodes += workers[i].nodes;
    }
    struct gc_memstats st;
    gc_collect();
    check_all();
    gc_read_memstats(&st);
    fprintf(stderr, "%lu steps, %lu nodes, %llu collections, %llu bytes live\n", steps, nodes,
            (unsigned long long)st.num_gc, (unsigned long long)st.alloc);
    ck_assert_uint_ge(st.num_gc, 2);
    ck_assert_uint_eq(st.mallocs - st.frees, st.heap_objects);
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, graph); }
CHECK_MAIN("stress/graph", tests)
