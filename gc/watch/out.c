/* out.c - formatting and writing, with no stdio stream.
 * Owns:   nothing.
 * Locks:  none.
 * Keeps:  .first  the first error is the one that is told, and nothing is written after it
 * Below:  report.   Above: explain, leaks, guard, legacyprofile. */
#include "watch/out.h"

#include "base/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void out_flush(struct out *o)
{
    if (!o->error && !report_write(o->fd, o->text, o->n))
        o->error = errno;
    o->n = 0;
}

static bool add(struct out *o, const char *format, va_list ap)
{
    size_t room = sizeof o->text - o->n;
    int n = vsnprintf(o->text + o->n, room, format, ap);
    if (n < 0 || (size_t)n >= room)
        return false;
    o->n += (size_t)n;
    return true;
}

void out_printf(struct out *o, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    if (!add(o, format, ap)) {
        out_flush(o);
        if (!add(o, format, again))
            o->n = sizeof o->text - 1;
    }
    va_end(again);
    va_end(ap);
}

bool out_end(struct out *o)
{
    out_flush(o);
    if (o->error)
        errno = o->error;
    return !o->error;
}
