/* pinned.c - objects that are roots: in spans of their own, from one cache that all threads share. */
#include "heap.h"

#include "base/check.h"
#include "heap/pinned.h"
#include "os/os_real.h"

#include <pthread.h>

static bool chosen; /* to be sampled: none is */

static void setup(void) { heap_start(); }

static const spanclass SMALL = 4 << 1;

static struct mspan *span_at(const void *p) { return arena_span((uintptr_t)p); }

static void count_objects(struct mspan *s, void *n)
{
    ck_assert(s->pinned);
    *(size_t *)n += bits_count(s->alloc_bits, mspan_words(s));
}

static size_t pinned_objects(void)
{
    size_t n = 0;
    mcentral_each_pinned(count_objects, &n);
    return n;
}

/* .apart */
START_TEST(apart)
{
    static struct mcache c;
    char *p = pinned_alloc(SMALL, 40, &chosen), *q = pinned_alloc(SMALL, 40, &chosen);
    ck_assert(mcache_refill(&c, SMALL));
    char *r = mcache_take(&c.slots[SMALL], 40);
    ck_assert_ptr_eq(span_at(p), span_at(q));
    ck_assert_ptr_ne(p, q);
    ck_assert(span_at(p)->pinned && !span_at(r)->pinned);
    mcache_flush(&c);
    pinned_flush();
    check_heap_at_rest();
}
END_TEST

START_TEST(flush)
{
    pinned_flush(); /* before there is a cache */
    ck_assert_uint_eq(pinned_objects(), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_ptr_nonnull(pinned_alloc(SMALL, 48, &chosen));
    ck_assert_ptr_nonnull(pinned_alloc(20 << 1 | 1, 300, &chosen));
    pinned_flush();
    ck_assert_uint_eq(pinned_objects(), 201);
    ck_assert_uint_eq(live_bytes(), 200 * 48 + 352);
    ck_assert_uint_eq(check_heap_at_rest(), 3);
    ck_assert_ptr_nonnull(pinned_alloc(SMALL, 48, &chosen));
    pinned_flush();
    ck_assert_uint_eq(pinned_objects(), 202);
}
END_TEST

/* The cache lies in no memory that is scanned, and is counted. */
START_TEST(cache_memory)
{
    pinned_alloc(SMALL, 48, &chosen);
    ck_assert_uint_eq(sysmem_bytes(SYS_MCACHE), sizeof(struct mcache));
}
END_TEST

/* Each call in turn: the cache, the tables and pages of the heap, the bitmaps. */
START_TEST(no_memory)
{
    for (uint64_t n = 1;; n++) {
        os_null.failed = 0;
        os_fail(n, true);
        void *p = pinned_alloc(SMALL, 48, &chosen);
        os_fail(0, false);
        pageheap_check();
        if (os_null.failed == 0)
            break;
        ck_assert_ptr_null(p);
        ck_assert_uint_eq(live_bytes(), 0);
    }
    pinned_flush();
    ck_assert_uint_eq(pinned_objects(), 1);
    check_heap_at_rest();
}
END_TEST

enum { EACH = 5000 };

static void *allocate(void *unused)
{
    (void)unused;
    for (int i = 0; i < EACH; i++) {
        uint64_t *p = pinned_alloc(SMALL, 48, &chosen);
        *p += 1;
    }
    return NULL;
}

static void check_once(struct mspan *s, void *unused)
{
    (void)unused;
    for (size_t i = bits_next(s->alloc_bits, 0, s->nelems, true); i < s->nelems;
         i = bits_next(s->alloc_bits, i + 1, s->nelems, true))
        if (*(uint64_t *)mspan_slot(s, i) != 1)
            ck_abort_msg("an object was handed out twice");
}

START_TEST(two_threads)
{
    pthread_t id;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, allocate, NULL), 0);
    allocate(NULL);
    os_real_pthread_join(id, NULL);
    pinned_flush();
    ck_assert_uint_eq(pinned_objects(), 2 * EACH);
    mcentral_each_pinned(check_once, NULL);
    check_heap_at_rest();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, apart);
    tcase_add_test(tc, flush);
    tcase_add_test(tc, cache_memory);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, two_threads);
}
CHECK_MAIN("unit/pinned", tests)
