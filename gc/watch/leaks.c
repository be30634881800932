/* leaks.c - the collected of each stack, in words.
 * Owns:   nothing.
 * Locks:  none of ours; names are looked up.
 * Below:  buckets, heapprofile (estimates), explain (names).   Above: api/atexit.c. */
#include "watch/leaks.h"

#include "watch/explain.h"
#include "watch/heapprofile.h"
#include "watch/out.h"

#include <stdlib.h>

static uint64_t leaked_objects(const struct bucket_figures *f)
{
    return (uint64_t)((double)f->counts.collected * heapprofile_scale(f->bucket) + 0.5);
}

static uint64_t leaked_bytes(const struct bucket_figures *f) { return leaked_objects(f) * f->bucket->object_bytes; }

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = leaked_bytes(a), y = leaked_bytes(b);
    return x < y ? 1 : x > y ? -1 : 0;
}

static void add_place(struct out *o, const struct bucket_figures *f)
{
    uint64_t n = leaked_objects(f);
    out_printf(o, "%llu bytes in %llu object%s of %llu, allocated by\n", (unsigned long long)leaked_bytes(f),
               (unsigned long long)n, n == 1 ? "" : "s", (unsigned long long)f->bucket->object_bytes);
    explain_frames(o, f->bucket);
}

bool leaks_write(int fd, struct bucket_figures *f, size_t n, uint64_t *objects)
{
    struct out out, *o = out_begin(&out, fd);
    uint64_t bytes = 0, places = 0, sampled = 0;
    *objects = 0;
    qsort(f, n, sizeof *f, by_bytes);
    for (; places < n && f[places].counts.collected > 0; places++) {
        *objects += leaked_objects(&f[places]);
        bytes += leaked_bytes(&f[places]);
        sampled |= f[places].bucket->rate > 1;
    }
    if (places == 0)
        out_printf(o, "spangc: no leak: nothing became unreachable without gc_free\n");
    else
        out_printf(
            o, "spangc: %s%llu bytes in %llu objects, allocated in %llu places, became unreachable without gc_free\n",
            sampled ? "about " : "", (unsigned long long)bytes, (unsigned long long)*objects,
            (unsigned long long)places);
    for (uint64_t i = 0; i < places; i++)
        add_place(o, &f[i]);
    return out_end(o);
}
