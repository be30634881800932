/* pageheap_random.c - long random sequences of everything that the page heap does, its invariants held after each step,
 * and every span's pages its own: each word of a span says whose it is. */
#include "../share.h"
#include "heap.h"

#include <string.h>

enum { SPANS = 300, STEPS = 6000 };

static struct {
    struct mspan *s;
    uint64_t word;
} held[SPANS];
static size_t nheld, held_pages;
static uint32_t x;

/* One word a kernel page. */
static void stamp(struct mspan *s, uint64_t word)
{
    for (size_t at = 0; at < mspan_bytes(s); at += os_page_size())
        *(uint64_t *)(s->base + at) = word;
}

static bool is_stamped(const struct mspan *s, uint64_t word)
{
    for (size_t at = 0; at < mspan_bytes(s); at += os_page_size())
        if (*(const uint64_t *)(s->base + at) != word)
            return false;
    return true;
}

static size_t random_length(void)
{
    switch (next_random(&x) % 8) {
    case 0:
        return 1 + next_random(&x) % 700;
    case 1:
        return 100 + next_random(&x) % 60;
    default:
        return 1 + next_random(&x) % 12;
    }
}

/* .zero: after pageheap_zero all of the span reads as zeros. */
static void take(int step)
{
    struct pageheap_request rq = {.npages = random_length(),
                                  .align_pages = (size_t)1 << (next_random(&x) % 16 == 0 ? next_random(&x) % 8 : 0),
                                  .spc = next_random(&x) % 2 ? SPANCLASS_LARGE : SPANCLASS_LARGE_NOSCAN,
                                  .may_grow = next_random(&x) % 4 > 0};
    struct mspan *s = pageheap_alloc(&rq);
    if (!s) {
        if (rq.may_grow)
            ck_abort_msg("step %d: no memory", step);
        return;
    }
    if (s->npages != rq.npages || s->base % (rq.align_pages * HEAP_PAGE))
        ck_abort_msg("step %d: not what was asked for", step);
    pageheap_zero(s, mspan_bytes(s));
    if (!is_stamped(s, 0))
        ck_abort_msg("step %d: not zero", step);
    held[nheld].s = s;
    held[nheld].word = (uint64_t)step + 1;
    stamp(s, held[nheld++].word);
    held_pages += s->npages;
}

static void drop(int step)
{
    size_t i = next_random(&x) % nheld;
    if (!is_stamped(held[i].s, held[i].word))
        ck_abort_msg("step %d: somebody wrote to a span", step);
    held_pages -= held[i].s->npages;
    pageheap_free(held[i].s);
    held[i] = held[--nheld];
}

static void check_step(int step)
{
    pageheap_check();
    struct pageheap_stats st = page_stats();
    if (st.inuse != held_pages * HEAP_PAGE || st.mapped != arena_used() || st.inuse + st.released > st.mapped)
        ck_abort_msg("step %d: wrong counts", step);
}

START_TEST(sequence)
{
    x = (uint32_t)_i * 2654435761u + 1;
    heap_start();
    for (int step = 0; step < share_of(STEPS); step++) {
        bool grow = step / 1000 % 2 == 0;
        if (next_random(&x) % 100 == 0)
            release_all();
        else if (nheld == 0 || (nheld < SPANS && next_random(&x) % 4 < (grow ? 3u : 1u)))
            take(step);
        else
            drop(step);
        check_step(step);
    }
    while (nheld > 0)
        drop(STEPS);
    check_step(STEPS);
    ck_assert_uint_eq(page_stats().span_records, sizeof(struct mspan)); /* one free run, of all granules */
}
END_TEST

static void tests(TCase *tc) { tcase_add_loop_test(tc, sequence, 0, 4); }
CHECK_MAIN("unit/pageheap_random", tests)
