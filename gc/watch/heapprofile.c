/* heapprofile.c - from samples to estimates, and out.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .estimate  an object of n bytes is sampled with probability 1 - exp(-n / rate), so each that was stands for the
 *                    inverse of it
 * Below:  buckets, pprof, legacyprofile.   Above: api/profile.c. */
#include "watch/heapprofile.h"

#include "os/os.h"
#include "watch/legacyprofile.h"
#include "watch/pprof.h"

#include <errno.h>
#include <stdlib.h>

/* 1 - exp(-x) for x >= 0, without libm, which no small program would load else: of x / 2^n by its series, then doubled. */
static double sampled_share(double x)
{
    int doublings = 0;
    for (; x > 0x1p-10; x /= 2)
        doublings++;
    double share = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4)));
    while (doublings-- > 0)
        share *= 2 - share;
    return share;
}

double heapprofile_scale(const struct bucket *b)
{
    if (b->rate <= 1)
        return 1;
    return 1 / sampled_share((double)b->object_bytes / (double)b->rate);
}

static uint64_t in_use(const struct bucket_counts *c) { return c->allocs - c->freed - c->collected; }

static uint64_t scaled(uint64_t n, double scale) { return (uint64_t)((double)n * scale + 0.5); }

static int write_pprof(int fd, const struct heapprofile *p)
{
    struct pprof *out = pprof_begin(fd, sampler_rate(), os_wall_ns(), 0);
    for (size_t i = 0; i < p->n; i++) {
        const struct bucket *b = p->figures[i].bucket;
        const struct bucket_counts *c = &p->figures[i].counts;
        double scale = heapprofile_scale(b);
        uint64_t bytes = b->object_bytes;
        struct pprof_record r = {.stack = b->stack,
                                 .depth = b->depth,
                                 .alloc_objects = scaled(c->allocs, scale),
                                 .alloc_bytes = scaled(c->allocs * bytes, scale),
                                 .inuse_objects = scaled(in_use(c), scale),
                                 .inuse_bytes = scaled(in_use(c) * bytes, scale),
                                 .object_bytes = bytes};
        pprof_record(out, &r);
    }
    return pprof_end(out);
}

/* The text says one rate for all, by which its readers scale; what was sampled at another is given as if it had not. */
static double relative_scale(const struct bucket *b, uint64_t rate)
{
    struct bucket other = {.object_bytes = b->object_bytes, .rate = rate};
    return b->rate == rate ? 1 : heapprofile_scale(b) / heapprofile_scale(&other);
}

static int write_text(int fd, const struct heapprofile *p, const struct gc_memstats *st)
{
    uint64_t rate = sampler_rate() ? sampler_rate() : 1;
    struct legacy_record *r = malloc((p->n + 1) * sizeof *r);
    if (!r)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        const struct bucket *b = p->figures[i].bucket;
        const struct bucket_counts *c = &p->figures[i].counts;
        double scale = relative_scale(b, rate);
        uint64_t allocs = scaled(c->allocs, scale), inuse = scaled(in_use(c), scale);
        r[i] = (struct legacy_record){.stack = b->stack,
                                      .depth = b->depth,
                                      .allocs = allocs,
                                      .alloc_bytes = allocs * b->object_bytes,
                                      .inuse = inuse,
                                      .inuse_bytes = inuse * b->object_bytes};
    }
    int result = legacyprofile_write(fd, rate, r, p->n, st);
    int e = errno;
    free(r);
    errno = e;
    return result;
}

int heapprofile_write(int fd, enum gc_profile_format format, const struct heapprofile *p, const struct gc_memstats *st)
{
    return format == GC_SPAN_PROFILE_TEXT ? write_text(fd, p, st) : write_pprof(fd, p);
}
