/* layout.c - objects of layouts: the words that are named hold and no others do, in structs, arrays, large ones, after
 * gc_realloc, beside collections; and what many layouts cost. Holds scan.typed, layout.one, layout.plain, realloc.kind,
 * typedcache.shared. */
#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WORD = 8, TARGET = 32, MAX = GC_SPAN_LAYOUT_MAX, THREADS = 8 };

static uint64_t bits[MAX / WORD / 64];

static void *checked(void *p)
{
    if (!p)
        abort();
    return p;
}

/* A layout with these words named. */
static struct gc_layout *with_words(size_t size, const size_t *words, size_t n)
{
    memset(bits, 0, sizeof bits);
    for (size_t i = 0; i < n; i++)
        bits[words[i] / 64] |= UINT64_C(1) << words[i] % 64;
    return checked(gc_layout_new(size, bits));
}

static struct gc_layout *with_word(size_t size, size_t word) { return with_words(size, &word, 1); }

/* Puts a new object into the word, which is all that refers to it. */
static NOINLINE struct gc_weak *put(void **word)
{
    *word = make_filled(TARGET, 1);
    return checked(gc_weak_new(*word));
}

static void *volatile root;

/* Of the words of root's object, those told hold what is put into them and the others do not. Each time some of them. */
static NOINLINE void expect_words(size_t nwords, bool (*named)(size_t word, const void *arg), const void *arg)
{
    size_t step = nwords / 61 + 1, start = step > 1 ? nwords % step : 0;
    for (int round = 0; round < 2; round++) {
        struct gc_weak *weak[64] = {NULL};
        for (size_t i = 0; i < nwords; i++)
            ((void **)root)[i] = NULL;
        for (size_t k = 0, i = start; i < nwords; i += step, k++)
            weak[k] = put((void **)root + i);
        gc_collect_without_stacks();
        for (size_t k = 0, i = start; i < nwords; i += step, k++) {
            if ((gc_weak_get(weak[k]) != NULL) != named(i, arg))
                ck_abort_msg("word %zu of %zu, which is%s named", i, nwords, named(i, arg) ? "" : " not");
            gc_weak_free(weak[k]);
        }
        start = 0;
    }
}

struct periodic {
    size_t period, first, last; /* words */
};

static bool is_periodic(size_t word, const void *arg)
{
    const struct periodic *p = arg;
    return word % p->period >= p->first && word % p->period <= p->last;
}

START_TEST(refused)
{
    struct bad {
        size_t size;
        const uint64_t *bitmap;
    };
    static const uint64_t one[] = {1}, third[] = {4}, of_65[] = {1, 2};
    static uint64_t many[MAX / WORD / 64 + 1];
    const struct bad bad[] = {{0, one},        {16, NULL},      {16, third},     {20, one},       {1, one},
                              {65 * 8, of_65}, {SIZE_MAX, one}, {MAX + 8, many}, {7 * 8 + 4, one}};
    many[0] = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_msg(!gc_layout_new(bad[i].size, bad[i].bitmap), "%zu", i);
        ck_assert_int_eq(errno, EINVAL);
    }
    errno = 0;
    ck_assert_ptr_null(gc_malloc_typed(NULL));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gc_calloc_typed(NULL, 1));
    ck_assert_int_eq(errno, EINVAL);
    struct gc_layout *l = gc_layout_new(16, one);
    errno = 0;
    ck_assert_ptr_null(gc_calloc_typed(l, SIZE_MAX / 8));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 77;
    ck_assert_ptr_nonnull(gc_malloc_typed(gc_layout_new(16, one)));
    ck_assert_ptr_nonnull(gc_malloc_typed(gc_layout_new(MAX, many)));
    ck_assert_ptr_eq(gc_calloc_typed(l, 0), gc_malloc(0));
    ck_assert_int_eq(errno, 77);
}
END_TEST

/* .one */
START_TEST(equal_ones_are_one)
{
    struct gc_layout *l = with_word(48, 1);
    ck_assert_ptr_eq(with_word(48, 1), l);
    ck_assert_ptr_ne(with_word(48, 2), l);
    ck_assert_ptr_ne(with_word(40, 1), l); /* an array of it has its pointers elsewhere */
    for (size_t i = 0; i < 3000; i++)
        with_word(512 * 8, i % 512);
    ck_assert_ptr_eq(with_word(48, 1), l);
    char *p = gc_malloc_typed(l), *q = gc_malloc_typed(with_word(48, 1));
    ck_assert_int_eq(q - p, 48);
}
END_TEST

/* .plain */
START_TEST(plain_ones_are_ordinary)
{
    size_t all[] = {0, 1, 2, 3};
    void *none = gc_malloc_typed(with_words(30, NULL, 0)), *every = gc_malloc_typed(with_words(32, all, 4)),
         *half = gc_malloc_typed(with_words(32, all, 2)), *tiny = gc_malloc_typed(with_words(3, NULL, 0));
    ck_assert_int_eq(gc_is_noscan(none), 1);
    ck_assert_int_eq(gc_is_noscan(tiny), 1);
    ck_assert_int_eq(gc_is_noscan(every), 0);
    ck_assert_int_eq(gc_is_noscan(half), 0);
    check_zero(none, 30);
    /* The next of the same class, each. */
    ck_assert_ptr_eq(gc_malloc(32), (char *)every + 32);
    ck_assert_ptr_ne(gc_malloc(32), (char *)half + 32);
    ck_assert_ptr_eq(gc_calloc_typed(with_words(16, all, 2), 2), (char *)every + 96);
}
END_TEST

/* No byte more than any other object. */
START_TEST(sizes)
{
    for (size_t size = 16; size <= 40000; size = size < 2000 ? size + 8 : size + 1000) {
        void *p = gc_malloc_typed(with_word(size, 1)), *q = gc_malloc(size);
        ck_assert_uint_eq(gc_usable_size(p), gc_usable_size(q));
        ck_assert_uint_eq((uintptr_t)p % 16, 0);
        check_zero(p, gc_usable_size(p));
        memset(p, 0xee, size);
        gc_free(p);
    }
}
END_TEST

static const size_t struct_sizes[] = {16, 24, 48, 64, 200, 1024, 5000, 32768, 32776, 100000, 131072 + 8, MAX};
enum { STRUCT_SIZES = sizeof struct_sizes / sizeof *struct_sizes };

START_TEST(named_words_hold)
{
    size_t size = struct_sizes[_i], n = size / WORD, first = n / 3, last = first + (n > 4 ? n / 7 : 0);
    struct periodic named = {n, first, last};
    memset(bits, 0, sizeof bits);
    for (size_t i = first; i <= last; i++)
        bits[i / 64] |= UINT64_C(1) << i % 64;
    root = gc_malloc_typed(gc_layout_new(size, bits));
    check_zero(root, size);
    expect_words(n, is_periodic, &named);
}
END_TEST

struct pair {
    int number;
    void *p;
};

struct many {
    int64_t a;
    void *first;
    int64_t b[3];
    void *array[4];
    struct pair pair;
    struct pair pairs[2];
    int64_t c;
    char tail[8];
};

struct __attribute__((packed)) packed {
    int number;
    void *p;
};

static struct gc_layout *of_many(void) { return GC_SPAN_LAYOUT(struct many, first, array, pair.p, pairs[1]); }

static bool named_in_many(size_t word, const void *unused)
{
    (void)unused;
    size_t at = word * WORD, array = offsetof(struct many, array), second = offsetof(struct many, pairs[1]);
    return at == offsetof(struct many, first) || (at >= array && at < array + 4 * WORD) ||
           at == offsetof(struct many, pair.p) || (at >= second && at < second + sizeof(struct pair));
}

START_TEST(by_members)
{
    struct gc_layout *l = of_many();
    root = gc_malloc_typed(l);
    expect_words(sizeof(struct many) / WORD, named_in_many, NULL);
    errno = 77;
    ck_assert_ptr_eq(of_many(), l);
    ck_assert_ptr_eq(GC_SPAN_LAYOUT(struct many, first, array, pair.p, pairs[1]), l);
    ck_assert_ptr_ne(GC_SPAN_LAYOUT(struct many, first), l);
    ck_assert_int_eq(errno, 77);
    ck_assert_ptr_eq(GC_SPAN_LAYOUT(struct pair, p), with_word(16, 1));
    struct sixteen {
        void *a[2], *b, *c, *d, *e, *f, *g, *h, *i, *j, *k, *l, *m, *n, *o, *p;
        int64_t last;
    };
    ck_assert_ptr_eq(GC_SPAN_LAYOUT(struct sixteen, a[1], b, c, d, e, f, g, h, i, j, k, l, m, n, o, p),
                     gc_layout_new(sizeof(struct sixteen), (const uint64_t[]){0x1fffe}));
}
END_TEST

/* What no scan would find is refused. */
START_TEST(members_that_are_no_words)
{
    static const struct gc_layout_field bad[] = {{4, 8}, {0, 4}, {8, 12}, {16, 8}, {8, 16}, {0, 0}, {8, SIZE_MAX - 7}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_msg(!gc_layout_fields(16, &bad[i], 1), "%zu", i);
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_ptr_null(GC_SPAN_LAYOUT(struct packed, p));
    ck_assert_ptr_null(GC_SPAN_LAYOUT(struct pair, number));
    ck_assert_ptr_null(gc_layout_fields(16, NULL, 1));
    ck_assert_ptr_null(gc_layout_fields(MAX + 8, NULL, 0));
    ck_assert_ptr_eq(gc_layout_fields(16, NULL, 0), with_words(16, NULL, 0));
}
END_TEST

/* Elements that divide a size class, a page, a piece of work, and such that do not. */
static const struct {
    size_t words, first, last, n;
} arrays[] = {{2, 1, 1, 3},         {3, 0, 0, 5},          {3, 2, 2, 1},     {5, 1, 2, 7},
              {3, 1, 1, 1365},      {3, 1, 1, 1366},       {5, 3, 4, 20000}, {3, 2, 2, 30000},
              {1000, 999, 999, 70}, {4099, 4000, 4098, 9}, {2, 0, 0, 65536}};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

static struct gc_layout *layout_of_array(int i)
{
    memset(bits, 0, sizeof bits);
    for (size_t w = arrays[i].first; w <= arrays[i].last; w++)
        bits[w / 64] |= UINT64_C(1) << w % 64;
    return checked(gc_layout_new(arrays[i].words * WORD, bits));
}

START_TEST(arrays_repeat)
{
    size_t n = arrays[_i].words * arrays[_i].n;
    struct periodic named = {arrays[_i].words, arrays[_i].first, arrays[_i].last};
    root = gc_calloc_typed(layout_of_array(_i), arrays[_i].n);
    ck_assert_uint_ge(gc_usable_size(root), n * WORD);
    check_zero(root, n * WORD);
    expect_words(n, is_periodic, &named);
}
END_TEST

/* All sizes of the way up and down have the words where the elements are. */
START_TEST(realloc_keeps)
{
    size_t words = arrays[_i].words, most = 300000 / WORD, n = words;
    struct periodic named = {words, arrays[_i].first, arrays[_i].last};
    root = gc_malloc_typed(layout_of_array(_i));
    for (; n <= most; n = n * 3 / 2 + words) {
        root = gc_realloc(root, n * WORD);
        expect_words(n, is_periodic, &named);
    }
    for (; n >= words; n = n * 2 / 5) {
        root = gc_realloc(root, n * WORD);
        expect_words(n, is_periodic, &named);
    }
}
END_TEST

/* Contents go along, and what is new is zero. */
START_TEST(realloc_moves)
{
    struct gc_layout *l = with_word(24, 1);
    unsigned char *p = gc_malloc_typed(l);
    fill(p, 24, 5);
    for (size_t size = 48; size < 200000; size = size * 2 + 24) {
        p = gc_realloc(p, size);
        check_filled(p, 24, 5);
        check_zero(p + 24, size - 24);
    }
    p = gc_reallocarray(p, 3, 24);
    check_filled(p, 24, 5);
    ck_assert_ptr_eq(gc_realloc(p, 0), gc_malloc(0));
}
END_TEST

static NOINLINE void make_and_free(const struct gc_layout *l, size_t n)
{
    void *p[200];
    for (size_t i = 0; i < 200; i++) {
        p[i] = gc_calloc_typed(l, n);
        memset(p[i], 0xee, n * 48);
    }
    for (size_t i = 0; i < 200; i++)
        gc_free(p[i]);
}

static void *free_all(void *arg)
{
    for (size_t i = 0; i < 200; i++)
        gc_free(((void **)arg)[i]);
    return NULL;
}

/* Objects are counted, and their slots used again, whoever frees them. */
START_TEST(freed_and_counted)
{
    struct gc_memstats a, b;
    struct gc_layout *l = with_word(48, 2);
    void **p = gc_calloc(200, sizeof *p);
    pthread_t t;
    settle();
    read_stats(&a);
    for (size_t n = 1; n <= 1000; n *= 10)
        make_and_free(l, n);
    read_stats(&b);
    ck_assert_uint_eq(b.mallocs - a.mallocs, 800);
    ck_assert_uint_eq(b.frees - a.frees, 800);
    ck_assert_uint_eq(b.by_size[4].mallocs - a.by_size[4].mallocs, 200);
    ck_assert_uint_eq(b.by_size[4].size, 48);
    ck_assert_uint_eq(b.alloc, a.alloc);
    for (size_t i = 0; i < 200; i++)
        p[i] = gc_malloc_typed(l);
    ck_assert_int_eq(pthread_create(&t, NULL, free_all, p), 0);
    pthread_join(t, NULL);
    settle();
    make_and_free(l, 1);
    settle();
    read_stats(&a);
    ck_assert_uint_eq(a.by_size[4].mallocs - a.by_size[4].frees, b.by_size[4].mallocs - b.by_size[4].frees);
    ck_assert_uint_le(a.heap_inuse, b.heap_inuse + 8192);
}
END_TEST

static void *say_nothing(size_t unused)
{
    (void)unused;
    return NULL;
}

/* Under gc_set_frozen no page is had, and there is none of a new layout. */
START_TEST(frozen)
{
    enum { N = 3000 };
    static struct gc_layout *l[N];
    size_t failed = 0;
    for (size_t i = 0; i < N; i++)
        l[i] = with_word(1024 + 8 * (i / 100), i % 100);
    gc_set_oom_handler(say_nothing);
    gc_set_frozen(1);
    for (size_t i = 0; i < N; i++) {
        errno = 0;
        void **p = gc_malloc_typed(l[i]);
        failed += !p;
        if (!p)
            ck_assert_int_eq(errno, ENOMEM);
        else
            *p = root, root = NULL;
    }
    gc_set_frozen(0);
    ck_assert_uint_gt(failed, 0);
    for (size_t i = 0; i < N; i++)
        ck_assert_ptr_nonnull(gc_malloc_typed(l[i]));
}
END_TEST

/* ---- finalizers: what the named words refer to is kept for the call */

static struct gc_weak *held, *not_held;
static _Atomic int calls;

static void finalize(void *obj, void *unused)
{
    (void)unused;
    if (gc_weak_get(held) == NULL && gc_base(((void **)obj)[1]) != NULL)
        atomic_fetch_add(&calls, 1);
}

static NOINLINE uintptr_t make_finalized(void)
{
    void **p = gc_malloc_typed(with_word(48, 1));
    held = put(&p[1]);
    not_held = put(&p[2]);
    if (gc_set_finalizer(p, finalize, NULL, NULL, NULL) != 0)
        abort();
    return hide(p[1]);
}

START_TEST(finalized)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    uintptr_t kept = make_finalized();
    gc_collect_without_stacks();
    check_live(reveal(kept), TARGET, 1);
    ck_assert_ptr_null(gc_weak_get(not_held));
    gc_run_finalizers();
    ck_assert_int_eq(atomic_load(&calls), 1);
}
END_TEST

/* What the named words lead to waits; a word that is not named makes no order, and no cycle. */
static NOINLINE void make_ordered(void)
{
    const struct gc_layout *l = with_word(48, 1);
    void **a = gc_malloc_typed(l), **b = gc_malloc_typed(l), **c = gc_malloc_typed(l);
    a[1] = b;
    a[2] = c;
    a[3] = a;
    held = checked(gc_weak_new(a)); /* which finalize() looks at */
    for (int i = 0; i < 3; i++)
        if (gc_set_finalizer(i == 0 ? a : i == 1 ? b : c, finalize, NULL, NULL, NULL) != 0)
            abort();
}

START_TEST(finalized_in_order)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    make_ordered();
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 2);
    gc_collect_without_stacks();
    ck_assert_int_eq(gc_run_finalizers(), 1);
}
END_TEST

static NOINLINE void make_explained(void)
{
    void **p = root = gc_malloc_typed(with_word(48, 1));
    p[1] = gc_malloc_typed(with_word(40, 0));
}

static void explain(void *unused)
{
    (void)unused;
    gc_explain(((void **)root)[1], STDERR_FILENO);
}

/* The way there is by the word that is named, and of each object it is said how it is scanned. */
START_TEST(explained)
{
    struct outcome o;
    make_explained();
    run_child(explain, NULL, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_of(o.text, "48 bytes, scanned by a layout"), 3);
    ck_assert_ptr_nonnull(strstr(o.text, "at +8: "));
}
END_TEST

/* ---- what many layouts cost */

enum { LAYOUTS = 4096 };
static struct gc_layout *many[LAYOUTS];

static void make_many(void)
{
    for (size_t i = 0; i < LAYOUTS; i++)
        many[i] = with_words(1024, (const size_t[]){i % 64, 64 + i / 64}, 2);
}

static struct heap_cost {
    uint64_t heap, sys;
} cost(void)
{
    struct gc_memstats st;
    read_stats(&st);
    return (struct heap_cost){st.heap_inuse, st.sys};
}

static pthread_barrier_t barrier;

/* All threads at the same layout at the same time, as near as can be. */
static void *one_of_each(void *objects)
{
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (i % 16 == 0)
            pthread_barrier_wait(&barrier);
        ((void **)objects)[i] = checked(gc_malloc_typed(many[i]));
    }
    return NULL;
}

static void by_threads(void *(*fn)(void *), void **objects)
{
    pthread_t t[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, fn, objects + i * LAYOUTS), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* .shared: each thread has one object of each of 4,096 layouts, none of them is garbage. */
START_TEST(many_layouts)
{
    make_many();
    struct heap_cost before = cost();
    void **objects = gc_calloc((size_t)THREADS * LAYOUTS, sizeof *objects);
    by_threads(one_of_each, objects);
    struct heap_cost after = cost();
    fprintf(stderr, "heap in use: %.1f MiB, all memory: %.1f MiB\n", (double)(after.heap - before.heap) / (1 << 20),
            (double)(after.sys - before.sys) / (1 << 20));
    /* A span for each, one for each line of each thread, and some for the rest: 34.5 MiB, and 40 were asked for. */
    ck_assert_uint_le(after.heap - before.heap, (LAYOUTS + THREADS * 32 + 64) * UINT64_C(8192));
    ck_assert_uint_le(after.sys - before.sys, UINT64_C(44) << 20);
    gc_keep_alive(objects);
}
END_TEST

/* ---- beside collections: lists whose nodes are of many layouts, and whose other words hold what looks like addresses */

enum { KINDS = 90, LENGTH = 200, ROUNDS = 150 };
static struct gc_layout *kinds[KINDS];
static size_t next_at[KINDS], kind_words[KINDS];
static _Atomic bool over;
static _Atomic size_t checked_lists;

static void make_kinds(void)
{
    for (size_t k = 0; k < KINDS; k++) {
        kind_words[k] = 4 + k % 9;
        next_at[k] = k / 9 % kind_words[k];
        kinds[k] = with_word(kind_words[k] * WORD, next_at[k]);
    }
}

static NOINLINE void **make_list(uint32_t *x)
{
    void **first = NULL;
    for (int i = 0; i < LENGTH; i++) {
        *x ^= *x << 13, *x ^= *x >> 17, *x ^= *x << 5;
        size_t k = 1 + *x % (KINDS - 1);
        void **p = *x >> 20 & 7 ? gc_malloc_typed(kinds[k]) : gc_calloc_typed(kinds[k], *x >> 16 & 3);
        if (!p || gc_usable_size(p) == 0) {
            i--;
            continue;
        }
        p[next_at[k]] = first;
        p[(next_at[k] + 1) % kind_words[k]] = (void *)(uintptr_t)k;
        first = p;
        p[(next_at[k] + 2) % kind_words[k]] = gc_malloc(16); /* which it does not hold */
    }
    return first;
}

static NOINLINE void check_list(void **p)
{
    size_t n = 0;
    while (p) {
        size_t size = gc_usable_size(p);
        if (gc_base(p) != p || size == 0)
            ck_abort_msg("node %zu, %p, was lost", n, (void *)p);
        size_t k = KINDS, words = size / WORD;
        /* The kind follows from where its number is. */
        for (size_t i = 0; i < words && k == KINDS; i++)
            for (size_t m = 0; m < KINDS; m++)
                if ((next_at[m] + 1) % kind_words[m] == i && p[i] == (void *)(uintptr_t)m && m > 0)
                    k = m;
        p = k == KINDS ? NULL : p[next_at[k]];
        n++;
    }
    atomic_fetch_add(&checked_lists, 1);
}

static void *lists(void *arg)
{
    uint32_t x = (uint32_t)(uintptr_t)arg;
    while (!atomic_load(&over)) {
        void **volatile list = make_list(&x);
        make_list(&x);
        check_list(list);
    }
    return NULL;
}

START_TEST(beside_collections)
{
    pthread_t t[4];
    make_kinds();
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, lists, (void *)(i + 7)), 0);
    for (int i = 0; i < ROUNDS || atomic_load(&checked_lists) < 100; i++)
        gc_collect();
    atomic_store(&over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}
END_TEST

/* ---- fork, check=1, several markers: in processes of their own */

static int use_layouts(void)
{
    uint32_t x = 5;
    make_kinds();
    void **volatile list = make_list(&x), **volatile array = gc_calloc_typed(with_word(40, 3), 100000);
    for (size_t i = 0; i < 100000; i += 7)
        array[i * 5 + 3] = gc_malloc_typed(kinds[i % KINDS]);
    for (int i = 0; i < 3; i++) {
        gc_collect();
        churn(48, 1000);
    }
    check_list(list);
    for (size_t i = 0; i < 100000; i += 7)
        if (gc_base(array[i * 5 + 3]) != array[i * 5 + 3])
            return 3;
    struct gc_weak *w = put(array + 4);
    root = array;
    gc_collect_without_stacks();
    if (gc_weak_get(w))
        return 4;
    root = array = gc_realloc(array, 64);
    w = put(array + 3);
    gc_collect_without_stacks();
    return gc_weak_get(w) ? 0 : 5;
}

static void in_child(void *unused)
{
    (void)unused;
    int status = use_layouts();
    if (status)
        _exit(status);
}

static void *fork_and_join(void *unused)
{
    struct outcome o;
    run_child(in_child, unused, &o);
    must_exit_0(&o);
    return NULL;
}

/* Of more layouts than there are lines. */
static void use_all(void *unused)
{
    (void)unused;
    for (size_t k = 0; k < KINDS; k++)
        if (!gc_malloc_typed(kinds[k]))
            _exit(3);
}

static void *use_all_for_ever(void *unused)
{
    while (!atomic_load(&over))
        use_all(unused);
    return NULL;
}

/* The lock that single slots are taken under is nobody's in a child. */
START_TEST(forked_in_between)
{
    pthread_t t[3];
    struct outcome o;
    make_kinds();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, use_all_for_ever, NULL), 0);
    for (int i = 0; i < 200; i++) {
        run_child(use_all, NULL, &o);
        must_exit_0(&o);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}
END_TEST

START_TEST(forked)
{
    pthread_t t;
    make_kinds();
    ck_assert_int_eq(pthread_create(&t, NULL, lists, (void *)9), 0);
    for (int i = 0; i < 10; i++)
        fork_and_join(NULL);
    atomic_store(&over, true);
    pthread_join(t, NULL);
}
END_TEST

static const char *const settings[] = {"SPANGC_DEBUG=check=1", "SPANGC_DEBUG=markers=3", "SPANGC_DEBUG=profilerate=1"};

START_TEST(with_settings)
{
    const char *const env[] = {settings[_i], NULL};
    struct outcome o;
    run_scene("use", env, &o);
    must_exit_0(&o);
}
END_TEST

static int write_past_the_end(void)
{
    volatile char *p = root = gc_malloc_typed(with_word(48, 1));
    p[48] = 1;
    gc_collect();
    return 0;
}

/* With check=1 they have a zone behind them like others. */
START_TEST(with_a_zone)
{
    static const char *const env[] = {"SPANGC_DEBUG=check=1", NULL};
    struct outcome o;
    if (sanitizer_is("address")) /* which says it in other words */
        return;
    run_scene("past", env, &o);
    ck_assert(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(o.text, "a write past the end of"));
    ck_assert_ptr_nonnull(strstr(o.text, "an object of 48 bytes: byte 48 was changed"));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_test(tc, equal_ones_are_one);
    tcase_add_test(tc, plain_ones_are_ordinary);
    tcase_add_test(tc, sizes);
    tcase_add_loop_test(tc, named_words_hold, 0, STRUCT_SIZES);
    tcase_add_test(tc, by_members);
    tcase_add_test(tc, members_that_are_no_words);
    tcase_add_loop_test(tc, arrays_repeat, 0, ARRAYS);
    tcase_add_loop_test(tc, realloc_keeps, 0, ARRAYS);
    tcase_add_test(tc, realloc_moves);
    tcase_add_test(tc, freed_and_counted);
    tcase_add_test(tc, frozen);
    tcase_add_test(tc, finalized);
    tcase_add_test(tc, finalized_in_order);
    tcase_add_test(tc, explained);
    tcase_add_test(tc, many_layouts);
    tcase_add_test(tc, beside_collections);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, forked_in_between);
    tcase_add_loop_test(tc, with_settings, 0, 3);
    tcase_add_test(tc, with_a_zone);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "past") == 0 ? write_past_the_end() : use_layouts();
    return check_main("api/layout", tests);
}
