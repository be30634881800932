/* guard.c - zones, poison and custody.
 * Owns:   the first fault that was found.
 * Locks:  none; a sample's state is the program's while it holds the object, then the sweep's.
 * Keeps:  .zone    behind a live object, up to the end of its slot, every byte is ZONE
 *         .poison  of one in custody every byte of the slot is POISON
 *         .later   what is found in a region is reported outside of it: names are looked up for that
 * Below:  buckets, os_memtool.   Above: api, the sweep by specials_inspect.   See doc/design/watching.md */
#include "watch/guard.h"

#include "base/report.h"
#include "heap/sampler.h"
#include "os/os_memtool.h"
#include "watch/explain.h"
#include "watch/out.h"

#include <string.h>
#include <unistd.h>

enum { ZONE = 0xfd, POISON = 0xdb };

bool guard_on;

enum faults { NONE, WRITING, FOUND, TOLD };

static struct {
    const char *what;
    uintptr_t base;
    size_t at; /* the byte that was changed */
    size_t asked;
    const struct bucket *bucket;
} fault;
static _Atomic int faults; /* enum faults */

static void note_fault(const char *what, uintptr_t base, size_t at, const struct sample *sample)
{
    int none = NONE;
    if (!atomic_compare_exchange_strong(&faults, &none, WRITING))
        return;
    fault.what = what;
    fault.base = base;
    fault.at = at;
    fault.asked = sample->asked;
    fault.bucket = sample->bucket;
    atomic_store_explicit(&faults, FOUND, memory_order_release);
}

/* The first byte of [lo, hi) that is not `fill`, or hi. */
static NO_SANITIZE uintptr_t first_other(uintptr_t lo, uintptr_t hi, unsigned char fill)
{
    while (lo < hi && *(const volatile unsigned char *)lo == fill)
        lo++;
    return lo;
}

static void expect(const char *what, uintptr_t base, uintptr_t lo, uintptr_t hi, unsigned char fill,
                   const struct sample *sample)
{
    os_memtool_allow(lo, hi - lo, true);
    uintptr_t at = first_other(lo, hi, fill);
    if (at < hi)
        note_fault(what, base, at - base, sample);
}

static void check_zone(const struct mspan *s, uintptr_t base, const struct sample *sample)
{
    uintptr_t zone = base + sample->asked, end = base + s->elemsize;
    expect("a write past the end of", base, zone, end, ZONE, sample);
    os_memtool_forbid(zone, end - zone);
}

static void check_poison(const struct mspan *s, uintptr_t base, const struct sample *sample)
{
    expect(sample->state == SAMPLE_FREED ? "a write after gc_free of" : "a write after the collection of", base, base,
           base + s->elemsize, POISON, sample);
}

static void take_into_custody(const struct mspan *s, uintptr_t base, struct sample *sample, enum special_end why)
{
    os_memtool_allow(base, s->elemsize, true);
    memset((void *)base, POISON, s->elemsize);
    os_memtool_forbid(base, s->elemsize);
    sample->state = why == SPECIAL_FREED ? SAMPLE_FREED : SAMPLE_COLLECTED;
    buckets_count_end(sample, why);
}

/* Of slots with a sample; returns whether it stays. */
static bool inspect_slot(const struct mspan *s, size_t i, bool dead)
{
    struct sample *sample = sample_of(s, i);
    uintptr_t base = mspan_slot(s, i);
    if (!sample)
        return !dead;
    if (sample->state == SAMPLE_LIVE) {
        check_zone(s, base, sample);
        if (dead)
            take_into_custody(s, base, sample, SPECIAL_SWEPT);
        return true;
    }
    check_poison(s, base, sample);
    if (!dead)
        os_memtool_forbid(base, s->elemsize);
    return !dead;
}

static uint64_t inspect(struct mspan *s, size_t w, uint64_t held, uint64_t dead)
{
    uint64_t kept = 0;
    for (uint64_t left = held; left; left &= left - 1) {
        uint64_t bit = left & -left;
        if (inspect_slot(s, w * WORD_BITS + (size_t)__builtin_ctzll(bit), dead & bit))
            kept |= dead & bit;
    }
    return kept;
}

void guard_start(void)
{
    guard_on = true;
    sampler_set_rate(1);
    specials_inspect = inspect;
}

void guard_arm(const struct mspan *s, size_t i, struct sample *sample)
{
    uintptr_t base = mspan_slot(s, i), zone = base + sample->asked, end = base + s->elemsize;
    memset((void *)zone, ZONE, end - zone);
    os_memtool_allow(base, sample->asked, s->scan != SCAN_NONE);
    os_memtool_forbid(zone, end - zone);
}

bool guard_is_dead(const struct mspan *s, size_t i)
{
    const struct sample *sample = sample_of(s, i);
    return sample && sample->state != SAMPLE_LIVE;
}

size_t guard_asked(const struct mspan *s, size_t i)
{
    const struct sample *sample = sample_of(s, i);
    return sample ? sample->asked : s->elemsize;
}

/* An uncollectable one would be a root in custody. */
bool guard_free(struct mspan *s, size_t i)
{
    struct sample *sample = sample_of(s, i);
    uintptr_t base = mspan_slot(s, i);
    if (!sample)
        return false;
    check_zone(s, base, sample);
    if (s->pinned) {
        os_memtool_allow(base, s->elemsize, false);
        return false;
    }
    take_into_custody(s, base, sample, SPECIAL_FREED);
    specials_end_lifetimes(s, i, SPECIAL_FREED);
    return true;
}

static void add_allocation(struct out *o, const struct bucket *b)
{
    out_printf(o, "it was allocated by\n");
    explain_frames(o, b);
    out_end(o);
}

/* Once: what looks names up may allocate, and comes here again. */
void guard_tell(void)
{
    struct out out, *o = out_begin(&out, STDERR_FILENO);
    int found = FOUND;
    if (likely(atomic_load_explicit(&faults, memory_order_relaxed) != FOUND) ||
        !atomic_compare_exchange_strong(&faults, &found, TOLD))
        return;
    out_printf(o, "spangc: %s %#lx, an object of %zu bytes: byte %zu was changed\n", fault.what,
               (unsigned long)fault.base, fault.asked, fault.at);
    add_allocation(o, fault.bucket);
    report_fatal("memory of the heap was written that is no object's (check=1); aborting");
}

void guard_freed_twice(const struct mspan *s, size_t i, const void *p)
{
    const struct sample *sample = sample_of(s, i);
    struct out out, *o = out_begin(&out, STDERR_FILENO);
    if (!sample)
        return;
    out_printf(o, "spangc: gc_free(%#lx): the object of %zu bytes was %s before\n", (unsigned long)(uintptr_t)p,
               sample->asked, sample->state == SAMPLE_FREED ? "freed" : "collected");
    add_allocation(o, sample->bucket);
    report_fatal("gc_free of what is no live object (check=1); aborting");
}
