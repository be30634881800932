/* layout.c - layouts, the mcentrals that they are numbered by, and the lines of a cache that serve them: interned, listed,
 * at most so many spans, one at a time where there are many, and what happens without memory. Holds layout.one,
 * layout.plain, layout.places, typed.one, typed.listed, mcache.line, typedcache.shared, mcentral.late. */
#include "heap.h"

#include "base/check.h"
#include "heap/pagemark.h"
#include "heap/typedcache.h"

enum { SIZE = 48, CLASS = 4 };

static struct mcache c, other, third;
static uint64_t bits[LAYOUT_MAX_WORDS / WORD_BITS];

static void setup(void) { heap_start(); }

/* 64 of each size. */
static struct gc_layout *nth(size_t i)
{
    const uint64_t named = UINT64_C(1) << (i % 64);
    return layout_new(512 + 8 * (i / 64),
                      (const uint64_t[]){named, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
}

static struct mcentral *nth_central(size_t i) { return typed_central(nth(i), sizeclass_of(512 + 8 * (i / 64))); }

static struct mspan *span_at(const void *p) { return arena_span((uintptr_t)p); }

START_TEST(one_of_each)
{
    struct gc_layout *l = layout_new(SIZE, (const uint64_t[]){6});
    ck_assert_ptr_eq(layout_new(SIZE, (const uint64_t[]){6}), l);
    ck_assert_ptr_ne(layout_new(SIZE, (const uint64_t[]){4}), l);
    ck_assert_ptr_ne(layout_new(SIZE - 8, (const uint64_t[]){6}), l);
    for (size_t i = 0; i < 5000; i++)
        ck_assert_ptr_nonnull(nth(i));
    for (size_t i = 0; i < 5000; i += 99)
        ck_assert_ptr_eq(nth(i), nth(i));
    uint64_t before = sysmem_bytes(SYS_OTHER);
    for (size_t i = 0; i < 5000; i++)
        nth(i);
    ck_assert_uint_eq(sysmem_bytes(SYS_OTHER), before);
    ck_assert_ptr_eq(layout_new(SIZE, (const uint64_t[]){6}), l);
}
END_TEST

START_TEST(plain)
{
    ck_assert_int_eq(layout_new(SIZE, (const uint64_t[]){0})->scan, SCAN_NONE);
    ck_assert_int_eq(layout_new(SIZE + 3, (const uint64_t[]){0})->scan, SCAN_NONE);
    ck_assert_int_eq(layout_new(SIZE, (const uint64_t[]){63})->scan, SCAN_ALL);
    ck_assert_int_eq(layout_new(SIZE, (const uint64_t[]){62})->scan, SCAN_LAYOUT);
    memset(bits, 0xff, sizeof bits);
    ck_assert_int_eq(layout_new(sizeof bits * 64, bits)->scan, SCAN_ALL);
}
END_TEST

static void check_places(const struct gc_layout *l)
{
    size_t words = layout_words(l->size), n = 0;
    for (size_t i = 0; i < 3 * words; i++)
        ck_assert_int_eq(layout_names(l, i * 8 + i % 8), bits_test(bits, i % words));
    for (size_t i = 0; i < words; i++)
        if (bits_test(bits, i))
            ck_assert_uint_eq(l->at[n++], i);
    ck_assert_uint_eq(l->n, n);
    ck_assert_uint_ge(l->nahead, 1);
    ck_assert_uint_eq(l->ahead[0], l->at[0]);
    for (unsigned i = 1; i < l->nahead; i++)
        ck_assert(bits_test(bits, l->ahead[i]) && l->ahead[i] >= l->ahead[i - 1] + 8);
}

/* .places: random bits of all sizes, up to the largest. */
START_TEST(places)
{
    uint32_t x = 77;
    for (size_t words = 2; words <= LAYOUT_MAX_WORDS; words = words < 200 ? words + 1 : words * 2) {
        memset(bits, 0, sizeof bits);
        for (size_t i = 0; i < words; i++)
            if (next_random(&x) % 3 == 0)
                bits_set(bits, i);
        bits_set(bits, words - 1);
        bits_clear(bits, 0);
        check_places(layout_new(words * 8, bits));
        if (words == 128)
            words = LAYOUT_MAX_WORDS / 2; /* then exactly the largest */
    }
}
END_TEST

/* .one, .listed: each with its class, and a span knows its own. */
START_TEST(centrals)
{
    struct gc_layout *l = layout_new(SIZE, (const uint64_t[]){2});
    for (unsigned class = 1; class < SIZECLASS_COUNT; class ++) {
        struct mcentral *m = typed_central(l, class);
        ck_assert_ptr_eq(typed_central(l, class), m);
        ck_assert_ptr_eq(typed_at(m->scan), m);
        ck_assert_ptr_eq(typed_layout(m->scan), l);
        ck_assert_uint_eq(spanclass_sizeclass(m->spc), class);
        ck_assert_uint_lt(m->scan, typed_end());
        struct mspan *s = span_at(typedcache_alloc(&c, m, 8));
        ck_assert_uint_eq(s->scan, m->scan);
        ck_assert_uint_eq(pagemark_of(s->base)->scan, m->scan);
        ck_assert_uint_eq(pagemark_of(s->base)->elemsize, s->elemsize);
        ck_assert_ptr_eq(mcentral_of(s), m);
        pagemark_check(s);
    }
    struct mspan *large = mcentral_alloc_large_typed(typed_central(l, 0), 9);
    ck_assert(mspan_is_large(large) && large->scan == typed_central(l, 0)->scan);
    ck_assert_ptr_eq(mcentral_of(large), typed_central(l, 0));
    ck_assert(mcentral_free_large(large));
    mcache_flush(&c);
    check_heap_at_rest();
}
END_TEST

static size_t spans_held(const struct mcache *cache)
{
    size_t n = 0;
    for (unsigned i = SPANCLASS_COUNT; i < MCACHE_SLOTS; i++)
        n += cache->slots[i].span != NULL;
    return n;
}

/* .line: the first 32 layouts get a line each, later ones where they come often. */
START_TEST(lines)
{
    for (size_t i = 0; i < 32; i++) {
        struct mcentral *m = nth_central(i);
        ck_assert_ptr_nonnull(typedcache_alloc(&c, m, 512));
        unsigned nr = mcache_line(&c, m->scan);
        ck_assert_uint_ge(nr, SPANCLASS_COUNT);
        ck_assert_uint_eq(c.slots[nr].span->scan, m->scan);
    }
    ck_assert_uint_eq(spans_held(&c), 32);
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 32; i < 1000; i++)
            ck_assert_ptr_nonnull(typedcache_alloc(&c, nth_central(i), 512));
    for (size_t i = 0; i < 32; i++)
        ck_assert_uint_ne(mcache_line(&c, nth_central(i)->scan), 0);
    ck_assert_uint_eq(spans_held(&c), 32);
    ck_assert_uint_eq(mcache_line(&c, nth_central(500)->scan), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_nonnull(typedcache_alloc(&c, nth_central(500), 512));
    ck_assert_uint_ne(mcache_line(&c, nth_central(500)->scan), 0);
    ck_assert_uint_eq(spans_held(&c), 32);
    mcache_flush(&c);
    ck_assert(mcache_is_empty(&c));
    check_heap_at_rest();
}
END_TEST

/* Hot ones take the lines of a way in turns, however many they are; nothing is lost or given twice. */
START_TEST(random_use)
{
    enum { N = 60, OBJECTS = 20000 };
    static char *at[OBJECTS];
    uint32_t x = 11;
    for (size_t i = 0; i < N; i++)
        nth_central(i); /* so that every eighth is of one way, which has four lines */
    for (size_t n = 0; n < OBJECTS; n++) {
        size_t i = next_random(&x) % 4096 ? next_random(&x) % 5 * 8 : next_random(&x) % N;
        struct mcache *cache = next_random(&x) % 2 ? &c : &other;
        at[n] = typedcache_alloc(cache, nth_central(i), 512);
        ck_assert_ptr_nonnull(at[n]);
        if (span_at(at[n])->scan != nth_central(i)->scan)
            ck_abort_msg("object %zu is of another layout", n);
        ck_assert(*(size_t *)(void *)at[n] == 0);
        *(size_t *)(void *)at[n] = n + 1;
        if (next_random(&x) % 512 == 0)
            mcache_flush(cache);
    }
    for (size_t n = 0; n < OBJECTS; n++)
        if (*(size_t *)(void *)at[n] != n + 1)
            ck_abort_msg("object %zu was given twice", n);
    mcache_flush(&c);
    mcache_flush(&other);
    check_heap_at_rest();
    ck_assert_uint_eq(live_bytes(), OBJECTS * (uint64_t)512);
}
END_TEST

/* .shared: one object each in two caches, so one span each. */
START_TEST(one_span_for_all)
{
    for (size_t i = 0; i < 32; i++) { /* so that no line is free */
        typedcache_alloc(&c, nth_central(1000 + i), 512);
        typedcache_alloc(&other, nth_central(1000 + i), 512);
    }
    for (size_t i = 0; i < 300; i++) {
        char *p = typedcache_alloc(&c, nth_central(i), 512), *q = typedcache_alloc(&other, nth_central(i), 512);
        ck_assert_ptr_eq(span_at(p), span_at(q));
        ck_assert_ptr_ne(p, q);
        ck_assert(span_at(p)->exact == (spanclass_size(nth_central(i)->spc) == 512));
    }
    mcache_flush(&c);
    mcache_flush(&other);
    ck_assert_uint_eq(check_heap_at_rest(), 300 + 64);
}
END_TEST

/* What another thread freed is used again, also a slot at a time. */
START_TEST(freed_slots)
{
    struct mcache *caches[] = {&c, &other, &third};
    for (size_t i = 0; i < 96; i++)
        typedcache_alloc(caches[i / 32], nth_central(1000 + i % 32), 512);
    struct mcentral *m = nth_central(0);
    char *p[16];
    for (int i = 0; i < 15; i++)
        p[i] = typedcache_alloc(caches[i % 3], m, 512);
    struct mspan *s = span_at(p[0]);
    ck_assert_int_eq(mspan_note_free(s, mspan_index(s, (uintptr_t)p[3])), FREED_OK);
    ck_assert_ptr_eq(typedcache_alloc(&c, m, 512), p[3]);
    ck_assert_ptr_eq(span_at(typedcache_alloc(&other, m, 512)), s);
    ck_assert_int_eq((int)bits_count(s->alloc_bits, 1), s->nelems);
    ck_assert_uint_eq(mcache_line(&c, m->scan), 0);
    for (int i = 0; i < 3; i++)
        mcache_flush(caches[i]);
    check_heap_at_rest();
}
END_TEST

/* Their spans are swept like any other, and those of one that came after the mark are not waited for (.late). */
START_TEST(swept)
{
    size_t pages = 0;
    struct mcentral *m = nth_central(0);
    char *kept = typedcache_alloc(&c, m, 512), *lost = typedcache_alloc(&c, m, 512);
    char *gone = typedcache_alloc(&c, nth_central(1), 512);
    mcache_flush(&c);
    pageheap_each(preset_marks, NULL);
    bits_set(span_at(kept)->gcmark_bits, mspan_index(span_at(kept), (uintptr_t)kept));
    mcentral_begin_sweep();
    ck_assert_ptr_nonnull(nth_central(2));
    ck_assert(!mcentral_all_swept());
    while (mcentral_sweep_one(&pages))
        ;
    ck_assert(mcentral_all_swept());
    ck_assert_ptr_nonnull(nth_central(3));
    ck_assert(mcentral_all_swept());
    ck_assert_uint_eq(pages, 1);
    ck_assert_ptr_null(span_at(gone));
    ck_assert_int_eq(span_at(kept)->alloc_count, 1);
    ck_assert_ptr_eq(typedcache_alloc(&c, m, 512), lost);
    mcache_flush(&c);
    check_heap_at_rest();
}
END_TEST

static void add(spanclass spc, uint64_t mallocs, uint64_t frees, void *sum)
{
    ck_assert(!spanclass_noscan(spc));
    ((uint64_t *)sum)[0] += mallocs;
    ((uint64_t *)sum)[1] += frees;
}

START_TEST(counted)
{
    uint64_t sum[2] = {0, 0};
    for (size_t i = 0; i < 100; i++)
        for (size_t k = 0; k < 5; k++)
            typedcache_alloc(&c, nth_central(i), 512);
    mcache_flush(&c);
    mcentral_each_typed(add, sum);
    ck_assert_uint_eq(sum[0], 500);
    ck_assert_uint_eq(sum[1], 0);
}
END_TEST

/* One at a time or from a line, what the sampler draws is told. */
START_TEST(sampled)
{
    sampler_set_rate(1);
    for (size_t i = 0; i < 40; i++) {
        char *p = typedcache_alloc(&c, nth_central(i), 512);
        ck_assert_uint_eq(mcache_fresh(&c), (uintptr_t)p);
        mcache_set_fresh(&c, 0);
    }
    ck_assert_uint_eq(spans_held(&c), 32);
    sampler_set_rate(0);
    typedcache_alloc(&c, nth_central(50), 512);
    ck_assert_uint_eq(mcache_fresh(&c), 0);
}
END_TEST

/* When every number is given out there is none, and nothing breaks; the last is as good as the first. */
START_TEST(numbers_run_out)
{
    uint32_t n = SCAN_LAYOUT;
    struct mcentral *m = NULL, *last = NULL;
    for (size_t i = 0; i < 1200 && (n == SCAN_LAYOUT || m); i++)
        for (unsigned class = 1; class < SIZECLASS_COUNT; class ++, n++) {
            if (!(m = typed_central(nth(i), class)))
                break;
            ck_assert_uint_eq(m->scan, n);
            last = m;
        }
    ck_assert_ptr_null(m);
    ck_assert_uint_eq(last->scan, UINT16_MAX);
    ck_assert_uint_eq(typed_end(), UINT16_MAX + 1);
    ck_assert_uint_eq(span_at(typedcache_alloc(&c, last, 8))->scan, UINT16_MAX);
    ck_assert_ptr_eq(nth_central(0), typed_central(nth(0), sizeclass_of(512)));
    mcache_flush(&c);
    check_heap_at_rest();
    mcentral_fork_acquire();
    mcentral_fork_release();
}
END_TEST

/* Each call fails in turn: nothing is half made, and what failed succeeds later. */
START_TEST(no_memory)
{
    int refused = 0;
    for (size_t i = 0; i < 6000; i++) {
        os_fail(1, true);
        struct gc_layout *l = nth(i);
        struct mcentral *m = l ? typed_central(l, sizeclass_of(l->size)) : NULL;
        void *p = m ? typedcache_alloc(&c, m, 8) : NULL;
        os_fail(0, false);
        refused += !p;
        ck_assert(l == NULL || nth(i) == l);
        ck_assert_ptr_nonnull(typedcache_alloc(&c, nth_central(i), 8));
    }
    ck_assert_int_ge(refused, 3);
    mcache_flush(&c);
    check_heap_at_rest();
}
END_TEST

/* The same of numbers alone, whose memory comes in chunks. */
START_TEST(no_memory_for_numbers)
{
    int refused = 0;
    for (size_t i = 0; i < 900; i++) {
        struct gc_layout *l = nth(i);
        for (unsigned class = 1; class < SIZECLASS_COUNT; class ++) {
            os_fail(1, true);
            struct mcentral *m = typed_central(l, class);
            os_fail(0, false);
            refused += !m;
            ck_assert_ptr_nonnull(m ? m : typed_central(l, class));
        }
    }
    ck_assert_int_ge(refused, 3);
    ck_assert_uint_eq(typed_end(), SCAN_LAYOUT + 900 * (SIZECLASS_COUNT - 1));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, one_of_each);
    tcase_add_test(tc, plain);
    tcase_add_test(tc, places);
    tcase_add_test(tc, centrals);
    tcase_add_test(tc, lines);
    tcase_add_test(tc, random_use);
    tcase_add_test(tc, one_span_for_all);
    tcase_add_test(tc, freed_slots);
    tcase_add_test(tc, swept);
    tcase_add_test(tc, counted);
    tcase_add_test(tc, sampled);
    tcase_add_test(tc, numbers_run_out);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, no_memory_for_numbers);
}
CHECK_MAIN("unit/layout", tests)
