/* treap.c - against a sorted array: the order, the best fit, the balance; and what treap_check sees. */
#include "heap.h"

#include "heap/treap.h"

#include <string.h>

enum { RUNS = 2000 };

static struct mspan runs[RUNS];
static struct mspan *sorted[RUNS]; /* what is in the treap, in order */
static size_t count;
static struct treap treap;
static uint32_t seed = 88172645;

static bool before(const struct mspan *a, const struct mspan *b)
{
    return a->npages != b->npages ? a->npages < b->npages : a->base < b->base;
}

static void model_insert(struct mspan *s)
{
    size_t at = count++;
    for (; at > 0 && before(s, sorted[at - 1]); at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = s;
}

static void model_remove(size_t at) { memmove(&sorted[at], &sorted[at + 1], (--count - at) * sizeof *sorted); }

static struct mspan *model_find(size_t npages)
{
    for (size_t i = 0; i < count; i++)
        if (sorted[i]->npages >= npages)
            return sorted[i];
    return NULL;
}

/* .order, .heap, .parent */
static void check_all(void)
{
    size_t i = 0;
    if (treap_check(&treap) != count)
        ck_abort_msg("not %zu runs", count);
    for (struct mspan *s = treap_first(&treap); s; s = treap_next(s), i++)
        if (i >= count || s != sorted[i])
            ck_abort_msg("run %zu is another", i);
    for (size_t npages = 1; npages < 70; npages += 3)
        if (treap_find(&treap, npages) != model_find(npages))
            ck_abort_msg("the best fit of %zu pages is another", npages);
}

/* Few lengths, so that many runs have the same. Addresses are all different. */
static void insert(struct mspan *s)
{
    s->npages = 1 + next_random(&seed) % 64;
    s->base = (uintptr_t)(s - runs) * HEAP_PAGE;
    s->parent = s->left = s->right = s; /* what a record last was is no matter */
    treap_insert(&treap, s);
    model_insert(s);
}

START_TEST(empty)
{
    ck_assert_ptr_null(treap_first(&treap));
    ck_assert_ptr_null(treap_find(&treap, 1));
    ck_assert_uint_eq(treap_check(&treap), 0);
}
END_TEST

START_TEST(random_sequence)
{
    struct mspan *spare[RUNS];
    size_t nspare = 0;
    for (size_t i = 0; i < RUNS; i++)
        spare[nspare++] = &runs[i];
    for (int step = 0; step < 6000; step++) {
        bool grow = step / 1500 % 2 == 0; /* up, down, up, down */
        if (nspare > 0 && (count == 0 || next_random(&seed) % 4 < (grow ? 3u : 1u))) {
            size_t at = next_random(&seed) % nspare;
            struct mspan *s = spare[at];
            spare[at] = spare[--nspare];
            insert(s);
        } else {
            size_t at = next_random(&seed) % count;
            struct mspan *s = sorted[at];
            treap_remove(&treap, s);
            model_remove(at);
            spare[nspare++] = s;
        }
        if (step % 16 == 0)
            check_all();
    }
    while (count > 0) {
        treap_remove(&treap, sorted[count - 1]);
        model_remove(count - 1);
    }
    check_all();
    ck_assert_ptr_null(treap.root);
}
END_TEST

/* Of runs of one length, the one at the lowest address, whatever the order they came in. */
START_TEST(lowest_address)
{
    static const int order[] = {5, 2, 9, 0, 7};
    for (int i = 0; i < 5; i++) {
        struct mspan *s = &runs[order[i]];
        s->npages = 200;
        s->base = (uintptr_t)(order[i] + 1) * GRANULE;
        treap_insert(&treap, s);
    }
    static const int rising[] = {0, 2, 5, 7, 9};
    for (int i = 0; i < 5; i++) {
        ck_assert_ptr_eq(treap_find(&treap, 150), &runs[rising[i]]);
        treap_remove(&treap, &runs[rising[i]]);
    }
}
END_TEST

static size_t depth(const struct mspan *s)
{
    if (!s)
        return 0;
    size_t l = depth(s->left), r = depth(s->right);
    return 1 + (l > r ? l : r);
}

/* Rising order would make a list of a tree without priorities. 50 is four and a half times the least depth. */
START_TEST(balance)
{
    for (size_t i = 0; i < RUNS; i++) {
        runs[i].npages = 128 + (uint32_t)i;
        treap_insert(&treap, &runs[i]);
    }
    ck_assert_uint_lt(depth(treap.root), 50);
    ck_assert_uint_eq(treap_check(&treap), RUNS);
}
END_TEST

static void three_levels(void)
{
    for (size_t i = 0; i < 20; i++)
        insert(&runs[i]);
}

START_TEST(broken_order)
{
    three_levels();
    sorted[10]->npages = 1000;
    treap_check(&treap);
}
END_TEST

START_TEST(broken_heap)
{
    three_levels();
    treap.root->priority = UINT32_MAX;
    treap_check(&treap);
}
END_TEST

START_TEST(broken_parent)
{
    three_levels();
    struct mspan *child = treap.root->left ? treap.root->left : treap.root->right;
    child->parent = child;
    treap_check(&treap);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, empty);
    tcase_add_test(tc, random_sequence);
    tcase_add_test(tc, lowest_address);
    tcase_add_test(tc, balance);
    tcase_add_test_raise_signal(tc, broken_order, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_heap, SIGABRT);
    tcase_add_test_raise_signal(tc, broken_parent, SIGABRT);
}
CHECK_MAIN("unit/treap", tests)
