/* report.c - lines on standard error, warnings, and the end.
 * Owns:   the program's warn handler.
 * Locks:  none; the handler is one atomic word.
 * Keeps:  .oneline  a report is one write(2) of at most LINE bytes ending in a newline
 * Below:  the C library.   Above: everything. */
#include "base/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE = 512 };

static _Atomic(report_warn_fn) warn_handler;

bool report_write(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, text, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        text += w;
        n -= (size_t)w;
    }
    return true;
}

void report_text(const char *text, size_t n)
{
    int saved = errno;
    report_write(STDERR_FILENO, text, n);
    errno = saved;
}

/* What the environment says may hold anything; a report stays one line. */
static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = '?';
}

static void write_line(const char *format, va_list ap)
{
    char line[LINE];
    int saved = errno;
    size_t n = (size_t)snprintf(line, sizeof line, "spangc: ");
    int more = vsnprintf(line + n, sizeof line - n - 1, format, ap);
    if (more > 0)
        n += (size_t)more < sizeof line - n - 1 ? (size_t)more : sizeof line - n - 2;
    one_line(line);
    line[n++] = '\n';
    report_text(line, n);
    errno = saved;
}

void report_line(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    write_line(format, ap);
    va_end(ap);
}

void report_warn(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    report_warn_fn fn = atomic_load_explicit(&warn_handler, memory_order_acquire);
    if (fn) {
        char text[LINE];
        vsnprintf(text, sizeof text, format, ap);
        one_line(text);
        fn(text);
    } else {
        write_line(format, ap);
    }
    va_end(ap);
}

void report_fatal(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    write_line(format, ap);
    va_end(ap);
    abort();
}

report_warn_fn report_set_warn(report_warn_fn fn)
{
    return atomic_exchange_explicit(&warn_handler, fn, memory_order_acq_rel);
}

report_warn_fn report_get_warn(void) { return atomic_load_explicit(&warn_handler, memory_order_acquire); }
