/* weaklink.c - links and the lists of both objects: either end, replaced, many of one target and many in one object, counted
 * work, and what happens without memory. Holds weaklink.both, weaklink.gone. */
#include "heap.h"

#include "base/check.h"
#include "heap/weaklink.h"

enum { N = 400, MANY = 100000 };

static const spanclass SMALL = 5 << 1 | 1; /* 64 bytes */

static struct mspan *holders, *targets;

static void setup(void)
{
    heap_start();
    specials_hooks[SPECIAL_LINK_TARGET] = weaklink_end_target;
    specials_hooks[SPECIAL_LINK_HOLDER] = weaklink_end_holder;
    specials_hooks[SPECIAL_LINK_TABLE] = weaklink_end_table;
    holders = pages(4, SMALL);
    targets = pages(4, SMALL);
}

static uintptr_t *word(const struct mspan *s, size_t i, size_t w) { return (uintptr_t *)mspan_slot(s, i) + w; }

static enum weaklink_result link_word(struct mspan *h, size_t i, size_t w, struct mspan *t, size_t k)
{
    *word(h, i, w) = mspan_slot(t, k) + 5;
    return weaklink_add((struct weaklink_end){h, i}, (uintptr_t)word(h, i, w), (struct weaklink_end){t, k});
}

static enum weaklink_result unlink_word(struct mspan *h, size_t i, size_t w)
{
    return weaklink_remove((struct weaklink_end){h, i}, (uintptr_t)word(h, i, w));
}

static void check_none_left(void)
{
    weaklinks_settle();
    ck_assert_uint_eq(weaklinks_count(), 0);
    ck_assert_uint_eq(specials_lifetimes(), 0);
    pageheap_free(holders);
    pageheap_free(targets);
}

START_TEST(ends_with_its_target)
{
    ck_assert_int_eq(link_word(holders, 1, 2, targets, 3), WEAKLINK_OK);
    ck_assert_int_eq(link_word(holders, 1, 3, targets, 4), WEAKLINK_OK);
    specials_end(targets, 3, SPECIAL_FREED);
    ck_assert(*word(holders, 1, 2) == 0 && *word(holders, 1, 3) != 0);
    ck_assert_int_eq(unlink_word(holders, 1, 2), WEAKLINK_NONE);
    weaklink_clear(targets, 4);
    ck_assert(*word(holders, 1, 3) == 0);
    ck_assert_int_eq(unlink_word(holders, 1, 3), WEAKLINK_NONE);
    check_none_left();
}
END_TEST

/* What the program stored there since is its own. */
START_TEST(leaves_other_words)
{
    uintptr_t other[] = {77, mspan_slot(targets, 4), mspan_slot(targets, 2) + 63};
    for (size_t i = 0; i < 3; i++) {
        link_word(holders, 1, i, targets, 3);
        *word(holders, 1, i) = other[i];
    }
    weaklink_clear(targets, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(*word(holders, 1, i), other[i]);
    check_none_left();
}
END_TEST

START_TEST(ends_with_its_holder)
{
    for (size_t i = 0; i < N; i++)
        link_word(holders, i, i % 8, targets, i % 3);
    for (size_t i = 0; i < N; i += 2)
        specials_end(holders, i, SPECIAL_FREED);
    ck_assert_uint_eq(weaklinks_count(), N / 2);
    memset((void *)mspan_slot(holders, 0), 0x11, 64); /* it is another object */
    for (size_t i = 1; i < N; i += 2)
        weaklink_drop(holders, i);
    for (size_t k = 0; k < 3; k++)
        specials_end(targets, k, SPECIAL_FREED);
    ck_assert_uint_eq(*word(holders, 0, 0), UINT64_C(0x1111111111111111));
    check_none_left();
}
END_TEST

START_TEST(replaced)
{
    link_word(holders, 1, 2, targets, 3);
    ck_assert_int_eq(link_word(holders, 1, 2, targets, 3), WEAKLINK_OK);
    ck_assert_uint_eq(weaklinks_count(), 1);
    ck_assert_int_eq(link_word(holders, 1, 2, targets, 4), WEAKLINK_OK);
    ck_assert_uint_eq(weaklinks_count(), 1);
    weaklink_clear(targets, 3);
    ck_assert(*word(holders, 1, 2) != 0);
    weaklink_clear(targets, 4);
    ck_assert(*word(holders, 1, 2) == 0);
    check_none_left();
}
END_TEST

START_TEST(taken_back)
{
    link_word(holders, 1, 2, targets, 3);
    ck_assert_int_eq(unlink_word(holders, 1, 2), WEAKLINK_OK);
    ck_assert_int_eq(unlink_word(holders, 1, 2), WEAKLINK_NONE);
    weaklink_clear(targets, 3);
    ck_assert(*word(holders, 1, 2) != 0);
    check_none_left();
}
END_TEST

/* A link between two objects that have one to each other. */
START_TEST(to_each_other)
{
    link_word(holders, 1, 2, targets, 3);
    link_word(targets, 3, 1, holders, 1);
    if (_i == 0)
        specials_end(holders, 1, SPECIAL_FREED);
    else
        weaklink_clear(holders, 1);
    ck_assert_uint_eq(*word(targets, 3, 1), 0);
    weaklink_clear(targets, 3);
    weaklink_drop(targets, 3);
    weaklink_drop(holders, 1);
    check_none_left();
}
END_TEST

/* An object of a megabyte, all of it links: as quick as one. Of each kind of end a part. */
START_TEST(large_holder)
{
    struct mspan *h = pages(100, SPANCLASS_LARGE_NOSCAN);
    for (size_t w = 0; w < MANY; w++)
        if (link_word(h, 0, w, targets, w % N) != WEAKLINK_OK)
            ck_abort_msg("word %zu", w);
    for (size_t k = 0; k < N; k += 2)
        weaklink_clear(targets, k);
    for (size_t w = 0; w < MANY; w++) {
        bool linked = w % 2, back = w % 4 == 1;
        if ((*word(h, 0, w) != 0) != linked)
            ck_abort_msg("word %zu is %#lx", w, (unsigned long)*word(h, 0, w));
        if (!linked || back)
            if (unlink_word(h, 0, w) != (linked ? WEAKLINK_OK : WEAKLINK_NONE))
                ck_abort_msg("word %zu", w);
    }
    ck_assert_uint_eq(weaklinks_count(), MANY / 4);
    if (_i)
        specials_end(h, 0, SPECIAL_FREED);
    else
        weaklink_drop(h, 0);
    for (size_t k = 1; k < N; k += 2)
        specials_end(targets, k, SPECIAL_FREED);
    for (size_t w = 3; w < MANY; w += 4)
        if (*word(h, 0, w) == 0)
            ck_abort_msg("word %zu was no link any more", w);
    pageheap_free(h);
    check_none_left();
}
END_TEST

/* Records of links that are gone are used again, with no collection, though nobody walks a target's long list for one. */
START_TEST(long_list_of_a_target)
{
    for (size_t i = 0; i < N; i++)
        link_word(holders, i, 0, targets, 0);
    size_t sys = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (unlink_word(holders, i * 7 % N, 0) != WEAKLINK_OK ||
            link_word(holders, i * 7 % N, 0, targets, 0) != WEAKLINK_OK)
            ck_abort_msg("link %zu", i);
        if (i == MANY / 2)
            sys = sysmem_total();
    }
    ck_assert_uint_eq(sysmem_total(), sys);
    ck_assert_uint_eq(weaklinks_count(), N);
    weaklink_clear(targets, 0);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_eq(*word(holders, i, 0), 0);
    check_none_left();
}
END_TEST

/* Gone, and then its target is too, before it was settled. */
START_TEST(gone_before_its_target)
{
    for (size_t i = 0; i < N; i++)
        link_word(holders, i, 0, targets, 0);
    for (size_t i = 0; i < N; i++)
        unlink_word(holders, i, 0);
    ck_assert_uint_eq(weaklinks_count(), 0);
    ck_assert_uint_gt(specials_lifetimes(), 0);
    specials_end(targets, 0, SPECIAL_FREED);
    ck_assert_uint_eq(specials_lifetimes(), 0);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_ne(*word(holders, i, 0), 0);
    check_none_left();
}
END_TEST

/* No memory can be had: it is as before, and the same succeeds afterwards. */
START_TEST(no_memory)
{
    int refused = 0;
    for (uint64_t n = 0; n < 8; n++) { /* of indexes of many sizes, each is the one that is refused in its turn */
        for (int k = 0; k < 40000 && sysmem_total() < 64 * MIB; k++) {
            struct mspan *h = pages(1, (spanclass)(SMALL + 2 * n)), *t = pages(1, (spanclass)(SMALL + 16 - 2 * n));
            size_t before = specials_lifetimes(), links = weaklinks_count();
            os_fail(1, true);
            enum weaklink_result r = link_word(h, 5, 0, t, 5);
            os_fail(0, false);
            ck_assert_uint_eq(weaklinks_count(), links + (r == WEAKLINK_OK));
            if (r == WEAKLINK_OK)
                continue;
            ck_assert_int_eq(r, WEAKLINK_NO_MEMORY);
            ck_assert_uint_eq(specials_lifetimes(), before);
            ck_assert_int_eq(unlink_word(h, 5, 0), WEAKLINK_NONE);
            ck_assert_int_eq(link_word(h, 5, 0, t, 5), WEAKLINK_OK);
            refused++;
            break;
        }
    }
    ck_assert_int_eq(refused, 8);
}
END_TEST

/* Without memory for a table the list goes on. */
START_TEST(no_memory_for_a_table)
{
    struct mspan *h = pages(100, SPANCLASS_LARGE_NOSCAN);
    for (size_t w = 0; w < 8; w++)
        link_word(h, 0, w, targets, w);
    os_fail(1, true);
    ck_assert_int_eq(link_word(h, 0, 8, targets, 8), WEAKLINK_OK);
    os_fail(0, false);
    ck_assert_int_eq(link_word(h, 0, 9, targets, 9), WEAKLINK_OK);
    for (size_t w = 0; w < 10; w++)
        ck_assert_int_eq(unlink_word(h, 0, w), WEAKLINK_OK);
    weaklink_drop(h, 0);
    pageheap_free(h);
    check_none_left();
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, ends_with_its_target);
    tcase_add_test(tc, leaves_other_words);
    tcase_add_test(tc, ends_with_its_holder);
    tcase_add_test(tc, replaced);
    tcase_add_test(tc, taken_back);
    tcase_add_loop_test(tc, to_each_other, 0, 2);
    tcase_add_loop_test(tc, large_holder, 0, 2);
    tcase_add_test(tc, long_list_of_a_target);
    tcase_add_test(tc, gone_before_its_target);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, no_memory_for_a_table);
}
CHECK_MAIN("unit/weaklink", tests)
