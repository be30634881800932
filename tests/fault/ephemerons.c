/* ephemerons.c - chains of ephemerons in which each value leads to the next key, or the next ephemeron: all of it is found
 * and nothing twice, by one marker and several, without memory for what is grey, and as seen by the verifying mark.
 * Holds ephemerons.held, ephemerons.linear. */
#include "fault.h"

#include "heap/ephemeron.h"
#include "mark/ephemerons.h"

enum { CHAIN = 100000, SHORT = 3000, MARKERS = 4 };

struct node {
    struct node *next; /* in chains of ephemerons: of those, the next */
    uint64_t number;
};

static struct gc_ephemeron **all; /* what holds them, where something does */
static void *first;               /* key of the chain's begin */
static struct gc_ephemeron *begin;

enum shape { FORWARD, REVERSE, RANDOM };

/* order[i] is the place in the chain of the ephemeron that is made ith. */
static void put_in_order(uint32_t *order, size_t n, enum shape shape)
{
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)(shape == REVERSE ? n - 1 - i : i);
    for (size_t i = n - 1; shape == RANDOM && i > 0; i--) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        uint32_t k = (uint32_t)(x % (i + 1)), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
}

/* key 0 -> value 0, which leads to key 1 -> value 1 ...; nothing but `first` holds a key. */
static __attribute__((noinline)) void build(size_t n, enum shape shape)
{
    struct node **keys = gc_calloc(n + 1, sizeof *keys), **values = gc_calloc(n, sizeof *values);
    uint32_t *order = gc_malloc_noscan(n * sizeof *order);
    put_in_order(order, n, shape);
    for (size_t i = 0; i <= n; i++) {
        keys[i] = gc_calloc(1, sizeof **keys);
        keys[i]->number = i;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = gc_calloc(1, sizeof **values);
        values[i]->next = keys[i + 1];
        values[i]->number = ~(uint64_t)i;
    }
    all = gc_calloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[order[i]] = gc_ephemeron_new(keys[order[i]], values[order[i]]);
    first = keys[0];
    gc_free(keys);
    gc_free(values);
    gc_free(order);
}

static __attribute__((noinline)) void check_chain(size_t n)
{
    const struct node *key = first;
    for (size_t i = 0; i < n; i++) {
        const struct node *value = gc_ephemeron_value(all[i], (void *)(uintptr_t)key);
        if (!value || gc_base(value) != value || value->number != ~(uint64_t)i)
            ck_abort_msg("value %zu was lost", i);
        key = value->next;
        if (gc_base(key) != key || key->number != i + 1)
            ck_abort_msg("key %zu was lost", i + 1);
    }
}

static __attribute__((noinline)) void collect(void) { gc_collect_without_stacks(); }

/* Two passes, and once more for each when its key is found. */
static void check_work(size_t n)
{
    uint64_t before = ephemerons_looked_at();
    collect();
    uint64_t looked = ephemerons_looked_at() - before;
    if (looked < n || looked > 4 * n)
        ck_abort_msg("%llu looks at %zu ephemerons", (unsigned long long)looked, n);
}

START_TEST(chain)
{
    build(CHAIN, (enum shape)_i);
    check_work(CHAIN);
    check_chain(CHAIN);
    ck_assert_uint_eq(heap_objects(), 3 * CHAIN + 2);
    first = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), CHAIN + 1);
    ck_assert_uint_eq(ephemerons_count(), 0);
    all = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), 0);
}
END_TEST

/* Cut in the middle, the second half goes. */
START_TEST(cut)
{
    build(SHORT, (enum shape)_i);
    all[SHORT / 2] = NULL;
    collect();
    check_chain(SHORT / 2);
    ck_assert_uint_eq(heap_objects(), 2 * SHORT + 1);
}
END_TEST

/* One value leads to the next ephemeron, all of one key: what is found late is the ephemeron, not the key. */
static __attribute__((noinline)) void build_of_ephemerons(size_t n)
{
    struct gc_ephemeron *e = NULL;
    first = gc_calloc(1, sizeof(struct node));
    for (size_t i = 0; i < n; i++) {
        struct node *value = gc_calloc(1, sizeof *value);
        value->next = (void *)e;
        value->number = i;
        e = gc_ephemeron_new(first, value);
    }
    begin = e;
}

START_TEST(chain_of_ephemerons)
{
    build_of_ephemerons(CHAIN);
    check_work(CHAIN);
    ck_assert_uint_eq(heap_objects(), 2 * CHAIN + 1);
    struct gc_ephemeron *e = begin;
    for (uint64_t i = CHAIN; i-- > 0;) {
        const struct node *value = gc_ephemeron_value(e, first);
        if (!value || gc_base(value) != value || value->number != i)
            ck_abort_msg("value %llu was lost", (unsigned long long)i);
        e = (void *)value->next;
    }
    begin = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), 1);
}
END_TEST

/* A value that is a tree of small objects, whose leaves are keys of others: many words are on their way at once. The first
 * pass does not come to it, as its key is itself a value. */
enum { FANS = 6, FAN_DEPTH = 4 }; /* fewer words than a jmp_buf has: those are scanned by a loop of their own */

struct fan {
    struct fan *to[FANS];
};

static size_t n_leaves;

static struct fan *make_fan(int depth)
{
    struct fan *f = gc_calloc(1, sizeof *f);
    for (int k = 0; k < FANS && depth > 0; k++)
        f->to[k] = make_fan(depth - 1);
    if (depth == 0)
        all[n_leaves++] = gc_ephemeron_new(f, gc_calloc(1, sizeof(struct node)));
    return f;
}

static __attribute__((noinline)) void build_fan(size_t leaves)
{
    struct node *second = gc_calloc(1, sizeof *second);
    all = gc_calloc(leaves + 1, sizeof *all);
    first = gc_calloc(1, sizeof(struct node));
    all[leaves] = gc_ephemeron_new(second, make_fan(FAN_DEPTH));
    begin = gc_ephemeron_new(first, second);
}

START_TEST(wide_values)
{
    const size_t leaves = FANS * FANS * FANS * FANS, inner = 1 + FANS + FANS * FANS + FANS * FANS * FANS;
    build_fan(leaves);
    collect();
    ck_assert_uint_eq(heap_objects(), 3 * leaves + inner + 5);
    first = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), leaves + 3);
}
END_TEST

/* Where every key is held by others, one pass is enough. */
static struct node *held_keys[SHORT];

static __attribute__((noinline)) void build_plain(size_t n)
{
    all = gc_calloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        held_keys[i] = gc_calloc(1, sizeof **held_keys);
        struct node *value = gc_calloc(1, sizeof *value);
        all[i] = gc_ephemeron_new(held_keys[i], value);
    }
}

START_TEST(keys_held)
{
    build_plain(SHORT);
    uint64_t before = ephemerons_looked_at();
    collect();
    ck_assert_uint_eq(ephemerons_looked_at() - before, SHORT);
    ck_assert_uint_eq(heap_objects(), 3 * SHORT + 1);
}
END_TEST

/* Wide and deep values, so that blocks of the grey stack are needed and refused. */
static __attribute__((noinline)) void build_wide(size_t n)
{
    build(n, RANDOM);
    void ***wide = gc_calloc(1, sizeof *wide);
    wide[0] = gc_calloc(20000, sizeof **wide);
    for (size_t i = 0; i < 20000; i++) {
        struct node *value = gc_calloc(1, sizeof *value);
        value->next = gc_calloc(1, sizeof *value);
        wide[0][i] = gc_ephemeron_new(first, value);
    }
    begin = gc_ephemeron_new(first, wide);
}

START_TEST(without_memory)
{
    workbuf_set_limit(_i == 0 ? 0 : WORKBUF_SLAB / WORKBUF_BYTES);
    build_wide(100);
    for (int i = 0; i < 3; i++) {
        collect();
        check_chain(100);
        ck_assert_uint_eq(heap_objects(), 3 * 100 + 2 + 3 + 3 * 20000);
    }
}
END_TEST

START_TEST(several_markers)
{
    markers_init(MARKERS);
    markers_set_least(1);
    gc_collect(); /* starts them */
    build(SHORT, RANDOM);
    for (int i = 0; i < 300; i++)
        collect();
    check_chain(SHORT);
    ck_assert_uint_eq(heap_objects(), 3 * SHORT + 2);
    first = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), SHORT + 1);
}
END_TEST

/* ---- the verifying mark: a value, or what it leads to, that the first does not mark is missed */

static void miss(void *which)
{
    build(SHORT, (enum shape)(uintptr_t)which);
    const struct node *value = gc_ephemeron_value(all[0], first);
    mark_plant_fault((uintptr_t)value);
    value = NULL;
    collect();
}

static void miss_late(void *which)
{
    build(SHORT, (enum shape)(uintptr_t)which);
    const struct node *key = first;
    for (size_t i = 0; i < SHORT - 1; i++)
        key = ((struct node *)gc_ephemeron_value(all[i], (void *)(uintptr_t)key))->next;
    mark_plant_fault((uintptr_t)((struct node *)gc_ephemeron_value(all[SHORT - 1], (void *)(uintptr_t)key))->next);
    key = NULL;
    collect();
}

START_TEST(missed)
{
    struct outcome o;
    must_abort_saying(_i % 2 ? miss_late : miss, (void *)(uintptr_t)(_i / 2), "marking missed a live object: 0x", &o);
    ck_assert_ptr_nonnull(strstr(o.text, "broken invariant scan.tricolour"));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, chain, 0, 3);
    tcase_add_loop_test(tc, cut, 0, 3);
    tcase_add_test(tc, chain_of_ephemerons);
    tcase_add_test(tc, wide_values);
    tcase_add_test(tc, keys_held);
    tcase_add_loop_test(tc, without_memory, 0, 2);
    tcase_add_test(tc, several_markers);
    if (GC_CHECKS >= 2)
        tcase_add_loop_test(tc, missed, 0, 4);
}
CHECK_MAIN("fault/ephemerons", tests)
