/* flight.c - the records of threads between creation and join: found by id, given up once, in any order of events. */
#include "../check_main.h"

#include "world/flight.h"

#include <string.h>

static struct flight a, b, c;

static void make(struct flight *f) { *f = (struct flight){.creating = true, .running = true}; }

static void setup(void)
{
    make(&a);
    make(&b);
    make(&c);
}

static pthread_t id_of(uintptr_t n) { return (pthread_t)(n * 4096); }

static struct flight *peek(pthread_t id)
{
    struct flight *f = flight_enter(id);
    if (f)
        ck_assert_ptr_null(flight_leave(f, FLIGHT_AS_IT_WAS));
    return f;
}

static struct flight *made(struct flight *f, pthread_t id) { return flight_made(f, &id); }

/* .found: listed by whoever comes first. */
START_TEST(found)
{
    setup();
    ck_assert_ptr_null(flight_enter(id_of(1)));
    ck_assert_ptr_null(flight_list(&a, id_of(1)));
    ck_assert_ptr_null(flight_made(&a, NULL)); /* it is listed, and the thread may have freed its id */
    ck_assert_ptr_null(made(&b, id_of(2)));
    ck_assert_ptr_null(flight_list(&b, id_of(99)));
    ck_assert_ptr_eq(peek(id_of(1)), &a);
    ck_assert_ptr_eq(peek(id_of(2)), &b);
    ck_assert_ptr_null(peek(id_of(99)));
}
END_TEST

/* Many more than there are buckets. */
START_TEST(many)
{
    enum { MANY = 5000 };
    static struct flight f[MANY];
    for (uintptr_t i = 0; i < MANY; i++) {
        make(&f[i]);
        ck_assert_ptr_null(made(&f[i], id_of(i + 1)));
        ck_assert_ptr_null(flight_ended(&f[i]));
    }
    for (uintptr_t i = 0; i < MANY; i++) {
        struct flight *r = flight_enter(id_of(i + 1));
        if (r != &f[i] || flight_leave(r, FLIGHT_JOINED) != &f[i] || peek(id_of(i + 1)))
            ck_abort_msg("record %zu", (size_t)i);
    }
}
END_TEST

/* .kept: the four reasons go in every order; the record is given up with the last, and only then. */
enum event { MADE, ENDED, LEFT, TAKEN, EVENTS };

static struct flight *happen(struct flight *f, enum event e, pthread_t id)
{
    switch (e) {
    case MADE:
        return made(f, id);
    case ENDED:
        return flight_ended(f);
    case LEFT:
        return flight_leave(f, FLIGHT_AS_IT_WAS);
    default:
        f->taken = true; /* what a detach leaves behind that found no other caller */
        return NULL;
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
        make(&a);
        ck_assert_ptr_null(flight_list(&a, id_of(1)));
        ck_assert_ptr_eq(flight_enter(id_of(1)), &a);
        for (int i = 0; i < EVENTS - 1; i++)
            ck_assert_ptr_null(happen(&a, order[i], id_of(1)));
        ck_assert_ptr_eq(happen(&a, order[EVENTS - 1], id_of(1)), &a);
        ck_assert_ptr_null(peek(id_of(1)));
    }
}
END_TEST

static void start(struct flight *f, pthread_t id)
{
    make(f);
    ck_assert_ptr_null(flight_list(f, id));
    ck_assert_ptr_null(made(f, id));
}

START_TEST(outcomes)
{
    start(&a, id_of(1));
    ck_assert_ptr_null(flight_leave(flight_enter(id_of(1)), FLIGHT_DETACHED));
    ck_assert_ptr_eq(flight_ended(&a), &a);
    /* Joined while it seems to run: it left without a word. */
    start(&a, id_of(1));
    ck_assert_ptr_eq(flight_leave(flight_enter(id_of(1)), FLIGHT_JOINED), &a);
    /* Detached while somebody joins, with a time limit that passes: a join may yet get the result. */
    start(&a, id_of(1));
    struct flight *joiner = flight_enter(id_of(1)), *detacher = flight_enter(id_of(1));
    ck_assert_ptr_null(flight_leave(detacher, FLIGHT_DETACHED));
    ck_assert_ptr_null(flight_leave(joiner, FLIGHT_AS_IT_WAS));
    ck_assert_ptr_null(flight_ended(&a));
    ck_assert_ptr_eq(peek(id_of(1)), &a);
    ck_assert_ptr_eq(flight_leave(flight_enter(id_of(1)), FLIGHT_JOINED), &a);
}
END_TEST

/* .newest: an id that comes again is the new thread's, and what is left of the old one is given up. */
START_TEST(newest)
{
    start(&a, id_of(1));
    struct flight *joiner = flight_enter(id_of(1));
    ck_assert_ptr_null(flight_ended(&a));
    make(&b);
    ck_assert_ptr_null(flight_list(&b, id_of(1))); /* the joiner is not out yet */
    ck_assert_ptr_eq(peek(id_of(1)), &b);
    ck_assert_ptr_eq(flight_leave(joiner, FLIGHT_JOINED), &a);
    ck_assert_ptr_eq(peek(id_of(1)), &b);
    ck_assert_ptr_null(made(&b, id_of(1)));
    make(&c); /* b was joined behind our back; its maker is told when the new one is made */
    struct flight *given = made(&c, id_of(1));
    ck_assert_ptr_eq(given, &b);
    ck_assert_ptr_null(given->next);
    ck_assert_ptr_eq(peek(id_of(1)), &c);
}
END_TEST

START_TEST(results)
{
    int object, other;
    start(&a, id_of(1));
    flight_result(id_of(1), &object);
    flight_result(id_of(2), &other);
    ck_assert_ptr_eq(a.held, &object);
    ck_assert_ptr_null(flight_ended(&a));
    flight_result(id_of(1), &other); /* a destructor ended it once more */
    ck_assert_ptr_eq(a.held, &other);
    a.taken = true;
    flight_result(id_of(1), &object); /* another thread's, that has its id */
    ck_assert_ptr_eq(a.held, &other);
}
END_TEST

START_TEST(forked)
{
    size_t n = 0;
    start(&a, id_of(1));
    start(&b, id_of(2));
    make(&c);
    ck_assert_ptr_null(flight_list(&c, id_of(3)));
    ck_assert_ptr_eq(flight_enter(id_of(3)), &c);
    flight_fork_acquire();
    flight_fork_release();
    for (struct flight *f = flight_fork_child(id_of(3)); f; f = f->next, n++)
        ck_assert(f == &a || f == &b);
    ck_assert_uint_eq(n, 2);
    ck_assert_ptr_null(peek(id_of(1)));
    ck_assert_ptr_null(peek(id_of(2)));
    ck_assert_ptr_eq(peek(id_of(3)), &c);
    ck_assert_ptr_null(flight_ended(&c));
    ck_assert_ptr_eq(flight_leave(flight_enter(id_of(3)), FLIGHT_DETACHED), &c); /* no maker, no caller is left */
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, found);
    tcase_add_test(tc, many);
    tcase_add_test(tc, kept);
    tcase_add_test(tc, outcomes);
    tcase_add_test(tc, newest);
    tcase_add_test(tc, results);
    tcase_add_test(tc, forked);
}
CHECK_MAIN("unit/flight", tests)
