/* pacer.c - the goals that the pacer sets for simulated programs, and its arithmetic at the edges. */
#include "../check_main.h"

#include "cycle/pacer.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Allocates `step` bytes at a time; at the goal what is live by then is found, and the next goal is set. */
struct program {
    struct pacer_input in;
    uint64_t (*live_at)(uint64_t allocated); /* bytes live when so many have been allocated in all */
    uint64_t allocated, heap, goal, peak;
    double cpu_byte;         /* ns for the program to allocate a byte; for the collector to mark one, it is 1 */
    uint64_t last_allocated; /* when the last cycle ended */
    int cycles;
};

static void collect(struct program *p)
{
    uint64_t live = p->live_at(p->allocated);
    live = live < p->heap ? live : p->heap;
    p->in.fresh = live > p->in.live ? live - p->in.live : 0;
    p->in.live = live;
    p->heap = p->in.live;
    p->in.allocated = p->allocated - p->last_allocated;
    p->in.program_cpu = (uint64_t)((double)p->in.allocated * p->cpu_byte);
    p->in.gc_cpu = p->cpu_byte > 0 ? p->in.live : 0;
    p->last_allocated = p->allocated;
    p->goal = pacer_goal(&p->in);
    p->cycles++;
    if (p->goal <= p->heap)
        ck_abort_msg("the goal of cycle %d is not above what is live", p->cycles);
}

static void run(struct program *p, uint64_t until, uint64_t step)
{
    if (p->goal == 0)
        p->goal = pacer_goal(&p->in);
    for (; p->allocated < until; p->allocated += step, p->heap += step) {
        p->peak = p->heap > p->peak ? p->heap : p->peak;
        if (p->heap >= p->goal)
            collect(p);
    }
}

static uint64_t live_100_mib(uint64_t allocated)
{
    (void)allocated;
    return 100 * MIB;
}

static const int percents[] = {10, 25, 50, 100, 200, 400, 1000};

/* What is live stays the same: so does the goal, at live * (1 + percent / 100), and the number of cycles follows. */
START_TEST(steady_state)
{
    uint64_t percent = (uint64_t)percents[_i], room = 100 * MIB * percent / 100;
    struct program p = {.in = {.percent = percents[_i], .limit = OPTIONS_LIMIT_NONE}, .live_at = live_100_mib};
    run(&p, 2 * GIB, MIB / 4);
    ck_assert_uint_eq(p.goal, 100 * MIB + room);
    p.cycles = 0;
    p.peak = 0;
    run(&p, p.allocated + 20 * room, MIB / 4);
    ck_assert_int_ge(p.cycles, 19);
    ck_assert_int_le(p.cycles, 20);
    ck_assert_uint_le(p.peak, 100 * MIB + room + MIB / 4);
}
END_TEST

/* Roots are scanned in every cycle, so they buy room as live bytes do. */
START_TEST(growing_roots)
{
    struct pacer_input in = {.live = 100 * MIB, .limit = OPTIONS_LIMIT_NONE, .percent = 50};
    for (in.roots = 0; in.roots <= GIB; in.roots += 64 * MIB)
        ck_assert_uint_eq(pacer_goal(&in), 100 * MIB + (100 * MIB + in.roots) / 2);
}
END_TEST

/* .proven: a heap that doubled at one mark gets a quarter of the room for what is new, all of it at the next; a small one
 * gets it at once. */
START_TEST(outlived_one_mark)
{
    struct pacer_input in = {.live = 100 * MIB, .fresh = 40 * MIB, .limit = OPTIONS_LIMIT_NONE, .percent = 100};
    ck_assert_uint_eq(pacer_goal(&in), 170 * MIB);
    in.percent = 200;
    ck_assert_uint_eq(pacer_goal(&in), 240 * MIB);
    in.percent = 100;
    in.fresh = 0;
    ck_assert_uint_eq(pacer_goal(&in), 200 * MIB);
    in.live = in.fresh = 12 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 24 * MIB);
    in.live = in.fresh = 16 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 29 * MIB);
}
END_TEST

/* .unread: what marking need not look at buys an eighth of the room that the rest buys; a small heap of it has the room of
 * any small heap. */
START_TEST(bytes_not_read)
{
    struct pacer_input in = {.live = 100 * MIB, .unread = 80 * MIB, .limit = OPTIONS_LIMIT_NONE, .percent = 100};
    ck_assert_uint_eq(pacer_goal(&in), (100 + 20 + 80 / 8) * MIB);
    in.percent = 50;
    ck_assert_uint_eq(pacer_goal(&in), (100 + (20 + 80 / 8) / 2) * MIB);
    in.percent = 100;
    in.live = in.unread = 8 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 8 * MIB + PACER_MINIMUM);
    in.live = in.unread = 3 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 6 * MIB);

    /* Unless the program is so fast that collections would take more than a fifth of the time. */
    in.live = in.unread = 80 * MIB;
    in.allocated = 10 * MIB;
    in.gc_cpu = 100;
    in.program_cpu = 400;
    ck_assert_uint_eq(pacer_goal(&in), 90 * MIB);
    in.program_cpu = 200;
    ck_assert_uint_eq(pacer_goal(&in), 100 * MIB);
    in.program_cpu = 0;
    ck_assert_uint_eq(pacer_goal(&in), 160 * MIB);
}
END_TEST

static uint64_t live_a_tenth(uint64_t allocated) { return allocated / 10; }

/* A heap that grows without end: each goal is a factor above the last, so cycles go with the logarithm. */
START_TEST(growing_heap)
{
    struct program p = {.in = {.percent = 100, .limit = OPTIONS_LIMIT_NONE}, .live_at = live_a_tenth};
    run(&p, 64 * GIB, MIB);
    ck_assert_int_ge(p.cycles, 10);
    ck_assert_int_le(p.cycles, 150);
    ck_assert_uint_le(p.peak, 2 * 64 * GIB / 10 + MIB);
}
END_TEST

static uint64_t live_until_a_gib(uint64_t allocated) { return allocated < GIB ? 200 * MIB : 2 * MIB; }

/* What was live dies: the next cycle sees it and the goal after it is small again. */
START_TEST(heap_that_shrinks)
{
    struct program p = {.in = {.percent = 100, .limit = OPTIONS_LIMIT_NONE}, .live_at = live_until_a_gib};
    run(&p, GIB, MIB);
    ck_assert_uint_eq(p.goal, 400 * MIB);
    int before = p.cycles;
    while (p.cycles < before + 2)
        run(&p, p.allocated + MIB, MIB);
    ck_assert_uint_eq(p.goal, PACER_MINIMUM);
}
END_TEST

static uint64_t live_little(uint64_t allocated)
{
    (void)allocated;
    return 1000;
}

/* .minimum: a tiny heap is collected once in 4 MiB at 100 percent, and that is as the percentage. */
START_TEST(tiny_heap)
{
    struct program p = {.in = {.percent = 100, .limit = OPTIONS_LIMIT_NONE}, .live_at = live_little};
    run(&p, 400 * MIB, 1000);
    ck_assert_int_ge(p.cycles, 99);
    ck_assert_int_le(p.cycles, 100);
    ck_assert_uint_eq(p.goal, PACER_MINIMUM);
    p.in.percent = 50;
    ck_assert_uint_eq(pacer_goal(&p.in), PACER_MINIMUM / 2);
    p.in.percent = 300;
    ck_assert_uint_eq(pacer_goal(&p.in), 3 * PACER_MINIMUM);
    p.in.threads = 2;
    ck_assert_uint_eq(pacer_goal(&p.in), 3 * (PACER_MINIMUM + PACER_THREAD));
    p.in.percent = 0; /* then .progress is what is left */
    ck_assert_uint_eq(pacer_goal(&p.in), 1000 + MIB);
}
END_TEST

START_TEST(first_goal)
{
    struct pacer_input in = {.limit = OPTIONS_LIMIT_NONE, .percent = 100};
    ck_assert_uint_eq(pacer_goal(&in), PACER_MINIMUM);
    in.percent = OPTIONS_PERCENT_OFF;
    ck_assert_uint_eq(pacer_goal(&in), UINT64_MAX);
}
END_TEST

/* Off: never, unless there is a limit; then at the limit and not before. */
START_TEST(percent_off)
{
    struct pacer_input in = {
        .live = 100 * MIB, .roots = MIB, .limit = OPTIONS_LIMIT_NONE, .percent = OPTIONS_PERCENT_OFF};
    ck_assert_uint_eq(pacer_goal(&in), UINT64_MAX);
    in.limit = GIB;
    in.overhead = 24 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 1000 * MIB);
    struct program p = {.in = in, .live_at = live_100_mib};
    run(&p, 10 * GIB, MIB);
    ck_assert_int_ge(p.cycles, 10);
    ck_assert_int_le(p.cycles, 12);
    ck_assert_uint_le(p.peak, 1001 * MIB);
}
END_TEST

/* The limit is for everything, so the heap gets it less the overhead; far from it the percentage decides. */
START_TEST(limit)
{
    struct pacer_input in = {.live = 100 * MIB, .limit = 160 * MIB, .overhead = 10 * MIB, .percent = 100};
    ck_assert_uint_eq(pacer_goal(&in), 150 * MIB);
    in.limit = 300 * MIB;
    ck_assert_uint_eq(pacer_goal(&in), 200 * MIB);
}
END_TEST

/* .progress: above the limit the heap still gets a sixteenth (at least 1 MiB) between cycles: often, not all the time. */
START_TEST(limit_below_what_is_live)
{
    struct program p = {.in = {.percent = 100, .limit = 64 * MIB, .overhead = 100 * MIB}, .live_at = live_100_mib};
    run(&p, GIB, MIB / 16);
    ck_assert_uint_eq(p.goal, 100 * MIB + 100 * MIB / 16);
    ck_assert_int_le(p.cycles, (int)(GIB / MIB));
    p.in.live = 3 * MIB;
    ck_assert_uint_eq(pacer_goal(&p.in), 4 * MIB);
}
END_TEST

static const struct {
    double cpu_byte;
    uint64_t step; /* MiB */
} halves[] = {{0.01, 100}, {0.5, 100}, {1, 100}, {1.25, 80}, {4, 25}, {10, 10}, {100, 6}};

/* .half: a heap that does not fit its limit grows until marking takes half of the time, and never to more than double. */
START_TEST(half_the_cpu)
{
    struct program p = {.in = {.percent = OPTIONS_PERCENT_OFF, .limit = 64 * MIB},
                        .live_at = live_100_mib,
                        .cpu_byte = halves[_i].cpu_byte};
    run(&p, 4 * GIB, MIB / 16);
    ck_assert_uint_eq(p.goal / MIB, 100 + halves[_i].step);
    p.in.percent = 10; /* the percentage is not exceeded for it, but for a cycle's progress */
    ck_assert_uint_le(pacer_goal(&p.in), 110 * MIB);
}
END_TEST

/* Numbers that no heap has must not wrap round to a small goal. */
START_TEST(saturation)
{
    static const uint64_t huge[] = {UINT64_MAX,        UINT64_MAX - 1,   UINT64_MAX / 2,   UINT64_MAX / 2 + 1,
                                    UINT64_C(1) << 63, UINT64_MAX / 100, UINT64_MAX / 1000};
    static const int percent[] = {OPTIONS_PERCENT_OFF, 0, 1, 99, 100, 101, OPTIONS_PERCENT_MAX};
    for (size_t i = 0; i < sizeof huge / sizeof *huge * 7 * 2; i++) {
        struct pacer_input in = {.live = huge[i / 14], .percent = percent[i / 2 % 7], .limit = OPTIONS_LIMIT_NONE};
        in.roots = i % 2 ? UINT64_MAX : 0;
        uint64_t goal = pacer_goal(&in);
        if (goal < in.live || (in.percent >= 100 && goal < in.live + (UINT64_MAX - in.live) / 2 && goal / 2 < in.live))
            ck_abort_msg("live %llu, percent %d: goal %llu", (unsigned long long)in.live, in.percent,
                         (unsigned long long)goal);
    }
    struct pacer_input in = {.live = UINT64_MAX, .roots = UINT64_MAX, .percent = OPTIONS_PERCENT_MAX};
    in.overhead = UINT64_MAX;
    ck_assert_uint_eq(pacer_goal(&in), UINT64_MAX);
    in = (struct pacer_input){.roots = UINT64_MAX, .percent = 1, .limit = OPTIONS_LIMIT_NONE};
    ck_assert_uint_eq(pacer_goal(&in), UINT64_MAX / 100);
}
END_TEST

/* The exact product of n and percent, by halves, where it fits. */
START_TEST(exact)
{
    struct pacer_input in = {.limit = OPTIONS_LIMIT_NONE};
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        in.live = 64 * MIB + x % (GIB * 1024);
        in.percent = (int)(x >> 40) % 2000 + 10;
        unsigned __int128 want = in.live + (unsigned __int128)in.live * (unsigned)in.percent / 100;
        if (pacer_goal(&in) != (uint64_t)want)
            ck_abort_msg("live %llu, percent %d", (unsigned long long)in.live, in.percent);
    }
}
END_TEST

static const uint64_t lives[] = {0, 1, 1000, MIB, 4 * MIB, 5 * MIB, 100 * MIB, GIB, 1024 * GIB};

/* More live bytes, a larger percentage or a larger limit never make the goal smaller. */
START_TEST(monotonic)
{
    for (size_t i = 0; i < 9; i++) {
        uint64_t last = 0;
        for (int percent = 0; percent <= 1000; percent += 10) {
            struct pacer_input in = {.live = lives[i], .percent = percent, .limit = 512 * MIB, .overhead = MIB};
            uint64_t goal = pacer_goal(&in);
            ck_assert_uint_ge(goal, last);
            in.limit *= 2;
            ck_assert_uint_ge(pacer_goal(&in), goal);
            in.live++;
            ck_assert_uint_ge(pacer_goal(&in), goal);
            last = goal;
        }
    }
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, steady_state, 0, sizeof percents / sizeof *percents);
    tcase_add_test(tc, growing_roots);
    tcase_add_test(tc, outlived_one_mark);
    tcase_add_test(tc, bytes_not_read);
    tcase_add_test(tc, growing_heap);
    tcase_add_test(tc, heap_that_shrinks);
    tcase_add_test(tc, tiny_heap);
    tcase_add_test(tc, first_goal);
    tcase_add_test(tc, percent_off);
    tcase_add_test(tc, limit);
    tcase_add_test(tc, limit_below_what_is_live);
    tcase_add_loop_test(tc, half_the_cpu, 0, sizeof halves / sizeof *halves);
    tcase_add_test(tc, saturation);
    tcase_add_test(tc, exact);
    tcase_add_test(tc, monotonic);
}
CHECK_MAIN("sim/pacer", tests)
