/* unit/stacks - the table of stacks against a plain list, what is noted at a stop, and the pool on a system that
 * refuses. Holds stacks.apart, stacks.lowest, stackpool.idle, stackpool.maps. */
#include "heap.h"

#include "os/os.h"
#include "world/stackpool.h"

#include <errno.h>

enum { CELLS = 4000, CELL = 4096 };

/* Stacks of one to four cells in a range of addresses that nobody reads. */
static const uintptr_t base = UINT64_C(0x700000000000);
static struct stack *owner[CELLS];
static uint32_t seed = 2463534242u;

static uintptr_t cell(size_t i) { return base + i * CELL; }

static struct stack *add(uintptr_t lo, uintptr_t hi, int *error)
{
    lock_acquire(&stacks_lock);
    struct stack *s = stacks_add(lo, hi, STACK_REGISTERED, error);
    lock_release(&stacks_lock);
    return s;
}

static void remove_stack(struct stack *s)
{
    lock_acquire(&stacks_lock);
    stacks_remove(s);
    lock_release(&stacks_lock);
}

static void try_add(size_t i, size_t n)
{
    int error;
    bool free = true;
    for (size_t k = i; k < i + n; k++)
        free &= !owner[k];
    struct stack *s = add(cell(i), cell(i + n), &error);
    if ((s != NULL) != free || (!s && error != EINVAL))
        ck_abort_msg("cells %zu to %zu: %s", i, i + n, s ? "taken twice" : "refused");
    for (size_t k = i; s && k < i + n; k++)
        owner[k] = s;
}

static void try_remove(size_t i)
{
    struct stack *s = owner[i];
    for (size_t k = 0; s && k < CELLS; k++)
        if (owner[k] == s)
            owner[k] = NULL;
    if (s)
        remove_stack(s);
}

static void check_cell(size_t i)
{
    uintptr_t p = cell(i) + next_random(&seed) % (CELL - 1) + 1;
    const struct stack *s = stacks_around(p);
    if (s != owner[i])
        ck_abort_msg("the stack around %#lx in cell %zu is wrong", (unsigned long)p, i);
}

START_TEST(as_a_plain_list)
{
    for (int round = 0; round < 60000; round++) {
        size_t i = next_random(&seed) % (CELLS - 4);
        if (next_random(&seed) % 3)
            try_add(i, next_random(&seed) % 4 + 1);
        else
            try_remove(i);
        check_cell(next_random(&seed) % CELLS);
    }
    for (size_t i = 0; i < CELLS; i++)
        check_cell(i);
    for (size_t i = 0; i < CELLS; i++)
        try_remove(i);
    for (size_t i = 0; i < CELLS; i++)
        check_cell(i);
}
END_TEST

START_TEST(handles)
{
    int error;
    char foreign[sizeof(struct stack)];
    struct stack *s = add(cell(0), cell(1), &error);
    ck_assert_ptr_eq(stacks_of(&s->pub), s);
    ck_assert_ptr_null(stacks_of((struct gc_stack *)(void *)foreign));
    ck_assert_ptr_null(stacks_of((struct gc_stack *)((char *)s + 8)));
    ck_assert_ptr_null(stacks_of((struct gc_stack *)(s + 1)));
    ck_assert_ptr_null(stacks_of(NULL));
    remove_stack(s);
    ck_assert_ptr_eq(stacks_of(&s->pub), s);
    ck_assert_int_eq(s->kind, STACK_NONE);
    ck_assert_ptr_eq(add(cell(5), cell(6), &error), s);
}
END_TEST

/* ---- what is noted ---- */

static struct stack_use only;

static void keep(const struct stack_use *use, void *n)
{
    only = *use;
    ++*(int *)n;
}

static void look(bool all_in_doubt)
{
    int n = 0;
    stacks_each_use(all_in_doubt, keep, &n);
    ck_assert_int_eq(n, 1);
}

static void uses(uintptr_t lo, uintptr_t hi, bool untouched)
{
    look(false);
    ck_assert_uint_eq(only.lo, lo);
    ck_assert_uint_eq(only.hi, hi);
    ck_assert_int_eq(only.untouched, untouched);
}

START_TEST(what_is_in_use)
{
    int error;
    uintptr_t lo = cell(0), hi = cell(4), words[2];
    struct stack *s = add(lo, hi, &error);
    stacks_begin_notes();
    uses(lo, hi, true); /* nothing said */
    s->pub.sp = (void *)(lo + 800);
    uses(lo + 800, hi, false);
    look(true);
    ck_assert(only.untouched && only.lo == lo);
    s->pub.sp = (void *)(lo - 8);
    uses(lo, hi, true);
    s->pub.sp = (void *)(hi + 8);
    uses(lo, hi, true);
    s->regs_lo = 16;
    s->regs_hi = 24;
    s->pub.sp = (void *)hi; /* finished */
    uses(hi, hi, false);
    ck_assert_uint_eq(only.regs_hi, 0);

    /* A thread on it: from its SP, whatever was said, registers too; from the lowest of several. */
    ck_assert(stacks_note_sp(lo + 4000, lo + 3872));
    uses(lo + 3872, hi, false);
    ck_assert_uint_eq(only.regs_hi, 24);
    ck_assert(stacks_note_sp(lo + 5000, lo + 4872));
    uses(lo + 3872, hi, false);
    look(true);
    ck_assert_uint_eq(only.lo, lo + 3872);
    ck_assert(stacks_note_sp(lo + 8, lo - 120));
    uses(lo, hi, false);
    ck_assert(!stacks_note_sp(lo - 8, lo - 136));
    ck_assert(!stacks_note_sp(hi + 8, hi));

    /* The next stop begins anew; a word on an alternate stack may be the SP or not. */
    stacks_begin_notes();
    s->pub.sp = (void *)(lo + 8000);
    uses(lo + 8000, hi, false);
    words[0] = lo + 9000;
    words[1] = hi + 4096;
    stacks_note_words(NULL, (uintptr_t)words, (uintptr_t)(words + 2));
    uses(lo + 8000, hi, false);
    words[0] = lo + 2000;
    stacks_note_words(NULL, (uintptr_t)words, (uintptr_t)(words + 2));
    uses(lo + 2000 - OS_RED_ZONE, hi, false);
    s->pub.sp = NULL;
    uses(lo, hi, true);
}
END_TEST

/* SP between two stacks: the upper one is full, or the lower one empty, which must not lose what it holds. */
START_TEST(neighbours)
{
    int error;
    struct stack *below = add(cell(0), cell(1), &error), *above = add(cell(1), cell(2), &error);
    below->pub.sp = (void *)(cell(0) + 512);
    above->pub.sp = (void *)(cell(1) + 512);
    stacks_begin_notes();
    ck_assert(stacks_note_sp(cell(1), cell(1) - 128));
    ck_assert(above->low == cell(1) && !above->doubtful);
    ck_assert(below->low == cell(1) - 128 && below->doubtful);
}
END_TEST

/* ---- the pool ---- */

enum { PAGE = 4096, LEAST = STACKPOOL_LEAST };

static struct stack *take(size_t size)
{
    struct stack *s = stackpool_alloc(size);
    if (s && (s->kind != STACK_ALLOCATED || s->hi - s->lo < size || s->pub.sp))
        ck_abort_msg("a stack of %zu bytes is wrong", size);
    return s;
}

static void give(struct stack *s)
{
    lock_acquire(&stacks_lock);
    bool cold = stackpool_take_back(s);
    lock_release(&stacks_lock);
    if (!cold)
        return;
    stackpool_release(s);
    lock_acquire(&stacks_lock);
    stackpool_put(s);
    lock_release(&stacks_lock);
}

enum { SOME = 3000 };
static struct stack *some[SOME];

static void take_some(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        some[i] = take(LEAST);
        if (!some[i])
            ck_abort_msg("no stack %zu", i);
        *(volatile char *)some[i]->lo = 1;
        *(volatile char *)(some[i]->hi - 1) = 1;
    }
}

START_TEST(pool)
{
    take_some(SOME);
    ck_assert_uint_eq(stackpool_inuse(), (uint64_t)SOME * LEAST);
    ck_assert_uint_ge(sysmem_bytes(SYS_STACK), (uint64_t)SOME * LEAST);
    ck_assert_uint_ge(os_null.guarded, (size_t)SOME * PAGE);
    ck_assert_uint_lt(os_null.calls[OS_NULL_RESERVE], 20);
    ck_assert_uint_lt(os_null.calls[OS_NULL_MAP], SOME / 10);
    uint64_t sys = sysmem_bytes(SYS_STACK);
    for (size_t i = 0; i < SOME; i++)
        give(some[i]);
    ck_assert_uint_eq(stackpool_inuse(), 0);
    ck_assert_uint_ge(os_null.released, (size_t)(SOME - 100) * LEAST);
    take_some(SOME);
    ck_assert_uint_eq(sysmem_bytes(SYS_STACK), sys);
    ck_assert(!stackpool_guards_used_up());
}
END_TEST

/* Guards that are mappings: a quarter of what the kernel allows, then none; and never less stacks for it. */
START_TEST(pool_of_an_older_kernel)
{
    os_null.no_guards = true;
    size_t most = (size_t)os_max_mappings() / 8;
    for (size_t i = 0; i < most; i++)
        if (!take(LEAST))
            ck_abort_msg("no stack %zu", i);
    ck_assert_uint_eq(sysmem_bytes(SYS_STACK), (uint64_t)most * LEAST);
    ck_assert(!stackpool_guards_used_up());
    take_some(SOME);
    ck_assert(stackpool_guards_used_up());
}
END_TEST

START_TEST(sizes)
{
    for (size_t size = LEAST; size <= STACKPOOL_MOST; size = size * 2 + 1) {
        struct stack *s = take(size < STACKPOOL_MOST ? size : STACKPOOL_MOST);
        ck_assert_ptr_nonnull(s);
        ck_assert_ptr_nonnull(take(size));
        give(s);
        ck_assert_ptr_eq(take(size), s);
    }
    ck_assert_ptr_nonnull(take(STACKPOOL_MOST));
}
END_TEST

/* Each call of the system is refused in turn. Either a smaller request does, or there is no stack; and the next try
 * finds all as it should be. */
START_TEST(refused)
{
    size_t n = 0;
    os_null.no_guards = _i % 2;
    os_fail((uint64_t)_i / 2 + 1, false);
    for (; n < 600; n++) {
        some[n] = take(n % 5 ? LEAST : 4 * LEAST);
        if (!some[n])
            break;
    }
    ck_assert_uint_le(os_null.failed, 1);
    os_fail(0, false);
    for (; n < 700; n++) {
        some[n] = take(n % 5 ? LEAST : 4 * LEAST);
        if (!some[n])
            ck_abort_msg("no stack %zu after the refusal", n);
    }
    for (size_t i = 0; i < n; i++) {
        *(volatile char *)some[i]->lo = 1;
        if (stacks_around(some[i]->lo + 100) != some[i] || stacks_of(&some[i]->pub) != some[i])
            ck_abort_msg("stack %zu is not found", i);
        give(some[i]);
    }
    ck_assert_uint_eq(stackpool_inuse(), 0);
}
END_TEST

START_TEST(all_refused)
{
    os_fail(1, true);
    ck_assert_ptr_null(take(LEAST));
    int error = 0;
    ck_assert_ptr_null(add(cell(0), cell(1), &error));
    ck_assert_int_eq(error, ENOMEM);
    os_fail(0, false);
    ck_assert_ptr_nonnull(take(LEAST));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, as_a_plain_list);
    tcase_add_test(tc, handles);
    tcase_add_test(tc, what_is_in_use);
    tcase_add_test(tc, neighbours);
    tcase_add_test(tc, pool);
    tcase_add_test(tc, pool_of_an_older_kernel);
    tcase_add_test(tc, sizes);
    tcase_add_loop_test(tc, refused, 0, 40);
    tcase_add_test(tc, all_refused);
}
CHECK_MAIN("unit/stacks", tests)
