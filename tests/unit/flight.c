/* flight.c - the records of threads between creation and join: found by id, given up once, in any order of events. */
#include "heap.h"

#include "world/flight.h"

#include <string.h>

static struct flight *a, *b, *c;

static pthread_t id_of(uintptr_t n) { return (pthread_t)(n * 4096); }

static struct flight *new (void)
{
    struct flight *f = flight_new(NULL, true);
    ck_assert_ptr_nonnull(f);
    return f;
}

static struct flight *peek(pthread_t id)
{
    struct flight *f = flight_enter(id);
    if (f)
        flight_leave(f, FLIGHT_AS_IT_WAS);
    return f;
}

static void made(struct flight *f, pthread_t id) { flight_made(f, &id); }

static struct flight *start(pthread_t id)
{
    struct flight *f = new ();
    flight_list(f, id);
    made(f, id);
    return f;
}

/* .found: listed by whoever comes first. */
START_TEST(found)
{
    a = new ();
    b = new ();
    ck_assert_ptr_null(flight_enter(id_of(1)));
    flight_list(a, id_of(1));
    flight_made(a, NULL); /* it is listed, and the thread may have freed its id */
    made(b, id_of(2));
    flight_list(b, id_of(99));
    ck_assert_ptr_eq(peek(id_of(1)), a);
    ck_assert_ptr_eq(peek(id_of(2)), b);
    ck_assert_ptr_null(peek(id_of(99)));
    ck_assert_uint_eq(flight_count(), 2);
}
END_TEST

/* Many more than there are buckets, and than fit into a chunk. */
START_TEST(many)
{
    enum { MANY = 5000 };
    static struct flight *f[MANY];
    for (uintptr_t i = 0; i < MANY; i++) {
        f[i] = new ();
        made(f[i], id_of(i + 1));
        flight_ended(f[i]);
    }
    ck_assert_uint_eq(flight_count(), MANY);
    for (uintptr_t i = 0; i < MANY; i++) {
        struct flight *r = flight_enter(id_of(i + 1));
        if (r != f[i])
            ck_abort_msg("record %zu", (size_t)i);
        flight_leave(r, FLIGHT_JOINED);
        if (flight_count() != MANY - 1 - i || peek(id_of(i + 1)))
            ck_abort_msg("record %zu was kept", (size_t)i);
    }
}
END_TEST

/* .kept: the four reasons go in every order; the record is freed with the last, and only then. */
enum event { MADE, ENDED, LEFT, TAKEN, EVENTS };

static void happen(struct flight *f, enum event e, pthread_t id)
{
    switch (e) {
    case MADE:
        made(f, id);
        break;
    case ENDED:
        flight_ended(f);
        break;
    case LEFT:
        flight_leave(f, FLIGHT_AS_IT_WAS);
        break;
    default:
        f->taken = true; /* what a detach leaves behind that found no other caller */
    }
}

START_TEST(kept)
{
    for (int code = 0; code < 256; code++) {
        enum event order[EVENTS] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        unsigned seen = 0;
        for (int i = 0; i < EVENTS; i++)
            seen |= 1u << order[i];
        if (seen != 15 || order[EVENTS - 1] == TAKEN)
            continue;
        a = new ();
        flight_list(a, id_of(1));
        ck_assert_ptr_eq(flight_enter(id_of(1)), a);
        for (int i = 0; i < EVENTS - 1; i++)
            happen(a, order[i], id_of(1));
        ck_assert_uint_eq(flight_count(), 1);
        happen(a, order[EVENTS - 1], id_of(1));
        ck_assert_uint_eq(flight_count(), 0);
        ck_assert_ptr_null(peek(id_of(1)));
    }
}
END_TEST

START_TEST(outcomes)
{
    a = start(id_of(1));
    flight_leave(flight_enter(id_of(1)), FLIGHT_DETACHED);
    ck_assert_uint_eq(flight_count(), 1);
    flight_ended(a);
    ck_assert_uint_eq(flight_count(), 0);
    /* Joined while it seems to run: it left without a word. */
    start(id_of(1));
    flight_leave(flight_enter(id_of(1)), FLIGHT_JOINED);
    ck_assert_uint_eq(flight_count(), 0);
    /* Detached while somebody joins, with a time limit that passes: a join may yet get the result. */
    a = start(id_of(1));
    struct flight *joiner = flight_enter(id_of(1)), *detacher = flight_enter(id_of(1));
    flight_leave(detacher, FLIGHT_DETACHED);
    flight_leave(joiner, FLIGHT_AS_IT_WAS);
    flight_ended(a);
    ck_assert_ptr_eq(peek(id_of(1)), a);
    flight_leave(flight_enter(id_of(1)), FLIGHT_JOINED);
    ck_assert_uint_eq(flight_count(), 0);
}
END_TEST

/* .newest: an id that comes again is the new thread's, and what is left of the old one is freed. */
START_TEST(newest)
{
    a = start(id_of(1));
    struct flight *joiner = flight_enter(id_of(1));
    flight_ended(a);
    b = new ();
    flight_list(b, id_of(1));
    ck_assert_uint_eq(flight_count(), 2); /* the joiner is not out yet */
    ck_assert_ptr_eq(peek(id_of(1)), b);
    flight_leave(joiner, FLIGHT_JOINED);
    ck_assert_uint_eq(flight_count(), 1);
    ck_assert_ptr_eq(peek(id_of(1)), b);
    made(b, id_of(1));
    c = new (); /* b was joined behind our back, which is noticed as the new one is made */
    made(c, id_of(1));
    ck_assert_uint_eq(flight_count(), 1);
    ck_assert_ptr_eq(peek(id_of(1)), c);
}
END_TEST

static void *seen[8];
static size_t nseen;

static void see(void *held) { seen[nseen++] = held; }

/* What is held is found whether it is listed or not. */
START_TEST(held)
{
    int argument, result;
    a = flight_new(&argument, true);
    flight_each(see);
    ck_assert_uint_eq(nseen, 1);
    ck_assert_ptr_eq(seen[0], &argument);
    flight_list(a, id_of(1));
    made(a, id_of(1));
    a->held = NULL;
    b = flight_new(&argument, false);
    flight_result(id_of(1), &result);
    nseen = 0;
    flight_each(see);
    ck_assert_uint_eq(nseen, 2);
    ck_assert((seen[0] == &argument && seen[1] == &result) || (seen[0] == &result && seen[1] == &argument));
    flight_drop(b);
    nseen = 0;
    flight_each(see);
    ck_assert_uint_eq(nseen, 1);
    ck_assert_ptr_eq(seen[0], &result);
}
END_TEST

START_TEST(results)
{
    int object, other;
    a = start(id_of(1));
    flight_result(id_of(1), &object);
    flight_result(id_of(2), &other);
    ck_assert_ptr_eq(a->held, &object);
    flight_ended(a);
    flight_result(id_of(1), &other); /* a destructor ended it once more */
    ck_assert_ptr_eq(a->held, &other);
    a->taken = true;
    flight_result(id_of(1), &object); /* another thread's, that has its id */
    ck_assert_ptr_eq(a->held, &other);
}
END_TEST

START_TEST(no_memory)
{
    os_fail(1, true);
    ck_assert_ptr_null(flight_new(NULL, true));
    ck_assert_uint_eq(flight_count(), 0);
    os_fail(0, false);
    new ();
    ck_assert_uint_eq(flight_count(), 1);
}
END_TEST

START_TEST(forked)
{
    start(id_of(1));
    start(id_of(2));
    new ();
    c = new ();
    flight_list(c, id_of(3));
    ck_assert_ptr_eq(flight_enter(id_of(3)), c);
    flight_fork_acquire();
    flight_fork_release();
    flight_fork_child(id_of(3));
    ck_assert_uint_eq(flight_count(), 1);
    ck_assert_ptr_null(peek(id_of(1)));
    ck_assert_ptr_null(peek(id_of(2)));
    ck_assert_ptr_eq(peek(id_of(3)), c);
    flight_ended(c);
    flight_leave(flight_enter(id_of(3)), FLIGHT_DETACHED); /* no maker, no caller is left */
    ck_assert_uint_eq(flight_count(), 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, found);
    tcase_add_test(tc, many);
    tcase_add_test(tc, kept);
    tcase_add_test(tc, outcomes);
    tcase_add_test(tc, newest);
    tcase_add_test(tc, held);
    tcase_add_test(tc, results);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, forked);
}
CHECK_MAIN("unit/flight", tests)
