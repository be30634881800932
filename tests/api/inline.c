/* inline.c - spangc/inline.h: what it returns is what the calls return, for every size, beside stops and handlers.
 * Holds inline.layout (the class of each size), malloc.zero and region.busy for code that is compiled into programs. */
#include "storm.h"

#include <signal.h>
#include <spangc/inline.h>

enum { FIRST = 1, LAST = GC_SPAN_INLINE_MAX + 2, DIRTY = 40 };

/* The size is a constant to the compiler once this is inlined: an X a size. */
#define X(n)                                                                                                           \
    case n:                                                                                                            \
        return noscan ? gc_malloc_noscan_inline(n) : gc_malloc_inline(n);
#define X4(n)  X(n) X(n + 1) X(n + 2) X(n + 3)
#define X16(n) X4(n) X4(n + 4) X4(n + 8) X4(n + 12)
#define X64(n) X16(n) X16(n + 16) X16(n + 32) X16(n + 48)

static NOINLINE void *of_size(size_t size, bool noscan)
{
    switch (size) {
        X64(0)
        X64(64)
        X64(128)
        X64(192)
        X4(256)
    default:
        return NULL;
    }
}

static void check_one(unsigned char *p, const void *like, size_t size, int noscan)
{
    ck_assert_uint_eq(gc_usable_size(p), gc_usable_size(like));
    ck_assert_int_eq(gc_is_noscan(p), noscan);
    ck_assert_uint_eq((uintptr_t)p % (size >= 16 ? 16 : size >= 8 ? 8 : 1), 0);
    if (!noscan)
        check_zero(p, gc_usable_size(p));
    memset(p, 0xff, size);
}

/* The first of a class are the call's. */
static void one_size(size_t size, int noscan)
{
    void *like = noscan ? gc_malloc_noscan(size) : gc_malloc(size), *held[DIRTY];
    for (int i = 0; i < DIRTY; i++) {
        held[i] = of_size(size, noscan);
        check_one(held[i], like, size, noscan);
    }
    for (int i = 0; i < DIRTY && (size >= 16 || !noscan); i++) {
        memset(held[i], 0xff, gc_usable_size(held[i]));
        gc_free(held[i]);
    }
}

START_TEST(as_the_calls)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t size = FIRST; size <= LAST; size++)
            one_size(size, i & 1);
    ck_assert_ptr_eq(of_size(0, false), launder(gc_malloc(0)));
}
END_TEST

/* Each object is counted once, and all are dropped. */
START_TEST(counted)
{
    uint64_t before = heap_objects();
    struct gc_memstats st;
    uint64_t made = read_stats(&st)->mallocs;
    for (int i = 0; i < 5000; i++)
        launder(gc_malloc_inline(48));
    ck_assert_uint_eq(read_stats(&st)->mallocs - made, 5000);
    gc_clear_stack(16384);
    gc_collect();
    ck_assert_uint_le(heap_objects(), before + 5);
}
END_TEST

#if defined __x86_64__ && defined __OPTIMIZE__

static struct gc_inline_cache *own;
static volatile int steps, steps_taken, taken_while_busy;

/* The slot is another once it was taken; a handler that finds the thread busy has another cache. */
static void step(int sig)
{
    static uint64_t last;
    uint64_t now = own->slots[2 * (64 / 16 + 1)].free;
    (void)sig;
    if (steps++ && now != last) {
        steps_taken++;
        taken_while_busy += gc_inline_cache_1 != own;
    }
    last = now;
}

/* One instruction at a time: the slot is taken in one step, and in a region. */
START_TEST(step_by_step)
{
    launder(gc_malloc(64));
    own = gc_inline_cache_1;
    sigaction(SIGTRAP, &(struct sigaction){.sa_handler = step}, NULL);
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    void *volatile p = gc_malloc_inline(64);
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
    check_zero(p, 64);
    ck_assert_int_eq(steps_taken, 1);
    ck_assert_int_eq(taken_while_busy, 1);
    ck_assert_int_ge(steps, 15);
    ck_assert_int_le(steps, !getenv("SANITIZER") || sanitizer_is("no") ? 50 : 1000);
    printf("# %d instructions\n", steps);
}
END_TEST

#endif

struct chain {
    struct chain *next;
    size_t rank, filler[4];
};

/* Beside a thread that does nothing but collect, all that is held stays, and all of it was zero. */
START_TEST(stopped_all_the_time)
{
    pthread_t storm = storm_begin();
    for (int round = 0; round < 20; round++) {
        struct chain *volatile first = NULL;
        for (size_t i = 0; i < 20000; i++) {
            struct chain *c = gc_malloc_inline(sizeof *c);
            check_zero(c, sizeof *c);
            launder(memset(gc_malloc_inline(40), 0xff, 40));
            *c = (struct chain){first, i, {i}};
            first = c;
        }
        size_t n = 20000;
        for (struct chain *c = first; c; c = c->next)
            if (c->rank != --n)
                ck_abort_msg("%zu for %zu", c->rank, n);
        ck_assert_uint_eq(n, 0);
    }
    storm_pass(1);
    storm_end(storm);
}
END_TEST

static NOINLINE char *past_one(void)
{
    launder(gc_malloc(50)); /* the first of a class is the call's */
    char *p = gc_malloc_inline(64);
    fill(p, 64, 5);
    return p + 64;
}

/* An address one past an object that uses all of its slot holds that object. */
START_TEST(held_from_past_its_end)
{
    char *volatile past = past_one();
    gc_clear_stack(16384);
    gc_collect();
    for (int i = 0; i < 1000; i++)
        memset(launder(gc_malloc(60)), 0, 60);
    check_live(past - 64, 64, 5);
}
END_TEST

static void allocating(int sig)
{
    (void)sig;
    launder(gc_malloc_inline(32));
}

static void allocate_until_it_ends(void *unused)
{
    (void)unused;
    interrupt_often(allocating);
    for (;;)
        launder(gc_malloc_inline(32));
}

/* A handler that interrupts it halfway is found out, as one that interrupts the calls is. */
START_TEST(interrupted_by_a_handler) { must_be_refused(allocate_until_it_ends); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, as_the_calls);
    tcase_add_test(tc, counted);
#if defined __x86_64__ && defined __OPTIMIZE__
    tcase_add_test(tc, step_by_step);
#endif
    tcase_add_test(tc, stopped_all_the_time);
    tcase_add_test(tc, held_from_past_its_end);
    tcase_add_test(tc, interrupted_by_a_handler);
}

CHECK_MAIN("api/inline", tests)
