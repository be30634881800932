/* legacyprofile.c - a heap profile as text.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .line   no line is longer than the 64 KB that Go's reader takes
 * Below:  out, os_file.   Above: api.
 *
 * The form is that of Go's runtime/pprof with debug=1, in the words that both of its readers understand (go tool pprof:
 * legacy_profile.go; gperftools' pprof: a Perl script): a head, a line for each stack, comments, and the memory map last.
 * Where it differs from Go's:
 *
 * heap_v2/RATE, not heap/(2*RATE), which makes the Perl script scale as an older sampler needs it and divide by zero where
 * nothing is in use; heapprofile when every object is a sample, of which neither scales anything.
 *
 * The innermost address is written less 1. The Perl script takes one off every address but that, which for it is no call;
 * Go takes one off each, and is then still inside the call, for none is shorter than two bytes. */
#include "watch/legacyprofile.h"

#include "os/os_file.h"
#include "watch/out.h"

enum { DEEPEST = 3000 }; /* .line: an address takes 19 bytes at most */

static void counts(struct out *o, const struct legacy_record *r)
{
    out_printf(o, "%llu: %llu [%llu: %llu] @", (unsigned long long)r->inuse, (unsigned long long)r->inuse_bytes,
               (unsigned long long)r->allocs, (unsigned long long)r->alloc_bytes);
}

static void head(struct out *o, uint64_t rate, const struct legacy_record *r, size_t n)
{
    struct legacy_record total = {.depth = 0};
    for (size_t i = 0; i < n; i++) {
        total.allocs += r[i].allocs;
        total.alloc_bytes += r[i].alloc_bytes;
        total.inuse += r[i].inuse;
        total.inuse_bytes += r[i].inuse_bytes;
    }
    out_printf(o, "heap profile: ");
    counts(o, &total);
    if (rate > 1)
        out_printf(o, " heap_v2/%llu\n", (unsigned long long)rate);
    else
        out_printf(o, " heapprofile\n");
}

static void address(struct out *o, uintptr_t a) { out_printf(o, " 0x%llx", (unsigned long long)a); }

/* The Perl script passes over a record without any address. */
static void record(struct out *o, const struct legacy_record *r)
{
    counts(o, r);
    address(o, r->depth && r->stack[0] > 1 ? r->stack[0] - 1 : 1);
    for (size_t i = 1; i < least_of(r->depth, DEEPEST); i++)
        address(o, r->stack[i]);
    out_printf(o, "\n");
}

static void number(struct out *o, const char *name, uint64_t v)
{
    out_printf(o, "# %s = %llu\n", name, (unsigned long long)v);
}

static void pair(struct out *o, const char *name, uint64_t inuse, uint64_t sys)
{
    out_printf(o, "# %s = %llu / %llu\n", name, (unsigned long long)inuse, (unsigned long long)sys);
}

static void list(struct out *o, const char *name, const uint64_t *v, size_t n)
{
    out_printf(o, "# %s = [", name);
    for (size_t i = 0; i < n; i++)
        out_printf(o, "%s%llu", i ? " " : "", (unsigned long long)v[i]);
    out_printf(o, "]\n");
}

/* Not with %f: a program's locale may have a decimal comma. */
static void fraction(struct out *o, const char *name, double f)
{
    unsigned millionths = f >= 1 ? 1000000 : f > 0 ? (unsigned)(f * 1e6) : 0;
    out_printf(o, "# %s = %u.%06u\n", name, millionths / 1000000, millionths % 1000000);
}

static void by_size(struct out *o, const struct gc_memstats *st)
{
    out_printf(o, "# BySize = [");
    for (size_t i = 0; i < sizeof st->by_size / sizeof *st->by_size; i++) {
        const struct gc_by_size *b = &st->by_size[i];
        out_printf(o, "%s{%llu %llu %llu}", i ? " " : "", (unsigned long long)b->size, (unsigned long long)b->mallocs,
                   (unsigned long long)b->frees);
    }
    out_printf(o, "]\n");
}

static void sizes(struct out *o, const struct gc_memstats *st)
{
    number(o, "Alloc", st->alloc);
    number(o, "TotalAlloc", st->total_alloc);
    number(o, "Sys", st->sys);
    number(o, "Lookups", st->lookups);
    number(o, "Mallocs", st->mallocs);
    number(o, "Frees", st->frees);
    number(o, "HeapAlloc", st->heap_alloc);
    number(o, "HeapSys", st->heap_sys);
    number(o, "HeapIdle", st->heap_idle);
    number(o, "HeapInuse", st->heap_inuse);
    number(o, "HeapReleased", st->heap_released);
    number(o, "HeapObjects", st->heap_objects);
    pair(o, "Stack", st->stack_inuse, st->stack_sys);
    pair(o, "MSpan", st->mspan_inuse, st->mspan_sys);
    pair(o, "MCache", st->mcache_inuse, st->mcache_sys);
    number(o, "BuckHashSys", st->buckhash_sys);
    number(o, "GCSys", st->gc_sys);
    number(o, "OtherSys", st->other_sys);
}

static void memstats(struct out *o, const struct gc_memstats *st)
{
    out_printf(o, "\n# runtime.MemStats\n");
    sizes(o, st);
    number(o, "NextGC", st->next_gc);
    number(o, "LastGC", st->last_gc);
    number(o, "PauseTotalNs", st->pause_total_ns);
    list(o, "PauseNs", st->pause_ns, sizeof st->pause_ns / sizeof *st->pause_ns);
    list(o, "PauseEnd", st->pause_end, sizeof st->pause_end / sizeof *st->pause_end);
    number(o, "NumGC", st->num_gc);
    number(o, "NumForcedGC", st->num_forced_gc);
    fraction(o, "GCCPUFraction", st->gc_cpu_fraction);
    by_size(o, st);
}

/* Without /proc the profile is still one; only the names of places in it are lost. */
static void memory_map(struct out *o)
{
    out_printf(o, "\nMAPPED_LIBRARIES:\n");
    out_flush(o);
    int maps = os_file_open("/proc/self/maps");
    if (maps < 0)
        return;
    for (long n; o->error == 0 && (n = os_file_read(maps, o->text, sizeof o->text)) > 0; out_flush(o))
        o->n = (size_t)n;
    os_file_close(maps);
}

int legacyprofile_write(int fd, uint64_t rate, const struct legacy_record *r, size_t n, const struct gc_memstats *st)
{
    struct out out, *o = out_begin(&out, fd);
    head(o, rate, r, n);
    for (size_t i = 0; i < n && o->error == 0; i++)
        record(o, &r[i]);
    memstats(o, st);
    memory_map(o);
    return out_end(o) ? 0 : -1;
}
