/* pagemark.c - what marking reads of a page says the same as the span, for every page of every class. */
#include "heap.h"

#include "heap/pagemark.h"

static struct mspan *span_of(unsigned spc)
{
    return pages(sizeclass_pages[spanclass_sizeclass((spanclass)spc)], (spanclass)spc);
}

/* Every word of the span leads to the same slot by either way, the words of its tail to none. */
static void check_words(const struct mspan *s)
{
    for (uintptr_t p = s->base; p < mspan_limit(s); p += sizeof(uintptr_t)) {
        const struct pagemark *m = pagemark_of(p);
        size_t i = pagemark_index(m, p);
        if (i != mspan_index(s, p) && (i < m->nelems || mspan_index(s, p) < s->nelems))
            ck_abort_msg("class of %zu bytes, word at %zu", s->elemsize, (size_t)(p - s->base));
        if (m->bits != s->gcmark_bits || m->elemsize != s->elemsize || (m->grey == GREY_NONE) != (s->scan == SCAN_NONE))
            ck_abort_msg("class of %zu bytes, page of %zu", s->elemsize, (size_t)(p - s->base));
    }
    pagemark_check(s);
}

static void check_none(uintptr_t lo, uintptr_t hi)
{
    for (uintptr_t p = lo; p < hi; p += HEAP_PAGE)
        if (pagemark_index(pagemark_of(p), p) < pagemark_of(p)->nelems)
            ck_abort_msg("page at %zu", (size_t)(p - lo));
}

START_TEST(every_class)
{
    heap_start();
    for (unsigned spc = SPANCLASS_LARGE_NOSCAN + 1; spc < SPANCLASS_COUNT; spc++)
        check_words(span_of(spc));
    check_words(pages(300, SPANCLASS_LARGE));
    check_words(pages(7, SPANCLASS_LARGE_NOSCAN));
}
END_TEST

/* .none, before a page is first used and after, and as a run is cut into others. */
START_TEST(unused)
{
    heap_start();
    struct mspan *s = pages(20, SPANCLASS_LARGE);
    uintptr_t base = s->base, limit = mspan_limit(s), end = arena.base + arena_used();
    check_none(limit, end);
    pageheap_free(s);
    check_none(base, end);
    s = span_of(4 << 1);
    check_words(s);
    check_none(mspan_limit(s), end);
    pageheap_free(s);
    check_none(base, end);
}
END_TEST

/* The bits are all clear for the span that comes, whatever the one before left. */
START_TEST(clear_when_new)
{
    heap_start();
    struct mspan *s = span_of(4 << 1);
    uintptr_t base = s->base;
    mspan_begin_mark(s);
    pageheap_free(s);
    s = span_of(3 << 1);
    ck_assert_uint_eq(s->base, base);
    ck_assert_uint_eq(bits_count(s->gcmark_bits, mspan_words(s)), 0);
    ck_assert_uint_eq(bits_count(s->alloc_bits, mspan_words(s)), 0);
}
END_TEST

/* Allocated and not freed: clear; else set, but none beyond the last slot. */
static void check_preset(struct mspan *s)
{
    for (size_t i = 0; i < s->nelems; i += 3)
        bits_set(s->alloc_bits, i);
    for (size_t i = 0; i < s->nelems; i += 6)
        ck_assert_int_eq(mspan_note_free(s, i), FREED_OK);
    mspan_begin_mark(s);
    for (size_t i = 0; i < mspan_words(s) * WORD_BITS; i++)
        if (bits_test(s->gcmark_bits, i) != (i < s->nelems && (i % 3 != 0 || i % 6 == 0)))
            ck_abort_msg("class of %zu bytes, slot %zu", s->elemsize, i);
    mspan_forget_marks(s);
    ck_assert_uint_eq(bits_count(s->gcmark_bits, mspan_words(s)), 0);
}

START_TEST(preset)
{
    heap_start();
    for (unsigned spc = SPANCLASS_LARGE_NOSCAN + 1; spc < SPANCLASS_COUNT; spc++)
        check_preset(span_of(spc));
}
END_TEST

START_TEST(not_the_same)
{
    heap_start();
    struct mspan *s = pages(3, SPANCLASS_LARGE);
    arena.marks[arena_page(s->base) + 2].elemsize++;
    pagemark_check(s);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, every_class);
    tcase_add_test(tc, unused);
    tcase_add_test(tc, clear_when_new);
    tcase_add_test(tc, preset);
    tcase_add_test_raise_signal(tc, not_the_same, SIGABRT);
}
CHECK_MAIN("unit/pagemark", tests)
