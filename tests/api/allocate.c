/* allocate.c - what the allocating calls return: zeroed memory, the address of size 0, overflow, strings, errno.
 * Holds malloc.zero, string.c, slow.order (no memory: NULL and ENOMEM, and the heap as it was). */
#include "helpers.h"

#include <stdarg.h>
#include <wchar.h>

static size_t asked_of_handler;
static int handler_calls;

static void *note_and_fail(size_t bytes)
{
    asked_of_handler = bytes;
    handler_calls++;
    return NULL;
}

/* Dirty every slot, let go of all, and allocate again: the second time the memory is used memory. */
static void zeroed_again(size_t size, size_t n)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < n; i++) {
            unsigned char *p = gc_malloc(size);
            size_t usable = gc_usable_size(p);
            check_zero(p, usable);
            memset(p, 0xff, usable);
            if (i % 4 == 0)
                gc_free(p);
        }
        gc_collect();
    }
}

START_TEST(malloc_zeroes)
{
    static const size_t sizes[] = {1,    8,    16,   24,    32,    48,    128,    144,
                                   1000, 4096, 8192, 30000, 32768, 32769, 100000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        zeroed_again(sizes[i], 1 + (1 << 20) / sizes[i] / (sizes[i] < 64 ? 8 : 1));
}
END_TEST

/* Noscan memory may be dirty; what calloc returns of it may not. */
START_TEST(calloc_zeroes)
{
    static const size_t sizes[] = {1, 3, 8, 15, 16, 100, 5000, 32768, 40000, 300000};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int k = 0; k < 50; k++) {
                unsigned char *p = gc_calloc_noscan(sizes[i], 1), *q = gc_calloc(1, sizes[i]);
                check_zero(p, sizes[i]);
                check_zero(q, sizes[i]);
                memset(p, 0xff, sizes[i]);
                memset(q, 0xff, sizes[i]);
                ck_assert_int_eq(gc_is_noscan(p), 1);
                ck_assert_int_eq(gc_is_noscan(q), 0);
            }
        }
        gc_collect();
    }
}
END_TEST

static void *zero;

static void same_zero(void *p)
{
    if (launder(p) != zero)
        ck_abort_msg("size 0 gave %p, not %p", p, zero);
}

START_TEST(size_0_is_one_address)
{
    void *out;
    zero = launder(gc_malloc(0));
    ck_assert_ptr_nonnull(zero);
    ck_assert_uint_eq((uintptr_t)zero % 16, 0);
    same_zero(gc_malloc(0));
    same_zero(gc_malloc_noscan(0));
    same_zero(gc_calloc(0, 5));
    same_zero(gc_calloc(5, 0));
    same_zero(gc_calloc_noscan(0, 0));
    same_zero(gc_realloc(NULL, 0));
    same_zero(gc_realloc(zero, 0));
    same_zero(gc_realloc(gc_malloc(10), 0));
    same_zero(gc_reallocarray(NULL, 0, 7));
    same_zero(gc_malloc_uncollectable(0));
    same_zero(gc_malloc_uncollectable_noscan(0));
    ck_assert_ptr_nonnull(gc_aligned_alloc(4096, 0));
    ck_assert_int_eq(gc_posix_memalign(&out, 4096, 0), 0);
    gc_collect();
    same_zero(gc_malloc(0));
}
END_TEST

START_TEST(size_0_is_accepted)
{
    zero = launder(gc_malloc(0));
    for (int i = 0; i < 3; i++) {
        gc_free(zero);
        ck_assert_uint_eq(gc_usable_size(zero), 0);
        ck_assert_ptr_eq(gc_base(zero), zero);
        gc_is_noscan(zero);
        gc_keep_alive(zero);
        void *p = gc_realloc(zero, 100);
        ck_assert_ptr_nonnull(p);
        ck_assert_ptr_ne(p, zero);
        check_zero(p, 100);
        same_zero(gc_realloc(p, 0));
        gc_collect();
    }
    uint64_t before = heap_objects();
    for (int i = 0; i < 1000; i++)
        same_zero(gc_malloc(0));
    ck_assert_uint_eq(heap_objects(), before);
}
END_TEST

START_TEST(products_overflow)
{
    volatile size_t half = SIZE_MAX / 2 + 1, big = (size_t)1 << 33, two = 2;
    void *p = gc_malloc(64);
    fill(p, 64, 1);
    gc_set_oom_handler(note_and_fail);
#define OVERFLOWS(call)                                                                                                \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        ck_assert_ptr_null(call);                                                                                      \
        ck_assert_int_eq(errno, ENOMEM);                                                                               \
    } while (0)
    OVERFLOWS(gc_calloc(half, two));
    OVERFLOWS(gc_calloc(big, big));
    OVERFLOWS(gc_calloc_noscan(half, two));
    OVERFLOWS(gc_calloc_noscan(big, big));
    OVERFLOWS(gc_reallocarray(p, half, two));
    OVERFLOWS(gc_reallocarray(NULL, big, big));
    check_filled(p, 64, 1);
    ck_assert_ptr_eq(gc_base(p), p);
}
END_TEST

START_TEST(absurd_sizes)
{
    static const size_t absurd[] = {SIZE_MAX,         SIZE_MAX - 1,       SIZE_MAX - 8191, SIZE_MAX / 2,
                                    SIZE_MAX / 2 + 1, PTRDIFF_MAX - 8192, (size_t)1 << 60, (size_t)1 << 48};
    void *p = gc_malloc(64);
    fill(p, 64, 1);
    gc_set_oom_handler(note_and_fail);
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        volatile size_t n = absurd[i];
        handler_calls = 0;
        OVERFLOWS(gc_malloc(n));
        ck_assert_int_eq(handler_calls, 1);
        ck_assert_uint_eq(asked_of_handler, n);
        OVERFLOWS(gc_malloc_noscan(n));
        OVERFLOWS(gc_calloc(n, 1));
        OVERFLOWS(gc_calloc_noscan(1, n));
        OVERFLOWS(gc_malloc_uncollectable(n));
        OVERFLOWS(gc_malloc_uncollectable_noscan(n));
        OVERFLOWS(gc_realloc(NULL, n));
        OVERFLOWS(gc_realloc(p, n));
        ck_assert_int_eq(handler_calls, 8);
    }
    check_filled(p, 64, 1);
    ck_assert_ptr_eq(gc_base(p), p);
    ck_assert_ptr_nonnull(gc_malloc(1000));
}
END_TEST

/* Through refills, large objects and collections. */
START_TEST(errno_is_left_alone)
{
    errno = 77;
    for (size_t size = 0; size < 50000; size += 1 + size / 9) {
        for (int k = 0; k < 20; k++) {
            char *text = NULL;
            void *p = gc_malloc(size), *out;
            p = gc_realloc(p, size / 2);
            p = gc_realloc(p, size * 3);
            gc_free(p);
            p = gc_malloc_noscan(size);
            p = gc_calloc(size, 2);
            p = gc_calloc_noscan(2, size);
            p = gc_aligned_alloc(256, size);
            p = gc_malloc_uncollectable(size);
            gc_free(p);
            if (gc_posix_memalign(&out, 64, size) != 0 || gc_asprintf(&text, "%zu", size) <= 0)
                ck_abort_msg("no memory");
            p = gc_strdup(text);
            if (errno != 77)
                ck_abort_msg("errno is %d at size %zu", errno, size);
        }
        gc_base(&size);
        gc_usable_size(NULL);
    }
    gc_collect();
    gc_collect_without_stacks();
    gc_release_memory();
    read_stats(&(struct gc_memstats){0});
    gc_features();
    gc_init();
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(strings)
{
    char text[300];
    for (size_t n = 0; n < sizeof text; n++) {
        memset(text, 'a' + (int)(n % 26), n);
        text[n] = 0;
        char *p = gc_strdup(text), *q = gc_strndup(text, n / 2), *r = gc_strndup(text, SIZE_MAX);
        if (strcmp(p, text) != 0 || strcmp(r, text) != 0 || strlen(q) != n / 2 || strncmp(q, text, n / 2) != 0)
            ck_abort_msg("strdup of %zu bytes", n);
        if (gc_is_noscan(p) != 1 || gc_is_noscan(q) != 1)
            ck_abort_msg("a string of %zu bytes is scanned", n);
    }
    /* strndup reads no further than n: the bytes beyond need not be a string. */
    ck_assert_str_eq(gc_strndup((const char[]){'x', 'y', 'z'}, 3), "xyz");
}
END_TEST

static int through_va_list(char **out, const char *format, ...) GC_SPAN_PRINTF(2, 3);
static int through_va_list(char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = gc_vasprintf(out, format, args);
    va_end(args);
    return n;
}

START_TEST(formats)
{
    char *p, *q;
    for (int width = 1; width < 40000; width += width / 3 + 1) {
        if (gc_asprintf(&p, "%*d|%s", width, 7, "end") != (int)strlen(p) ||
            through_va_list(&q, "%*d|%s", width, 7, "end") != (int)strlen(q) || strcmp(p, q) != 0)
            ck_abort_msg("width %d", width);
        if ((int)strlen(p) != width + 4 || strcmp(p + width - 1, "7|end") != 0 || gc_is_noscan(p) != 1)
            ck_abort_msg("width %d: %s", width, p);
    }
    ck_assert_int_eq(gc_asprintf(&p, "%s", ""), 0);
    ck_assert_str_eq(p, "");
}
END_TEST

/* A wide character that the C locale cannot write, and no memory for the result. */
START_TEST(formats_fail)
{
    char *p = (char *)&p;
    errno = 0;
    ck_assert_int_eq(gc_asprintf(&p, "%lc", (wint_t)0x20ac), -1);
    ck_assert_ptr_null(p);
    ck_assert_int_eq(errno, EILSEQ);
    gc_set_oom_handler(note_and_fail);
    gc_set_frozen(1);
    p = (char *)&p;
    errno = 0;
    ck_assert_int_eq(gc_asprintf(&p, "%50000000d", 1), -1);
    ck_assert_ptr_null(p);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_ge(handler_calls, 1);
}
END_TEST

/* Objects held at once do not overlap, whatever their kind and size. */
START_TEST(no_overlap)
{
    enum { N = 4000 };
    static unsigned char *held[N];
    for (size_t i = 0; i < N; i++) {
        size_t size = 1 + i * i % 3001;
        held[i] = i % 3 == 0 ? gc_malloc_noscan(size) : i % 3 == 1 ? gc_malloc(size) : gc_malloc_uncollectable(size);
        fill(held[i], size, i);
        if (i % 1000 == 999)
            gc_collect();
    }
    for (size_t i = 0; i < N; i++)
        check_filled(held[i], 1 + i * i % 3001, i);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, malloc_zeroes);
    tcase_add_test(tc, calloc_zeroes);
    tcase_add_test(tc, size_0_is_one_address);
    tcase_add_test(tc, size_0_is_accepted);
    tcase_add_test(tc, products_overflow);
    tcase_add_test(tc, absurd_sizes);
    tcase_add_test(tc, errno_is_left_alone);
    tcase_add_test(tc, strings);
    tcase_add_test(tc, formats);
    tcase_add_test(tc, formats_fail);
    tcase_add_test(tc, no_overlap);
}
CHECK_MAIN("api/allocate", tests)
