/* held.c - an object survives as long as a pointer to it, or into it, is in any place that the header names. Each place
 * is the only one: the slots of everything else are handed out again and dirtied before the bytes are checked.
 * Holds rootjobs.all, scan.tricolour, find_object, boundary.frame. The twins that must be freed: garbage.c. */
#include "helpers.h"

enum { N = 200 };

typedef void *(*maker)(size_t size);

static NOINLINE void *plain(size_t size) { return gc_malloc(size); }

/* Every other object is dropped at once, so that no pointer one past the end of an object is its neighbour's start. */
static NOINLINE void build(void **place, size_t n, size_t size, size_t offset, maker make)
{
    for (size_t i = 0; i < n; i++) {
        void *p = make(size);
        fill(p, size, i);
        place[i] = (char *)p + offset;
        fill(make(size), size, i + 1);
    }
}

static NOINLINE void check_place(void *const *place, size_t n, size_t size, size_t offset)
{
    for (size_t i = 0; i < n; i++)
        check_live((char *)place[i] - offset, size, i);
}

static NOINLINE void churn_with(maker make, size_t size, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memset(launder(make(size)), 0xee, size);
}

static NOINLINE void survives_made(void **place, size_t n, size_t size, size_t offset, maker make)
{
    build(place, n, size, offset, make);
    for (int i = 0; i < 2; i++) {
        settle();
        churn_with(make, size, 3 * n);
    }
    check_place(place, n, size, offset);
}

static void survives(void **place, size_t n, size_t size, size_t offset)
{
    survives_made(place, n, size, offset, plain);
}

static void *data_place[N] = {(void *)1};
static void *bss_place[N];
void *global_place[N];

START_TEST(in_data) { survives(data_place, N, 64, 0); }
END_TEST
START_TEST(in_bss) { survives(bss_place, N, 64, 0); }
END_TEST
START_TEST(in_a_global) { survives(global_place, N, 64, 0); }
END_TEST

START_TEST(in_a_function_static)
{
    static void *place[N];
    survives(place, N, 64, 0);
}
END_TEST

START_TEST(in_a_local)
{
    void *place[N];
    survives(place, N, 64, 0);
}
END_TEST

START_TEST(in_a_frame_far_up)
{
    char between[100000];
    void *place[N];
    memset(between, 0, sizeof between);
    launder(between);
    survives(place, N, 64, 0);
    launder(between);
}
END_TEST

static const size_t small_sizes[] = {1, 8, 16, 32, 48, 144, 1024, 3072, 8192, 20000, 32768};
static const size_t large_sizes[] = {32769, 40960, 65536, 100000, 1 << 20};

START_TEST(small_interior)
{
    void *place[N];
    for (size_t k = 0; k < sizeof small_sizes / sizeof *small_sizes; k++) {
        survives(place, N, small_sizes[k], 0);
        survives(place, N, small_sizes[k], small_sizes[k] / 2);
        survives(place, N, small_sizes[k], small_sizes[k] - 1);
    }
}
END_TEST

START_TEST(large_interior)
{
    void *place[8];
    for (size_t k = 0; k < sizeof large_sizes / sizeof *large_sizes; k++) {
        survives(place, 8, large_sizes[k], 0);
        survives(place, 8, large_sizes[k], large_sizes[k] / 2);
        survives(place, 8, large_sizes[k], large_sizes[k] - 1);
    }
}
END_TEST

/* From memory that is not a stack too. */
START_TEST(interior_from_data)
{
    survives(bss_place, N, 64, 33);
    survives(data_place, N, 20000, 19999);
    survives(bss_place, 8, 100000, 77777);
}
END_TEST

/* while (n--) *--end: the pointer one past the end is all that is left, and only stacks and registers promise it.
 * Sizes that fill their class, so that it lies outside the object; at the last object of a span it is another's. */
static const size_t full[] = {8, 16, 32, 48, 64, 1024, 8192, 32768};

static void one_past(maker make)
{
    void *place[N];
    for (size_t k = 0; k < sizeof full / sizeof *full; k++)
        survives_made(place, N, full[k], full[k], make);
}

static NOINLINE void *zeroed(size_t size) { return gc_calloc(1, size); }
static NOINLINE void *aligned(size_t size) { return gc_aligned_alloc(8, size); }

/* A noscan object under 16 bytes is a part of a block, whose end is not its own. */
static NOINLINE void *never_scanned(size_t size) { return size < 16 ? gc_malloc(size) : gc_malloc_noscan(size); }

/* It fills its slot only after it grew there. */
static NOINLINE void *grown(size_t size) { return gc_realloc(gc_malloc(size - 1), size); }

/* The program asked for less, and uses what it may. */
static NOINLINE void *grown_into(size_t size)
{
    void *p = gc_malloc(size - 1);
    return gc_usable_size(p) == size ? p : gc_malloc(size);
}

START_TEST(one_past_the_end) { one_past(plain); }
END_TEST
START_TEST(one_past_zeroed) { one_past(zeroed); }
END_TEST
START_TEST(one_past_aligned) { one_past(aligned); }
END_TEST
START_TEST(one_past_noscan) { one_past(never_scanned); }
END_TEST
START_TEST(one_past_grown) { one_past(grown); }
END_TEST
START_TEST(one_past_usable) { one_past(grown_into); }
END_TEST

START_TEST(full_sizes_are_full)
{
    for (size_t k = 0; k < sizeof full / sizeof *full; k++)
        ck_assert_uint_eq(gc_usable_size(gc_malloc(full[k])), full[k]);
}
END_TEST

START_TEST(one_past_a_large_end)
{
    static const size_t large[] = {40960, 65536, 1 << 20};
    void *place[8];
    for (size_t k = 0; k < sizeof large / sizeof *large; k++) {
        survives(place, 8, large[k], large[k]);
        survives_made(place, 8, large[k], large[k], grown);
        survives_made(place, 8, large[k], large[k], never_scanned);
        ck_assert_uint_eq(gc_usable_size(gc_malloc(large[k])), large[k]);
    }
}
END_TEST

#if defined __x86_64__
/* Collects while the objects of six hidden pointers are held by the callee-saved registers alone. */
void collect_with_registers(uintptr_t hidden[6]);
__asm__(".text\n"
        ".type collect_with_registers, @function\n"
        "collect_with_registers:\n"
        "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15; pushq %rdi\n"
        "    movq 0(%rdi), %rbx;  notq %rbx\n"
        "    movq 8(%rdi), %rbp;  notq %rbp\n"
        "    movq 16(%rdi), %r12; notq %r12\n"
        "    movq 24(%rdi), %r13; notq %r13\n"
        "    movq 32(%rdi), %r14; notq %r14\n"
        "    movq 40(%rdi), %r15; notq %r15\n"
        "    call gc_collect@PLT\n"
        "    popq %rdi\n"
        "    notq %rbx; movq %rbx, 0(%rdi)\n"
        "    notq %rbp; movq %rbp, 8(%rdi)\n"
        "    notq %r12; movq %r12, 16(%rdi)\n"
        "    notq %r13; movq %r13, 24(%rdi)\n"
        "    notq %r14; movq %r14, 32(%rdi)\n"
        "    notq %r15; movq %r15, 40(%rdi)\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "    ret\n"
        ".size collect_with_registers, .-collect_with_registers\n");

static NOINLINE void build_hidden(uintptr_t hidden[6], size_t offset)
{
    for (size_t i = 0; i < 6; i++) {
        hidden[i] = hide((char *)make_filled(64, i) + offset);
        make_filled(64, i + 1);
    }
}

static NOINLINE void check_hidden(const uintptr_t hidden[6], size_t offset)
{
    for (size_t i = 0; i < 6; i++)
        check_live((char *)reveal(hidden[i]) - offset, 64, i);
}

static NOINLINE void registers_hold(size_t offset)
{
    uintptr_t hidden[6];
    for (int round = 0; round < 20; round++) {
        build_hidden(hidden, offset);
        gc_clear_stack(64 * 1024);
        collect_with_registers(hidden);
        churn(64, 300);
        check_hidden(hidden, offset);
    }
}

START_TEST(in_registers) { registers_hold(0); }
END_TEST
START_TEST(interior_in_registers) { registers_hold(31); }
END_TEST
START_TEST(one_past_in_registers) { registers_hold(64); }
END_TEST

/* The same with nothing in the registers: shows that nothing else holds them. */
START_TEST(hidden_is_not_held)
{
    uintptr_t hidden[6];
    size_t lost = 0;
    for (int round = 0; round < 20; round++) {
        build_hidden(hidden, 0);
        settle();
        for (size_t i = 0; i < 6; i++)
            lost += gc_base(reveal(hidden[i])) == NULL;
    }
    ck_assert_uint_ge(lost, 100);
}
END_TEST
#endif

/* Chains through objects of different sizes; only the head is anywhere else. */
struct link {
    struct link *next;
    size_t size, i;
};

static NOINLINE struct link *build_chain(size_t n)
{
    struct link *head = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t size = sizeof(struct link) + i * 97 % (i % 50 == 0 ? 60000 : 700);
        struct link *l = gc_malloc(size);
        *l = (struct link){head, size, i};
        fill(l + 1, size - sizeof *l, i);
        make_filled(size, i);
        head = l;
    }
    return head;
}

static NOINLINE void check_chain(const struct link *l, size_t n)
{
    for (; l; l = l->next, n--)
        check_filled(l + 1, l->size - sizeof *l, l->i);
    ck_assert_uint_eq(n, 0);
}

START_TEST(through_the_heap)
{
    struct link *head = build_chain(5000);
    for (int i = 0; i < 3; i++) {
        settle();
        build_chain(5000);
    }
    check_chain(head, 5000);
}
END_TEST

/* The pointer lies in every word of an object in turn, the last word too, of small and large objects. */
static NOINLINE void **holder_of(size_t words, size_t at, size_t i)
{
    void **holder = gc_malloc(words * sizeof *holder);
    holder[at] = make_filled(64, i);
    make_filled(64, i + 1);
    return holder;
}

static void every_word(size_t words, size_t step)
{
    static void **holders[N];
    for (size_t at = 0; at < words; at += step) {
        size_t n = 0;
        for (; n < N && at + n * step < words; n++)
            holders[n] = holder_of(words, at + n * step, n);
        settle();
        churn(64, 3 * N);
        for (size_t i = 0; i < n; i++)
            check_live(holders[i][at + i * step], 64, i);
        at += (n - 1) * step;
    }
    for (size_t i = 0; i < N; i++)
        holders[i] = NULL;
}

START_TEST(in_every_word)
{
    every_word(1, 1);
    every_word(6, 1);
    every_word(64, 1);
    every_word(1000, 1);
    every_word(4096, 13);
    every_word(5120, 11);   /* 40960 bytes: the smallest that is scanned as a large object */
    every_word(40000, 199); /* and in pieces, at odd places */
}
END_TEST

/* A large object is scanned in pieces; its last word counts. */
START_TEST(in_the_last_word)
{
    for (size_t bytes = 32768; bytes <= 4 << 20; bytes += bytes / 5 / 8 * 8) {
        size_t words = bytes / sizeof(void *);
        void **holder = holder_of(words, words - 1, 1);
        settle();
        churn(64, 500);
        check_live(holder[words - 1], 64, 1);
    }
}
END_TEST

/* A collection that an allocation starts holds what the program is just building. */
START_TEST(while_it_is_built)
{
    for (int round = 0; round < 5; round++) {
        struct link *head = build_chain(20000);
        check_chain(head, 20000);
    }
    ck_assert_uint_gt(read_stats(&(struct gc_memstats){0})->num_gc, 2);
}
END_TEST

START_TEST(kept_alive)
{
    char *p = make_filled(64, 1);
    uintptr_t hidden = hide(p);
    settle();
    churn(64, 1000);
    check_live(reveal(hidden), 64, 1);
    gc_keep_alive(p);
}
END_TEST

START_TEST(without_stacks)
{
    static void *kept[N];
    build(kept, N, 64, 0, plain);
    for (int i = 0; i < 2; i++) {
        gc_collect_without_stacks();
        churn(64, 3 * N);
    }
    check_place(kept, N, 64, 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, in_data);
    tcase_add_test(tc, in_bss);
    tcase_add_test(tc, in_a_global);
    tcase_add_test(tc, in_a_function_static);
    tcase_add_test(tc, in_a_local);
    tcase_add_test(tc, in_a_frame_far_up);
    tcase_add_test(tc, small_interior);
    tcase_add_test(tc, large_interior);
    tcase_add_test(tc, interior_from_data);
    tcase_add_test(tc, one_past_the_end);
    tcase_add_test(tc, one_past_zeroed);
    tcase_add_test(tc, one_past_aligned);
    tcase_add_test(tc, one_past_noscan);
    tcase_add_test(tc, one_past_grown);
    tcase_add_test(tc, one_past_usable);
    tcase_add_test(tc, full_sizes_are_full);
    tcase_add_test(tc, one_past_a_large_end);
#if defined __x86_64__
    tcase_add_test(tc, in_registers);
    tcase_add_test(tc, interior_in_registers);
    tcase_add_test(tc, one_past_in_registers);
    tcase_add_test(tc, hidden_is_not_held);
#endif
    tcase_add_test(tc, through_the_heap);
    tcase_add_test(tc, in_every_word);
    tcase_add_test(tc, in_the_last_word);
    tcase_add_test(tc, while_it_is_built);
    tcase_add_test(tc, kept_alive);
    tcase_add_test(tc, without_stacks);
}
CHECK_MAIN("api/held", tests)
