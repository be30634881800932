/* report.h - how the library speaks: one line on standard error, each line one write(2), so that lines of several
 * threads do not mix. Uses no stdio stream and no malloc. */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "base/attr.h"

typedef void (*report_warn_fn)(const char *message);

/* Writes "spangc: ", the text and a newline; errno is kept. */
void report_line(const char *format, ...) PRINTF(1, 2);

/* Writes all of the text, whatever signals come; false with the errno of write(2) when it cannot. */
bool report_write(int fd, const char *text, size_t n);

/* Writes the text as it is, no prefix: traces. */
void report_text(const char *text, size_t n);

/* Tells the program's warn handler, or report_line without one. No lock of the library may be held. */
void report_warn(const char *format, ...) PRINTF(1, 2);

/* Writes the line and aborts: the program or the library is wrong and going on would do damage. */
_Noreturn void report_fatal(const char *format, ...) PRINTF(1, 2);

report_warn_fn report_set_warn(report_warn_fn fn);
report_warn_fn report_get_warn(void);

#endif
