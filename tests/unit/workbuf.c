/* workbuf.c - stacks of grey objects: last in, first out over blocks; a part to give away; the spare block. */
#include "../check_main.h"

#include "mark/workbuf.h"
#include "os/os_mem_null.h"

enum { CAPACITY = sizeof((struct workbuf *)0)->items / sizeof(struct grey), MANY = 3 * CAPACITY + 7 };

static struct workstack w;

static void push(struct grey g)
{
    struct greytop t = workstack_open(&w);
    workstack_push(&w, &t, g);
    workstack_close(&w, t.at);
}

static void push_to(size_t from, size_t to)
{
    struct greytop t = workstack_open(&w);
    for (size_t i = from; i < to; i++)
        workstack_push(&w, &t, grey_make(i * 16, i % 1000));
    workstack_close(&w, t.at);
    ck_assert(!w.overflowed);
}

/* The numbers in [from, to), newest first. */
static void pop_all(size_t from, size_t to)
{
    struct grey g;
    struct greytop t = workstack_open(&w);
    while (to-- > from) {
        ck_assert(workstack_pop(&w, &t, &g));
        ck_assert_uint_eq(grey_base(g), to * 16);
        ck_assert_uint_eq(grey_words(g), to % 1000);
    }
    workstack_close(&w, t.at);
}

static void check_empty(void)
{
    struct grey g;
    struct greytop t = workstack_open(&w);
    ck_assert(!w.top && !workstack_pop(&w, &t, &g));
    workstack_finish(&w);
    ck_assert_ptr_null(w.spare);
}

START_TEST(newest_first)
{
    push_to(0, MANY);
    pop_all(0, MANY);
    check_empty();
}
END_TEST

/* .nonempty, and no lock at a block's edge: the block that came free is the next one taken. */
START_TEST(spare_at_the_edge)
{
    push_to(0, CAPACITY);
    struct workbuf *below = w.top;
    push_to(CAPACITY, CAPACITY + 1);
    struct workbuf *above = w.top;
    ck_assert_ptr_eq(above->below, below);
    for (int i = 0; i < 10; i++) {
        pop_all(CAPACITY, CAPACITY + 1);
        ck_assert(w.top == below && w.spare == above);
        push_to(CAPACITY, CAPACITY + 1);
        ck_assert(w.top == above && !w.spare);
    }
    pop_all(0, CAPACITY + 1);
    check_empty();
}
END_TEST

/* A marker that has emptied the newest block, and works on, is told so only where there is one below. An empty block is
 * no part of a stack that is closed. */
START_TEST(emptied_while_open)
{
    struct grey g;
    push_to(0, 1);
    struct greytop t = workstack_open(&w);
    ck_assert(workstack_pop(&w, &t, &g));
    for (int i = 0; i < 3; i++)
        ck_assert(!workstack_pop(&w, &t, &g) && w.top && !w.spare);
    workstack_push(&w, &t, grey_make(32, 1));
    ck_assert(workstack_pop(&w, &t, &g) && grey_base(g) == 32);
    workstack_close(&w, t.at);
    check_empty();
}
END_TEST

/* A block that is left before it is full, for its room did not suffice. */
START_TEST(left_with_room)
{
    push_to(0, 10);
    struct greytop t = workstack_open(&w);
    t = workstack_more(&w, t);
    workstack_push(&w, &t, grey_make((uintptr_t)10 * 16, 10));
    workstack_close(&w, t.at);
    ck_assert_uint_eq(w.top->n, 1);
    ck_assert_uint_eq(w.top->below->n, 10);
    pop_all(0, 11);
    check_empty();
}
END_TEST

START_TEST(older_half)
{
    push_to(0, 11);
    struct workbuf *b = workstack_split(&w);
    ck_assert(b && b->n == 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(grey_base(b->items[i]), i * 16);
    pop_all(5, 11);
    workstack_add(&w, b);
    pop_all(0, 5);
    check_empty();
}
END_TEST

START_TEST(older_block)
{
    push_to(0, 2 * CAPACITY + 1);
    struct workbuf *b = workstack_split(&w);
    ck_assert(b && b->n == CAPACITY);
    ck_assert_uint_eq(grey_base(b->items[0]), CAPACITY * 16);
    pop_all(2 * CAPACITY, 2 * CAPACITY + 1);
    pop_all(0, CAPACITY);
    workstack_add(&w, b);
    pop_all(CAPACITY, 2 * CAPACITY);
    check_empty();
}
END_TEST

START_TEST(too_little_to_split)
{
    ck_assert_ptr_null(workstack_split(&w));
    push_to(0, 3);
    ck_assert_ptr_null(workstack_split(&w));
    pop_all(0, 3);
    check_empty();
}
END_TEST

static void one_slab_and_no_more(void)
{
    push_to(0, CAPACITY * (WORKBUF_SLAB / WORKBUF_BYTES));
    push(grey_make(16, 1));
    ck_assert(w.overflowed);
    w.overflowed = false;
    pop_all(0, CAPACITY * (WORKBUF_SLAB / WORKBUF_BYTES));
    check_empty();
}

START_TEST(no_memory)
{
    workbuf_set_limit(0);
    push(grey_make(16, 1));
    ck_assert(w.overflowed && !w.top);
    w.overflowed = false;
    workbuf_set_limit(WORKBUF_SLAB / WORKBUF_BYTES);
    one_slab_and_no_more();
}
END_TEST

/* .reserve: the system refuses from then on, and the blocks of one slab are there. */
START_TEST(reserve)
{
    workbuf_reserve();
    uint64_t calls = os_null.calls[OS_NULL_ALLOC];
    ck_assert_uint_eq(calls, 1);
    workbuf_reserve();
    os_null.fail_at = os_null_fallible_calls() + 1;
    os_null.fail_on = true;
    one_slab_and_no_more();
    ck_assert_uint_eq(os_null.calls[OS_NULL_ALLOC], calls + 1); /* asked for what is beyond the slab, once */
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, newest_first);
    tcase_add_test(tc, spare_at_the_edge);
    tcase_add_test(tc, emptied_while_open);
    tcase_add_test(tc, left_with_room);
    tcase_add_test(tc, older_half);
    tcase_add_test(tc, older_block);
    tcase_add_test(tc, too_little_to_split);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, reserve);
}
CHECK_MAIN("unit/workbuf", tests)
