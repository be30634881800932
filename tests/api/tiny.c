/* tiny.c - noscan objects under 16 bytes share a 16-byte block: parts do not overlap, are never resized in place, and
 * their block lives as long as any of them is held. Holds malloc.c (tiny) and the header's words on such parts. */
#include "helpers.h"

enum { N = 3000 };
static unsigned char *held[N];

static size_t size_of(size_t i) { return 1 + i * 7 % 15; }

static NOINLINE void make_parts(void)
{
    for (size_t i = 0; i < N; i++) {
        held[i] = gc_malloc_noscan(size_of(i));
        if (!held[i])
            ck_abort_msg("no memory");
        fill(held[i], size_of(i), i);
    }
}

static void check_parts(void)
{
    for (size_t i = 0; i < N; i++)
        check_filled(held[i], size_of(i), i);
}

START_TEST(parts_do_not_overlap)
{
    make_parts();
    check_parts();
    size_t shared = 0;
    for (size_t i = 0; i + 1 < N; i++)
        shared += gc_base(held[i]) == gc_base(held[i + 1]);
    ck_assert_uint_gt(shared, N / 8);
}
END_TEST

START_TEST(parts_survive)
{
    make_parts();
    for (int i = 0; i < 3; i++) {
        settle();
        for (int k = 0; k < 10000; k++)
            memset(launder(gc_malloc_noscan(8)), 0xee, 8);
        check_parts();
    }
}
END_TEST

/* Only every sixteenth part is held; its block stays whole. */
START_TEST(one_part_holds_the_block)
{
    make_parts();
    for (size_t i = 0; i < N; i++)
        if (i % 16 != 0)
            held[i] = NULL;
    settle();
    for (int k = 0; k < 10000; k++)
        memset(launder(gc_malloc_noscan(15)), 0xee, 15);
    for (size_t i = 0; i < N; i += 16)
        check_filled(held[i], size_of(i), i);
}
END_TEST

START_TEST(free_is_ignored)
{
    make_parts();
    uint64_t objects = heap_objects();
    for (size_t i = 0; i < N; i++) {
        gc_free(held[i]);
        gc_free(held[i]);
        ck_assert_uint_eq(gc_usable_size(held[i]), 0);
    }
    ck_assert_uint_eq(heap_objects(), objects);
    for (int k = 0; k < 10000; k++)
        memset(launder(gc_malloc_noscan(8)), 0xee, 8);
    check_parts();
}
END_TEST

START_TEST(asked_about)
{
    make_parts();
    for (size_t i = 0; i < N; i++) {
        uintptr_t block = (uintptr_t)gc_base(held[i]);
        if (block % 16 != 0 || (uintptr_t)held[i] - block + size_of(i) > 16 || gc_is_noscan(held[i]) != 1)
            ck_abort_msg("part %zu at %p, block %#lx", i, (void *)held[i], (unsigned long)block);
    }
}
END_TEST

/* The part's size is not known: its neighbours' bytes may come along, and never move. */
START_TEST(realloc_moves)
{
    make_parts();
    for (size_t i = 0; i < N; i++) {
        size_t more = i % 2 ? size_of(i) + 1 : 40, least = size_of(i) < more ? size_of(i) : more;
        unsigned char *q = gc_realloc(held[i], more);
        if (!q || q == held[i] || gc_is_noscan(q) != 1)
            ck_abort_msg("part %zu: realloc to %zu gave %p from %p", i, more, (void *)q, (void *)held[i]);
        check_filled(q, least, i);
        memset(q, 0xaa, more);
        check_filled(held[i], size_of(i), i);
    }
    check_parts();
    ck_assert_ptr_eq(launder(gc_realloc(held[0], 0)), launder(gc_malloc(0)));
    check_parts();
}
END_TEST

/* Realloc to less keeps what fits, moved too. */
START_TEST(realloc_smaller)
{
    for (size_t size = 2; size < 16; size++) {
        unsigned char *p = gc_malloc_noscan(size);
        fill(p, size, size);
        unsigned char *q = gc_realloc(p, size / 2);
        ck_assert_ptr_ne(p, q);
        check_filled(q, size / 2, size);
    }
}
END_TEST

START_TEST(strings_share)
{
    uint64_t before = heap_objects();
    static char *words[1000];
    for (int i = 0; i < 1000; i++)
        words[i] = gc_strdup("abc");
    ck_assert_uint_le(heap_objects() - before, 260);
    for (int i = 0; i < 1000; i++)
        ck_assert_msg(strcmp(words[i], "abc") == 0, "word %d", i);
}
END_TEST

static NOINLINE void drop_parts(void)
{
    for (size_t i = 0; i < N; i++)
        memset(launder(gc_malloc_noscan(size_of(i))), 1, size_of(i));
}

START_TEST(dropped_parts_are_freed)
{
    settle();
    uint64_t before = heap_objects();
    drop_parts();
    uint64_t made = heap_objects() - before;
    ck_assert_uint_ge(made, N / 4);
    settle();
    ck_assert_uint_le(heap_objects(), before + made / 20);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, parts_do_not_overlap);
    tcase_add_test(tc, parts_survive);
    tcase_add_test(tc, one_part_holds_the_block);
    tcase_add_test(tc, free_is_ignored);
    tcase_add_test(tc, asked_about);
    tcase_add_test(tc, realloc_moves);
    tcase_add_test(tc, realloc_smaller);
    tcase_add_test(tc, strings_share);
    tcase_add_test(tc, dropped_parts_are_freed);
}
CHECK_MAIN("api/tiny", tests)
