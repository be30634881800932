/* gzip.c - a file written compressed.
 * Owns:   nothing; zlib's memory, from malloc, is one struct gzip's from begin to end.
 * Locks:  none.
 * Keeps:  .first  the first error is the one that is told, and nothing is written after it
 * Below:  zlib, report.   Above: pprof. */
#include "watch/gzip.h"

#include "base/report.h"

#include <errno.h>
#include <string.h>

enum { GZIP_WINDOW = 15 + 16, MEM_LEVEL = 8 }; /* zlib.h: the largest window; 16 asks for gzip's head and end */
enum { PART = 1 << 30 };                       /* zlib counts what it is given in 32 bits */

void gzip_fail(struct gzip *g, int error)
{
    if (g->error == 0)
        g->error = error;
}

void gzip_begin(struct gzip *g, int fd)
{
    memset(&g->z, 0, sizeof g->z);
    g->fd = fd;
    g->error = 0;
    if (deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        gzip_fail(g, ENOMEM);
}

/* All that zlib has been given; with Z_FINISH all that it has. */
static void drain(struct gzip *g, int flush)
{
    do {
        g->z.next_out = g->out;
        g->z.avail_out = sizeof g->out;
        deflate(&g->z, flush);
        size_t n = sizeof g->out - g->z.avail_out;
        if (!report_write(g->fd, (const char *)g->out, n))
            gzip_fail(g, errno);
    } while (g->z.avail_out == 0 && g->error == 0);
}

void gzip_add(struct gzip *g, const void *from, size_t n)
{
    const unsigned char *at = from;
    while (n > 0 && g->error == 0) {
        uInt part = (uInt)least_of(n, PART);
        g->z.next_in = (unsigned char *)(uintptr_t)at;
        g->z.avail_in = part;
        drain(g, Z_NO_FLUSH);
        at += part;
        n -= part;
    }
}

int gzip_end(struct gzip *g)
{
    if (g->error == 0) {
        g->z.avail_in = 0;
        drain(g, Z_FINISH);
    }
    deflateEnd(&g->z);
    return g->error;
}
