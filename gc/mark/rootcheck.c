/* rootcheck.c - finding out cheaply what of static data and of the registered ranges can be read.
 * Owns:   the table of the process's mappings, read at most once a collection.
 * Locks:  none; the world is stopped.
 * Keeps:  .rent   asking range by range never costs more than twice what reading the table would have     (affordable)
 *         .part   all of a range that can be read is given, whatever the rest is
 * Below:  os_readable_linux.c.   Above: rootjobs.
 *
 * A few small ranges are asked about one by one. When that has cost as much as reading the list of mappings did last
 * time, the list is read: the old rule for when to stop renting and buy. */
#include "mark/rootcheck.h"

#include "heap/sysmem.h"
#include "os/os.h"
#include "os/os_mem.h"

/* LEAST_PRICE of the table, in lines: reading a line and asking about a range cost about a microsecond each. */
enum { LEAST_PRICE = 64, PAGES_PER_LINE = 4 };

static struct {
    struct os_mapping *at;
    size_t n, bytes;
    size_t last; /* how many there were when it was last read */
    bool tried, read;
    size_t spent;
} maps;

static bool asking_works;

void rootcheck_begin(void)
{
    static bool probed;
    if (!probed)
        asking_works = os_try_read_works();
    probed = true;
    maps.n = 0;
    maps.tried = maps.read = false;
    maps.spent = 0;
}

static bool note(const struct os_mapping *m, void *unused)
{
    struct os_mapping *at = sysmem_grow(maps.at, &maps.bytes, (maps.n + 1) * sizeof *m, SYS_GC);
    (void)unused;
    if (!at)
        return false;
    maps.at = at;
    at[maps.n++] = *m;
    return true;
}

static bool have_table(void)
{
    if (!maps.tried) {
        maps.tried = true;
        maps.read = os_each_mapping(note, NULL);
        maps.last = maps.n;
    }
    return maps.read;
}

static bool affordable(uintptr_t lo, uintptr_t hi)
{
    size_t price = maps.last > LEAST_PRICE ? maps.last : LEAST_PRICE;
    size_t cost = 1 + (hi - lo) / os_page_size() / PAGES_PER_LINE;
    if (!asking_works || maps.read || maps.spent + cost > price)
        return false;
    maps.spent += cost;
    return true;
}

bool rootcheck_whole(uintptr_t lo, uintptr_t hi) { return affordable(lo, hi) && os_try_read(lo, hi) == OS_READS; }

/* Where the readable part of a file's mapping ends: the file may be shorter by now, and its end is one place. */
static uintptr_t end_of_file(uintptr_t lo, uintptr_t hi)
{
    size_t page = os_page_size();
    uintptr_t good = round_down(lo, page), bad = round_up(hi, page);
    if (!asking_works || os_try_read(bad - page, bad) != OS_FAULTS)
        return hi;
    bad -= page;
    while (good < bad) {
        uintptr_t middle = round_down(good + (bad - good) / 2, page);
        if (os_try_read(middle, middle + page) == OS_FAULTS)
            bad = middle;
        else
            good = middle + page;
    }
    return good < lo ? lo : good;
}

static size_t first_above(uintptr_t lo)
{
    size_t a = 0, b = maps.n;
    while (a < b) {
        size_t middle = a + (b - a) / 2;
        if (maps.at[middle].hi > lo)
            b = middle;
        else
            a = middle + 1;
    }
    return a;
}

static bool each_mapped(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t, uintptr_t, void *), void *arg)
{
    uintptr_t given = 0;
    for (size_t i = first_above(lo); i < maps.n && maps.at[i].lo < hi; i++) {
        const struct os_mapping *m = &maps.at[i];
        uintptr_t from = m->lo > lo ? m->lo : lo, to = m->hi < hi ? m->hi : hi;
        if (m->readable && m->file)
            to = end_of_file(from, to);
        if (m->readable && from < to) {
            fn(from, to, arg);
            given += to - from;
        }
    }
    return given == hi - lo;
}

/* Without the table: by halves, down to the page. */
static bool each_half(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t, uintptr_t, void *), void *arg)
{
    size_t page = os_page_size();
    if (!asking_works || os_try_read(lo, hi) == OS_READS) {
        fn(lo, hi, arg);
        return true;
    }
    uintptr_t middle = round_down(lo + (hi - lo) / 2, page);
    if (middle <= lo)
        middle = round_down(lo, page) + page;
    if (middle >= hi)
        return false;
    bool first = each_half(lo, middle, fn, arg), second = each_half(middle, hi, fn, arg);
    return first && second;
}

bool rootcheck_each(uintptr_t lo, uintptr_t hi, void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    if (lo >= hi)
        return true;
    if (affordable(lo, hi) && os_try_read(lo, hi) == OS_READS) {
        fn(lo, hi, arg);
        return true;
    }
    return have_table() ? each_mapped(lo, hi, fn, arg) : each_half(lo, hi, fn, arg);
}
