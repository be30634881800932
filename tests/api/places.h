/* places.h - objects whose only pointers are in the place that a test is about.
 *
 *     held_make(N, 0);              N objects; the truth is kept where no scan looks
 *     (put held_pointer(i) into the place)
 *     held_shake();                 collect, hand every other slot out again, twice
 *     held_check();                 all are there, every byte
 *     (clear the place)
 *     held_must_go();               all but a few are freed
 *
 * Every other object is dropped at once, so that no pointer one past the end of one is its neighbour's start. Between
 * held_make and held_shake nothing is collected. */
#ifndef API_PLACES_H
#define API_PLACES_H

#include "helpers.h"

enum { HELD_SIZE = 64, HELD_MAX = 2000 };

static struct {
    uintptr_t *hidden; /* malloc memory, and complements besides */
    size_t n, offset;
    bool disabled; /* collections are, by these functions */
} held;

static inline void held_collections(bool on)
{
    if (on == held.disabled)
        (void)(on ? gc_enable() : gc_disable());
    held.disabled = !on;
}

/* Pointers to `offset` bytes behind the starts are what the place gets. */
static NOINLINE void held_make(size_t n, size_t offset)
{
    held_collections(false);
    free(held.hidden);
    held.hidden = malloc(n * sizeof *held.hidden);
    held.n = n;
    held.offset = offset;
    for (size_t i = 0; i < n; i++) {
        held.hidden[i] = hide((char *)make_filled(HELD_SIZE, i) + offset);
        make_filled(HELD_SIZE, i + 1);
    }
}

static inline void *held_pointer(size_t i) { return reveal(held.hidden[i]); }
static inline void *held_start(size_t i) { return (char *)held_pointer(i) - held.offset; }

/* Pointers [first, first + n) into an array. */
static NOINLINE void held_put(void *volatile *place, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        place[i] = held_pointer(first + i);
}

static NOINLINE void held_clear(void *volatile *place, size_t n)
{
    for (size_t i = 0; i < n; i++)
        place[i] = NULL;
}

static NOINLINE void held_shake(void)
{
    held_collections(true);
    for (int i = 0; i < 2; i++) {
        settle();
        churn(HELD_SIZE, 3 * held.n);
    }
    held_collections(false);
}

static NOINLINE void held_check(void)
{
    for (size_t i = 0; i < held.n; i++)
        check_live(held_start(i), HELD_SIZE, i);
}

static NOINLINE bool held_intact(size_t i)
{
    const unsigned char *b = held_start(i);
    if (gc_base((void *)b) != b)
        return false;
    for (size_t k = 0; k < HELD_SIZE; k++)
        if (b[k] != pattern(i, k))
            return false;
    return true;
}

/* How many there still are after a collection. */
static NOINLINE size_t held_left(void)
{
    size_t n = 0;
    held_collections(true);
    settle();
    for (size_t i = 0; i < held.n; i++)
        n += held_intact(i);
    held_collections(false);
    return n;
}

/* A stray word may hold a few, and besides so many. */
static NOINLINE void held_must_go_but(size_t strays)
{
    size_t left = held_left();
    if (left > held.n / 20 + strays)
        ck_abort_msg("%zu of %zu objects are left", left, held.n);
    held_collections(true);
}

static inline void held_must_go(void) { held_must_go_but(0); }

/* All of the above for places that lie side by side. */
static NOINLINE void holds_then_not(void *volatile *place, size_t n, size_t offset)
{
    held_make(n, offset);
    held_put(place, 0, n);
    held_shake();
    held_check();
    held_clear(place, n);
    held_must_go();
}

#endif
