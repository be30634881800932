/* memstats.c - gc_read_memstats tells the truth: the identities of the header after random work on several threads, and
 * the very objects and bytes that the test itself counts. Holds memstats.sum, memstats.objects, sysmem.sum. */
#include "helpers.h"

#include <pthread.h>

static struct gc_memstats st;

enum { CLASSES = sizeof st.by_size / sizeof *st.by_size };

/* What the header promises of sums. */
static void check_sums(const struct gc_memstats *s)
{
    ck_assert_uint_eq(s->heap_inuse + s->heap_idle, s->heap_sys);
    ck_assert_uint_eq(
        s->heap_sys + s->stack_sys + s->mspan_sys + s->mcache_sys + s->buckhash_sys + s->gc_sys + s->other_sys, s->sys);
    ck_assert_uint_eq(s->mallocs - s->frees, s->heap_objects);
}

/* Everything the header promises of one reading. large_bytes: live objects above 32768 bytes, as the test knows. */
static void check_identities(const struct gc_memstats *s, uint64_t large_bytes)
{
    uint64_t mallocs = 0, frees = 0, bytes = 0, total = 0;
    check_sums(s);
    ck_assert_uint_eq(s->alloc, s->heap_alloc);
    ck_assert_uint_le(s->alloc, s->heap_inuse);
    ck_assert_uint_le(s->alloc, s->total_alloc);
    ck_assert_uint_le(s->heap_released, s->heap_idle);
    ck_assert_uint_le(s->mspan_inuse, s->mspan_sys);
    ck_assert_uint_le(s->mcache_inuse, s->mcache_sys);
    ck_assert_uint_le(s->stack_inuse, s->stack_sys);
    ck_assert_uint_le(s->num_forced_gc, s->num_gc);
    ck_assert(s->gc_cpu_fraction >= 0 && s->gc_cpu_fraction <= 1);
    for (int i = 0; i < CLASSES; i++) {
        if (s->by_size[i].frees > s->by_size[i].mallocs)
            ck_abort_msg("class %d: more frees than mallocs", i);
        mallocs += s->by_size[i].mallocs;
        frees += s->by_size[i].frees;
        bytes += s->by_size[i].size * (s->by_size[i].mallocs - s->by_size[i].frees);
        total += s->by_size[i].size * s->by_size[i].mallocs;
    }
    ck_assert_uint_eq(s->by_size[0].size, 0);
    ck_assert_uint_eq(mallocs, s->mallocs);
    ck_assert_uint_eq(frees, s->frees);
    ck_assert_uint_eq(bytes + large_bytes, s->alloc);
    ck_assert_uint_le(total, s->total_alloc);
}

START_TEST(at_start)
{
    gc_read_memstats(&st);
    check_identities(&st, 0);
    ck_assert_uint_eq(st.heap_objects, 0);
    ck_assert_uint_eq(st.num_gc, 0);
    ck_assert_uint_gt(st.sys, 0);
}
END_TEST

START_TEST(sizes_ascend)
{
    gc_read_memstats(&st);
    int i = 2;
    for (; i < CLASSES && st.by_size[i].size; i++)
        ck_assert_uint_gt(st.by_size[i].size, st.by_size[i - 1].size);
    ck_assert_uint_eq(st.by_size[1].size, 8);
    ck_assert_uint_eq(st.by_size[i - 1].size, 32768);
    for (; i < CLASSES; i++)
        ck_assert_uint_eq(st.by_size[i].size, 0);
}
END_TEST

/* ---- the test's own books ---- */

struct books {
    uint64_t objects, bytes, large_objects, large_bytes;
};

static struct books all; /* of everything held */
enum { HELD = 20000 };
static void *held[HELD];
static size_t n_held;

static int class_of(size_t usable)
{
    for (int i = 1; i < CLASSES; i++)
        if (st.by_size[i].size == usable)
            return i;
    return 0;
}

static void enter(const void *p, int sign)
{
    size_t usable = gc_usable_size(p);
    all.objects += (uint64_t)sign;
    all.bytes += (uint64_t)sign * usable;
    if (usable > 32768) {
        all.large_objects += (uint64_t)sign;
        all.large_bytes += (uint64_t)sign * usable;
    }
}

static uint64_t random_state = 88172645463325252;

static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void hold_one(void)
{
    size_t size = 16 + random_below(random_below(20) == 0 ? 100000 : 1000);
    void *p = random_below(2) ? gc_malloc(size) : gc_malloc_noscan(size);
    memset(p, 0, size);
    enter(p, 1);
    held[n_held++] = p;
}

static void free_one(void)
{
    size_t i = random_below(n_held);
    enter(held[i], -1);
    gc_free(held[i]);
    held[i] = held[--n_held];
    held[n_held] = NULL;
}

static void is_exact(const struct gc_memstats *before)
{
    gc_read_memstats(&st);
    check_identities(&st, all.large_bytes);
    ck_assert_uint_eq(st.heap_objects - before->heap_objects, all.objects);
    ck_assert_uint_eq(st.alloc - before->alloc, all.bytes);
    ck_assert_uint_eq(st.by_size[0].mallocs - st.by_size[0].frees, all.large_objects);
}

/* No collection: each object made or freed is seen at once. */
START_TEST(exact_to_the_object)
{
    struct gc_memstats before;
    gc_disable();
    gc_read_memstats(&before);
    for (int i = 0; i < 60; i++) {
        hold_one();
        is_exact(&before);
    }
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 500; i++)
            hold_one();
        is_exact(&before);
        for (int i = 0; i < 300; i++)
            free_one();
        is_exact(&before);
    }
    while (n_held > 0)
        free_one();
    is_exact(&before);
    ck_assert_uint_eq(st.alloc, before.alloc);
}
END_TEST

/* With garbage beside them, and collections: after each, what is held and no more than a few strays. */
START_TEST(exact_after_collections)
{
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 300; i++)
            hold_one();
        for (int i = 0; i < 100; i++)
            free_one();
        for (int i = 0; i < 3000; i++)
            launder(gc_malloc(16 + random_below(1000)));
        settle();
        gc_read_memstats(&st);
        ck_assert_uint_ge(st.heap_objects, all.objects);
        ck_assert_uint_le(st.heap_objects, all.objects + 20);
        ck_assert_uint_ge(st.alloc, all.bytes);
        ck_assert_uint_le(st.alloc, all.bytes + 20 * 1100);
        check_identities(&st, all.large_bytes);
    }
}
END_TEST

/* Each class counts its own. */
START_TEST(by_size)
{
    struct gc_memstats before;
    static const size_t sizes[] = {1, 8, 16, 20, 48, 100, 1000, 5000, 32768, 32769, 200000};
    gc_disable();
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        gc_read_memstats(&before);
        for (int i = 0; i < 100; i++)
            held[i] = gc_malloc(sizes[k]);
        size_t usable = gc_usable_size(held[0]);
        gc_read_memstats(&st);
        int c = class_of(usable);
        ck_assert_uint_eq(st.by_size[c].mallocs, before.by_size[c].mallocs + 100);
        ck_assert_uint_eq(st.mallocs, before.mallocs + 100);
        ck_assert_uint_eq(st.total_alloc, before.total_alloc + 100 * usable);
        for (int i = 0; i < 100; i++)
            gc_free(held[i]);
        gc_read_memstats(&st);
        ck_assert_uint_eq(st.by_size[c].frees, before.by_size[c].frees + 100);
        ck_assert_uint_eq(st.frees, before.frees + 100);
        ck_assert_uint_eq(st.alloc, before.alloc);
        ck_assert_uint_eq(st.total_alloc, before.total_alloc + 100 * usable);
    }
}
END_TEST

/* A shared block is one object of 16 bytes. */
START_TEST(tiny_blocks)
{
    struct gc_memstats before;
    size_t blocks = 0;
    void *last = NULL;
    gc_disable();
    gc_read_memstats(&before);
    for (int i = 0; i < 1000; i++) {
        void *p = gc_malloc_noscan(1 + (size_t)i % 15);
        blocks += gc_base(p) != last;
        last = gc_base(p);
    }
    gc_read_memstats(&st);
    ck_assert_uint_eq(st.heap_objects - before.heap_objects, blocks);
    ck_assert_uint_eq(st.alloc - before.alloc, 16 * blocks);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4 };
static struct worker {
    pthread_t thread;
    uint64_t random, made;
} workers[THREADS];

static void *work(void *arg)
{
    struct worker *w = arg;
    void **kept = gc_calloc(200, sizeof *kept);
    for (int i = 0; i < 60000; i++) {
        w->random = w->random * 6364136223846793005u + 1442695040888963407u;
        size_t r = (size_t)(w->random >> 33), size = 16 + (r % 64 == 0 ? r % 90000 : r % 500);
        void **slot = &kept[r % 200];
        if (r & 1024)
            gc_free(*slot);
        *slot = r & 2048 ? gc_malloc(size) : gc_malloc_noscan(size);
        w->made++;
    }
    gc_keep_alive(kept);
    return NULL;
}

/* While they work, every reading is whole by itself, and what only grows never shrinks. */
static void read_while_they_work(void)
{
    static struct gc_memstats last;
    for (int i = 0; i < 200; i++) {
        gc_read_memstats(&st);
        check_sums(&st);
        ck_assert_uint_ge(st.total_alloc, last.total_alloc);
        ck_assert_uint_ge(st.mallocs, last.mallocs);
        ck_assert_uint_ge(st.frees, last.frees);
        ck_assert_uint_ge(st.num_gc, last.num_gc);
        ck_assert_uint_ge(st.pause_total_ns, last.pause_total_ns);
        last = st;
        if (i % 10 == 0)
            gc_collect();
    }
}

START_TEST(random_work_on_threads)
{
    uint64_t made = 0;
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i].random = i + 1;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    read_while_they_work();
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        made += workers[i].made;
    }
    settle();
    gc_read_memstats(&st);
    check_sums(&st);
    if (st.by_size[0].mallocs == st.by_size[0].frees)
        check_identities(&st, 0);
    /* Theirs, their tables, and what the library itself may need to start a thread. */
    ck_assert_uint_ge(st.mallocs, made + THREADS);
    ck_assert_uint_le(st.mallocs, made + 3 * THREADS);
    ck_assert_uint_le(st.heap_objects, 50);
}
END_TEST

/* ---- collections ---- */

START_TEST(pauses)
{
    uint64_t total = 0;
    for (uint64_t n = 1; n <= 300; n++) {
        gc_collect();
        gc_read_memstats(&st);
        ck_assert_uint_eq(st.num_gc, n);
        ck_assert_uint_eq(st.num_forced_gc, n);
        uint64_t newest = (n + 255) % 256;
        ck_assert_uint_gt(st.pause_ns[newest], 0);
        ck_assert_uint_eq(st.pause_end[newest], st.last_gc);
        total += st.pause_ns[newest];
        ck_assert_uint_eq(st.pause_total_ns, total);
        if (n < 256)
            ck_assert_uint_eq(st.pause_ns[n], 0);
    }
    ck_assert_uint_gt(st.last_gc, UINT64_C(1600000000) * 1000000000);
    ck_assert(st.gc_cpu_fraction > 0);
}
END_TEST

START_TEST(next_gc)
{
    gc_read_memstats(&st);
    uint64_t goal = st.next_gc;
    ck_assert_uint_ge(goal, 1 << 20);
    while (st.num_gc == 0) {
        uint64_t alloc = st.alloc;
        for (int i = 0; i < 1000; i++)
            launder(gc_malloc(64));
        gc_read_memstats(&st);
        if (st.num_gc == 0 && alloc > goal + (1 << 20))
            ck_abort_msg("no collection at %llu, next_gc %llu", (unsigned long long)alloc, (unsigned long long)goal);
        if (st.num_gc == 1 && alloc < goal / 2)
            ck_abort_msg("a collection at %llu, next_gc %llu", (unsigned long long)alloc, (unsigned long long)goal);
    }
}
END_TEST

/* ---- the caller's struct is smaller or larger than the library's ---- */

START_TEST(smaller_struct)
{
    struct {
        char part[sizeof(uint64_t) * 6];
        char beyond[64];
    } s;
    memset(&s, 0x5a, sizeof s);
    held[0] = make_filled(64, 1);
    gc_read_memstats(&st);
    gc_read_memstats_sized((struct gc_memstats *)(void *)&s, sizeof s.part);
    ck_assert_int_eq(memcmp(s.part, &st, sizeof s.part), 0);
    for (size_t i = 0; i < sizeof s.beyond; i++)
        ck_assert_int_eq(s.beyond[i], 0x5a);
    gc_read_memstats_sized((struct gc_memstats *)(void *)&s, 0);
}
END_TEST

START_TEST(larger_struct)
{
    static struct {
        struct gc_memstats st;
        char later[256], beyond[64];
    } s;
    memset(&s, 0x5a, sizeof s);
    gc_read_memstats_sized(&s.st, sizeof s.st + sizeof s.later);
    check_identities(&s.st, 0);
    check_zero(s.later, sizeof s.later);
    for (size_t i = 0; i < sizeof s.beyond; i++)
        ck_assert_int_eq(s.beyond[i], 0x5a);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, at_start);
    tcase_add_test(tc, sizes_ascend);
    tcase_add_test(tc, exact_to_the_object);
    tcase_add_test(tc, exact_after_collections);
    tcase_add_test(tc, by_size);
    tcase_add_test(tc, tiny_blocks);
    tcase_add_test(tc, random_work_on_threads);
    tcase_add_test(tc, pauses);
    tcase_add_test(tc, next_gc);
    tcase_add_test(tc, smaller_struct);
    tcase_add_test(tc, larger_struct);
}
CHECK_MAIN("api/memstats", tests)
