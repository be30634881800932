/* weakmap.c - a hash table whose entries go when their keys do, and a program that shows it.
 *
 * The table says something about objects that are not its own: a note on each, which may itself refer to the object. Plain
 * entries would hold every object for ever; weak references to the keys would leave the notes, and a note that refers to
 * its object would hold that. An entry here is an ephemeron: it holds the value as long as somebody else holds the key.
 *
 * Keys are compared and hashed by address: objects never move. The address of a key is kept as its complement, which no
 * scan takes for a pointer. It is asked for with gc_ephemeron_value, which compares it and looks at nothing that it points
 * to; so it does no harm that another object may have that address by now: the ephemeron knows.
 *
 * Usage: weakmap [N]
 *   N   objects with a note to begin with, 1000 if not said */
#include <errno.h>
#include <spangc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the table ---- */

struct weakmap_entry {
    struct weakmap_entry *next;
    struct gc_ephemeron *pair;
    uintptr_t hidden; /* complement of the key's address */
};

struct weakmap {
    struct weakmap_entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_entries; /* those whose keys have died among them, until somebody comes by */
};

enum { LEAST_BUCKETS = 8 };

static void *must(void *p)
{
    if (!p) {
        fputs("weakmap: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return p;
}

static size_t bucket_of(const struct weakmap *m, uintptr_t hidden)
{
    return (size_t)(hidden * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (m->n_buckets - 1);
}

static void *key_of(const struct weakmap_entry *e) { return (void *)~e->hidden; }

/* NULL: its key is no more. Values are not NULL. */
static void *value_of(const struct weakmap_entry *e) { return gc_ephemeron_value(e->pair, key_of(e)); }

static struct weakmap_entry **make_buckets(size_t n) { return must(gc_calloc(n, sizeof(struct weakmap_entry *))); }

static struct weakmap *weakmap_new(void)
{
    struct weakmap *m = must(gc_malloc(sizeof *m));
    m->n_buckets = LEAST_BUCKETS;
    m->buckets = make_buckets(m->n_buckets);
    return m;
}

/* Take the entries of one bucket whose keys have died out of it. */
static void sweep(struct weakmap *m, size_t bucket)
{
    for (struct weakmap_entry **at = &m->buckets[bucket]; *at;) {
        if (value_of(*at)) {
            at = &(*at)->next;
            continue;
        }
        *at = (*at)->next;
        m->n_entries--;
    }
}

static void sweep_all(struct weakmap *m)
{
    for (size_t i = 0; i < m->n_buckets; i++)
        sweep(m, i);
}

/* An entry whose key dies meanwhile is moved like the others: only its hash is needed. */
static void resize(struct weakmap *m, size_t n_buckets)
{
    struct weakmap_entry **old = m->buckets;
    size_t n_old = m->n_buckets;
    m->buckets = make_buckets(n_buckets);
    m->n_buckets = n_buckets;
    for (size_t i = 0; i < n_old; i++) {
        for (struct weakmap_entry *e = old[i], *next; e; e = next) {
            struct weakmap_entry **to = &m->buckets[bucket_of(m, e->hidden)];
            next = e->next;
            e->next = *to;
            *to = e;
        }
    }
}

/* A table that is full of the dead has room. */
static void make_room(struct weakmap *m)
{
    if (m->n_entries < m->n_buckets)
        return;
    sweep_all(m);
    if (m->n_entries * 2 > m->n_buckets)
        resize(m, 2 * m->n_buckets);
}

static struct weakmap_entry **find(struct weakmap *m, void *key)
{
    struct weakmap_entry **at = &m->buckets[bucket_of(m, ~(uintptr_t)key)];
    while (*at && (key_of(*at) != key || !value_of(*at)))
        at = &(*at)->next;
    return at;
}

/* The value, or NULL when there is none. */
static void *weakmap_get(struct weakmap *m, void *key)
{
    const struct weakmap_entry *e = *find(m, key);
    return e ? value_of(e) : NULL;
}

/* Takes the key's entry out; false when it had none. */
static bool weakmap_remove(struct weakmap *m, void *key)
{
    struct weakmap_entry **at = find(m, key);
    if (!*at)
        return false;
    *at = (*at)->next;
    m->n_entries--;
    return true;
}

/* `value` is not NULL. What the key had before is replaced. */
static void weakmap_put(struct weakmap *m, void *key, void *value)
{
    weakmap_remove(m, key);
    make_room(m);
    struct weakmap_entry *e = must(gc_malloc(sizeof *e));
    e->pair = must(gc_ephemeron_new(key, value));
    e->hidden = ~(uintptr_t)key;
    size_t bucket = bucket_of(m, e->hidden);
    sweep(m, bucket);
    e->next = m->buckets[bucket];
    m->buckets[bucket] = e;
    m->n_entries++;
}

/* How many keys are alive, as far as collections have found; gives memory back that the others' entries took. */
static size_t weakmap_count(struct weakmap *m)
{
    size_t n = m->n_buckets;
    sweep_all(m);
    while (n > LEAST_BUCKETS && m->n_entries * 4 < n)
        n /= 2;
    if (n < m->n_buckets)
        resize(m, n);
    return m->n_entries;
}

/* ---- the program ---- */

struct account {
    struct account *older;
    unsigned long number;
};

struct note {
    struct account *about; /* the key: it is not held by this */
    unsigned long checked;
};

static struct account *newest; /* all accounts that there are */
static struct weakmap *notes;

static void open_accounts(unsigned long from, unsigned long to)
{
    for (unsigned long i = from; i < to; i++) {
        struct account *a = must(gc_malloc(sizeof *a));
        struct note *note = must(gc_malloc(sizeof *note));
        a->number = i;
        a->older = newest;
        newest = a;
        note->about = a;
        note->checked = i * i;
        weakmap_put(notes, a, note);
    }
}

/* Each second one. */
static void close_some(void)
{
    for (struct account *a = newest; a && a->older; a = a->older)
        a->older = a->older->older;
}

static unsigned long check_notes(void)
{
    unsigned long right = 0;
    for (struct account *a = newest; a; a = a->older) {
        const struct note *note = weakmap_get(notes, a);
        right += note && note->about == a && note->checked == a->number * a->number;
    }
    return right;
}

static void show(const char *what)
{
    gc_collect_without_stacks();
    size_t n = weakmap_count(notes);
    printf("%-26s %6zu entries, %6zu buckets, %6lu notes found\n", what, n, notes->n_buckets, check_notes());
}

static unsigned long number_from(const char *text)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < 1 || n > 1000000) {
        fprintf(stderr, "weakmap: \"%s\" is not a number from 1 to 1000000\n", text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fputs("usage: weakmap [N]\n", stderr);
        return 2;
    }
    unsigned long n = argc > 1 ? number_from(argv[1]) : 1000;
    notes = weakmap_new();
    open_accounts(0, n);
    show("all accounts open:");
    close_some();
    show("each second one closed:");
    open_accounts(n, 4 * n);
    show("others opened:");
    weakmap_remove(notes, newest);
    show("one note torn out:");
    newest = NULL;
    show("all closed:");
    return 0;
}
