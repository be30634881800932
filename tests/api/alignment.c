/* alignment.c - where objects start and how much of them may be used: every small size, every alignment.
 * Holds malloc.align, heap.sizeclass, aligned.c. Stores go through the types that a program would use, so that
 * UndefinedBehaviorSanitizer sees a wrong address too. */
#include "helpers.h"

#include <stddef.h>

enum { SMALL_LAST = 32768 };

static size_t promised(size_t size)
{
    size_t a = 1;
    while (a < 16 && a * 2 <= size)
        a *= 2;
    return a;
}

struct wide {
    _Alignas(16) uint64_t w[2];
};

static void store_typed(void *p, size_t size)
{
    *(volatile char *)p = 1;
    if (size >= 2)
        *(volatile uint16_t *)p = 2;
    if (size >= 4)
        *(volatile uint32_t *)p = 3;
    if (size >= 8)
        *(volatile double *)p = 4;
    if (size >= 16)
        *(volatile struct wide *)p = (struct wide){{5, 6}};
    if (size >= sizeof(max_align_t))
        *(max_align_t *)p = (max_align_t){0};
}

static void check_place(void *p, size_t size, size_t align, const char *call)
{
    if (!p)
        ck_abort_msg("%s of %zu bytes, alignment %zu: NULL, errno %d", call, size, align, errno);
    if ((uintptr_t)p % align != 0)
        ck_abort_msg("%s: %p of %zu bytes is not a multiple of %zu", call, p, size, align);
}

static void check_room(void *p, size_t size, int noscan, const char *call)
{
    size_t usable = gc_usable_size(p);
    bool part = noscan && size < 16 && usable == 0;
    if (usable < size && !part)
        ck_abort_msg("%s: %p of %zu bytes: usable %zu", call, p, size, usable);
    if (gc_is_noscan(p) != noscan)
        ck_abort_msg("%s: %p of %zu bytes: gc_is_noscan is %d", call, p, size, gc_is_noscan(p));
    if (!part && gc_base(p) != p)
        ck_abort_msg("%s: %p of %zu bytes: gc_base is %p", call, p, size, gc_base(p));
}

static void one_size(size_t size)
{
    void *p = gc_malloc(size);
    check_place(p, size, promised(size), "gc_malloc");
    check_room(p, size, 0, "gc_malloc");
    check_zero(p, gc_usable_size(p));
    store_typed(p, size);
    memset(p, 0xdd, gc_usable_size(p));
    void *q = gc_malloc_noscan(size);
    check_place(q, size, promised(size), "gc_malloc_noscan");
    check_room(q, size, 1, "gc_malloc_noscan");
    store_typed(q, size);
    memset(q, 0xdd, size);
}

/* Several of each size, so that a place other than the first of a span is seen. */
START_TEST(every_small_size)
{
    for (size_t size = 1; size <= SMALL_LAST; size++)
        for (int k = 0; k < (size < 2048 ? 3 : 1); k++)
            one_size(size);
}
END_TEST

START_TEST(large_sizes)
{
    for (size_t size = SMALL_LAST; size < 4 << 20; size += size / 7 + 1)
        one_size(size);
    for (size_t size = SMALL_LAST; size <= 1 << 20; size *= 2)
        for (size_t d = 0; d < 3; d++)
            one_size(size + d - 1);
}
END_TEST

/* What a class wastes: at most an eighth of the object beyond 1 KiB (small classes are coarser), a page of a large
 * one. */
START_TEST(waste_is_bounded)
{
    for (size_t size = 1024; size <= 200000; size += 97) {
        void *p = gc_malloc(size);
        size_t waste = gc_usable_size(p) - size, most = size <= SMALL_LAST ? size / 4 : 8192;
        if (waste > most)
            ck_abort_msg("%zu bytes waste %zu", size, waste);
        gc_free(p);
    }
}
END_TEST

static const size_t sizes[] = {0,    1,    2,    3,     7,     8,     9,     15,    16,     17,     24,
                               31,   33,   48,   64,    100,   127,   128,   129,   1000,   1024,   4095,
                               4097, 8192, 8193, 20000, 32767, 32768, 32769, 65536, 100000, 1 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef void *(*aligned_fn)(size_t align, size_t size);

static void each_alignment(aligned_fn fn, int noscan, const char *call)
{
    for (size_t align = 1; align <= 1 << 20; align *= 2) {
        for (size_t i = 0; i < SIZES; i++) {
            void *p = fn(align, sizes[i]);
            check_place(p, sizes[i], align, call);
            if (sizes[i] > 0)
                check_room(p, sizes[i], noscan, call);
            if (!noscan)
                check_zero(p, gc_usable_size(p));
            memset(p, 0xdd, sizes[i]);
            if (i % 3 == 0)
                gc_free(p);
        }
    }
}

START_TEST(every_alignment)
{
    each_alignment(gc_aligned_alloc, 0, "gc_aligned_alloc");
    each_alignment(gc_aligned_alloc_noscan, 1, "gc_aligned_alloc_noscan");
}
END_TEST

START_TEST(aligned_kinds)
{
    for (size_t align = 1; align <= 1 << 20; align *= 2) {
        ck_assert_int_eq(gc_is_noscan(gc_aligned_alloc(align, 40)), 0);
        ck_assert_int_eq(gc_is_noscan(gc_aligned_alloc_noscan(align, 40)), 1);
    }
}
END_TEST

/* Held while more are made: objects of great alignment do not overlap. */
START_TEST(aligned_do_not_overlap)
{
    enum { N = 64 };
    unsigned char *held[N];
    for (size_t i = 0; i < N; i++) {
        held[i] = gc_aligned_alloc((size_t)1 << (i % 21), 3000 + i * 700);
        ck_assert_ptr_nonnull(held[i]);
        fill(held[i], 3000 + i * 700, i);
        if (i % 16 == 15)
            gc_collect();
    }
    for (size_t i = 0; i < N; i++)
        check_filled(held[i], 3000 + i * 700, i);
}
END_TEST

START_TEST(aligned_errors)
{
    static const size_t wrong[] = {0, 3, 5, 6, 12, 24, 1000, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        volatile size_t align = wrong[i];
        errno = 0;
        ck_assert_ptr_null(gc_aligned_alloc(align, 64));
        ck_assert_int_eq(errno, EINVAL);
        errno = 0;
        ck_assert_ptr_null(gc_aligned_alloc_noscan(align, 64));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

static void *no_memory(size_t bytes)
{
    (void)bytes;
    return NULL;
}

START_TEST(aligned_absurd)
{
    volatile size_t huge = SIZE_MAX, top = SIZE_MAX / 2 + 1;
    void *out = &out;
    gc_set_oom_handler(no_memory);
    errno = 0;
    ck_assert_ptr_null(gc_aligned_alloc(64, huge));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gc_aligned_alloc(top, 1));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gc_aligned_alloc_noscan(top, huge));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 77;
    ck_assert_int_eq(gc_posix_memalign(&out, 64, huge), ENOMEM);
    ck_assert_ptr_eq(out, &out);
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(posix_memalign_rules)
{
    static const size_t wrong[] = {0, 1, 2, 4, 12, 24, 1000, SIZE_MAX};
    void *out = &out;
    errno = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(gc_posix_memalign(&out, wrong[i], 64), EINVAL);
        ck_assert_ptr_eq(out, &out);
    }
    for (size_t align = sizeof(void *); align <= 1 << 20; align *= 2) {
        for (size_t i = 0; i < SIZES; i++) {
            if (gc_posix_memalign(&out, align, sizes[i]) != 0)
                ck_abort_msg("posix_memalign(%zu, %zu) failed", align, sizes[i]);
            check_place(out, sizes[i], align, "gc_posix_memalign");
            check_zero(out, gc_usable_size(out));
            ck_assert_int_eq(gc_is_noscan(out) == 1, 0);
        }
    }
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, every_small_size);
    tcase_add_test(tc, large_sizes);
    tcase_add_test(tc, waste_is_bounded);
    tcase_add_test(tc, every_alignment);
    tcase_add_test(tc, aligned_kinds);
    tcase_add_test(tc, aligned_do_not_overlap);
    tcase_add_test(tc, aligned_errors);
    tcase_add_test(tc, aligned_absurd);
    tcase_add_test(tc, posix_memalign_rules);
}
CHECK_MAIN("api/alignment", tests)
