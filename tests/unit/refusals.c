/* refusals.c - a scripted life of a heap in which the system refuses one call, each in turn, and then every call from
 * one on. What cannot be had is answered by NULL or false; at once after it every invariant holds, nothing that was
 * allocated is lost, and the same request succeeds as soon as the system gives again. */
#include "heap.h"

#include "heap/persistentalloc.h"
#include "heap/pinned.h"

#include <string.h>

static bool chosen; /* to be sampled: none is */

static struct mcache c;

enum { OBJECTS = 6000, MAX_CALLS = 200 };
static struct object {
    uint64_t *p;
    size_t size;
} object[OBJECTS];
static size_t count;

static void keep(void *p, size_t size)
{
    object[count].p = p;
    object[count].size = size;
    *(uint64_t *)p = count; /* every object is of two words at least */
    *(uint64_t *)((char *)p + size - sizeof(uint64_t)) = ~(uint64_t)count;
    count++;
}

static void check_objects(void)
{
    for (size_t i = 0; i < count; i++) {
        if (!object[i].p)
            continue;
        const uint64_t *end = (const uint64_t *)((char *)object[i].p + object[i].size);
        if (*object[i].p != i || end[-1] != ~(uint64_t)i)
            ck_abort_msg("object %zu of %zu bytes was written to", i, object[i].size);
    }
}

/* The steps that may be refused. Each answers whether it was done. */

static bool small(size_t size, bool noscan)
{
    spanclass spc = spanclass_make(sizeclass_of(size), noscan);
    if (!c.slots[spc].alloc_cache && !mcache_refill(&c, spc))
        return false;
    keep(mcache_take(&c.slots[spc], size), size);
    return true;
}

static bool large(size_t npages, size_t align_pages)
{
    struct mspan *s = mcentral_alloc_large(npages, align_pages, count % 2, false);
    if (!s)
        return false;
    pageheap_zero(s, mspan_bytes(s));
    keep((void *)s->base, mspan_bytes(s));
    return true;
}

static bool pinned(size_t size, size_t unused)
{
    (void)unused;
    void *p = pinned_alloc(spanclass_make(sizeclass_of(size), false), size, &chosen);
    if (!p)
        return false;
    keep(p, size);
    return true;
}

static bool small_step(size_t size, size_t noscan) { return small(size, noscan); }

static bool free_step(size_t i, size_t unused)
{
    (void)unused;
    struct mspan *s = arena_span((uintptr_t)object[i].p);
    if (mspan_is_large(s)) {
        mcentral_free_large(s);
    } else if (atomic_load(&s->owner) == &c) {
        ck_assert_int_eq(mcache_free_local(&c, s, mspan_index(s, (uintptr_t)object[i].p)), MCACHE_FREED);
    } else {
        enum mspan_freed done = mspan_note_free(s, mspan_index(s, (uintptr_t)object[i].p));
        if (done == FREED_NO_MEMORY)
            return false;
        ck_assert_int_eq(done, FREED_OK);
        mcentral_offer_freed(s);
    }
    object[i].p = NULL;
    return true;
}

/* Use the current chunk of metadata up, so that the next record or bitmap that is made needs the system. */
static bool use_metadata_up(size_t unused, size_t unused_too)
{
    (void)unused;
    (void)unused_too;
    uint64_t chunks = os_null.calls[OS_NULL_ALLOC];
    while (os_null.calls[OS_NULL_ALLOC] == chunks)
        if (!persistentalloc(4096, 1, SYS_OTHER))
            return false;
    for (size_t n = 4096; n < PERSISTENT_CHUNK; n += 4096)
        persistentalloc(4096, 1, SYS_OTHER);
    return true;
}

/* A step that is refused leaves a heap in order, and succeeds when it is tried again. With `on` the system goes on
 * refusing until then. */
static void must(bool (*step)(size_t, size_t), size_t a, size_t b)
{
    if (step(a, b))
        return;
    ck_assert_uint_gt(os_null.failed, 0);
    mcache_flush(&c);
    pinned_flush();
    check_heap_at_rest();
    check_objects();
    os_fail(0, false);
    ck_assert(step(a, b));
    pageheap_check();
}

static void mark_one(uint64_t *p)
{
    struct mspan *s = arena_span((uintptr_t)p);
    bits_set(s->gcmark_bits, mspan_index(s, (uintptr_t)p));
}

/* Every third object is found dead, the others live. */
static void collect(void)
{
    mcache_flush(&c);
    pinned_flush();
    check_heap_at_rest();
    for (size_t i = 0; i < count; i++) {
        if (!object[i].p)
            continue;
        if (i % 3 == 0)
            object[i].p = NULL;
        else
            mark_one(object[i].p);
    }
    pageheap_each(preset_marks, NULL);
    mcentral_begin_sweep();
}

static void sweep_all(void)
{
    size_t freed = 0;
    while (mcentral_sweep_one(&freed))
        ;
    mcache_flush(&c);
    pinned_flush();
    check_heap_at_rest();
    check_objects();
}

static void allocate_some(size_t round)
{
    for (size_t size = 16; size <= SMALL_MAX; size += size / 4 + 8) {
        if (size % 3 == 0)
            must(use_metadata_up, 0, 0);
        for (size_t i = 0; i < 4; i++)
            must(small_step, round_up(size, 8), i % 2);
    }
    must(large, 5 + 20 * round, 1);
    must(large, 300, 1);
    must(large, 9, 64);
    for (size_t size = 16; size < 4000; size *= 2)
        must(pinned, size, 0);
}

static void life(void)
{
    for (size_t round = 0; round < 4; round++) {
        size_t first = count;
        allocate_some(round);
        for (size_t i = first; i < count; i += 5)
            must(free_step, i, 0);
        must(use_metadata_up, 0, 0);
        mcache_flush(&c);
        for (size_t i = first + 1; i < count; i += 5)
            must(free_step, i, 0);
        collect();
        allocate_some(round); /* sweeps on demand */
        sweep_all();
        release_all();
        pageheap_check();
    }
    allocate_some(5);
    sweep_all();
}

/* The start may be refused too: it is tried again. */
static void start(void)
{
    if (!pageheap_init(HEAP_RANGE, HEAP_RANGE)) {
        ck_assert_uint_gt(os_null.failed, 0);
        os_fail(0, false);
        ck_assert(pageheap_init(HEAP_RANGE, HEAP_RANGE));
    }
    mcentral_init();
}

START_TEST(one_call)
{
    os_fail((uint64_t)_i, false);
    start();
    life();
    ck_assert_uint_eq(os_null.failed, (uint64_t)_i <= os_null_fallible_calls());
}
END_TEST

START_TEST(every_call_from_one_on)
{
    os_fail((uint64_t)_i, true);
    start();
    life();
    ck_assert_uint_ge(os_null.failed, (uint64_t)_i <= os_null_fallible_calls());
}
END_TEST

/* The loops above reach every call that a life makes, of each kind. */
START_TEST(number_of_calls)
{
    start();
    life();
    ck_assert_uint_lt(os_null_fallible_calls(), MAX_CALLS);
    for (int kind = OS_NULL_RESERVE; kind <= OS_NULL_RELEASE; kind++)
        ck_assert_uint_gt(os_null.calls[kind], 2);
    ck_assert_uint_lt(count, OBJECTS);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, number_of_calls);
    tcase_add_loop_test(tc, one_call, 1, MAX_CALLS);
    tcase_add_loop_test(tc, every_call_from_one_on, 1, MAX_CALLS);
}
CHECK_MAIN("unit/refusals", tests)
