/* string.c - strings in noscan memory.
 * Owns: nothing. Locks: none. Below: malloc. Above: the program. */
#include "api/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char *copy(const char *s, size_t n)
{
    char *p = gc_malloc_noscan(n + 1);
    if (!p)
        return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    gc_keep_alive(s);
    return p;
}

char *gc_strdup(const char *s) { return copy(s, strlen(s)); }
char *gc_strndup(const char *s, size_t n) { return copy(s, strnlen(s, n)); }

int gc_vasprintf(char **out, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    *out = NULL;
    char *p = n >= 0 ? gc_malloc_noscan((size_t)n + 1) : NULL;
    if (p && vsnprintf(p, (size_t)n + 1, format, again) == n)
        *out = p;
    va_end(again);
    return *out ? n : -1;
}

int gc_asprintf(char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = gc_vasprintf(out, format, args);
    va_end(args);
    return n;
}
