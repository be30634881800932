/* options.c - the options table and its parsers.
 * Owns:   nothing. Locks: none.
 * Keeps:  .default  a value that is not understood leaves the option at what it was, and says so (options_test)
 * Below:  the C library.   Above: api/init. */
#include "base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* hi < lo: its value is text. */
struct entry {
    const char *name;
    size_t offset;
    int def, lo, hi;
};

static const struct entry table[] = {
#define OPTION(name, def, lo, hi, help) {#name, offsetof(struct options, name), def, lo, hi},
#define TEXT(name, help)                {#name, offsetof(struct options, name), 0, 0, -1},
#include "base/options.def"
#undef OPTION
#undef TEXT
};

static const char help_text[] = "SPANGC_DEBUG takes a list of key=value, separated by commas:\n"
#define OPTION(name, def, lo, hi, help) "  " #name "=" #def " (" #lo ".." #hi ") " help "\n"
#define TEXT(name, help)                "  " #name "=" help "\n"
#include "base/options.def"
#undef OPTION
#undef TEXT
    ;

const char *options_help(void) { return help_text; }

static char *text_field(struct options *o, const struct entry *en) { return (char *)o + en->offset; }
static int *field(struct options *o, const struct entry *en) { return (int *)(void *)text_field(o, en); }
static bool is_text(const struct entry *en) { return en->hi < en->lo; }

void options_defaults(struct options *o)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (is_text(&table[i]))
            *text_field(o, &table[i]) = 0;
        else
            *field(o, &table[i]) = table[i].def;
    o->percent = 100;
    o->mem_limit = OPTIONS_LIMIT_NONE;
}

/* A whole decimal number in [lo, hi] and nothing after it. */
static bool parse_int(const char *text, size_t n, long lo, long hi, long *out)
{
    char digits[16], *end;
    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    digits[n] = 0;
    if (digits[0] < '0' || digits[0] > '9') /* no option takes a negative number */
        return false;
    long v = strtol(digits, &end, 10);
    if (*end || end == digits || v < lo || v > hi)
        return false;
    *out = v;
    return true;
}

bool options_parse_percent(struct options *o, const char *text, struct options_error *e)
{
    long v;
    if (strcmp(text, "off") == 0) {
        o->percent = OPTIONS_PERCENT_OFF;
        return true;
    }
    if (parse_int(text, strlen(text), 0, OPTIONS_PERCENT_MAX, &v)) {
        o->percent = (int)v;
        return true;
    }
    snprintf(e->text, sizeof e->text, "SPANGC_PERCENT=%.40s is neither \"off\" nor a number from 0 to %d; using %d",
             text, OPTIONS_PERCENT_MAX, o->percent);
    return false;
}

static int unit_shift(const char *unit)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].shift;
    return -1;
}

bool options_parse_limit(struct options *o, const char *text, struct options_error *e)
{
    if (strcmp(text, "off") == 0) {
        o->mem_limit = OPTIONS_LIMIT_NONE;
        return true;
    }
    if (strcmp(text, "auto") == 0) {
        o->mem_limit = OPTIONS_LIMIT_AUTO;
        return true;
    }
    if (text[0] >= '0' && text[0] <= '9') {
        char *unit;
        errno = 0;
        unsigned long long v = strtoull(text, &unit, 10);
        int shift = unit_shift(unit);
        if (errno == 0 && v > 0 && shift >= 0 && v <= (UINT64_MAX >> shift)) {
            o->mem_limit = (uint64_t)v << shift;
            return true;
        }
    }
    snprintf(e->text, sizeof e->text,
             "SPANGC_MEMLIMIT=%.40s is not \"off\", \"auto\" or a positive number of B, KiB, MiB, GiB or TiB; using no "
             "limit",
             text);
    return false;
}

static bool set(struct options *o, const struct entry *en, const char *value, size_t n)
{
    long v;
    if (is_text(en)) {
        if (n == 0 || n >= OPTIONS_TEXT)
            return false;
        memcpy(text_field(o, en), value, n);
        text_field(o, en)[n] = 0;
        return true;
    }
    if (!parse_int(value, n, en->lo, en->hi, &v))
        return false;
    *field(o, en) = (int)v;
    return true;
}

static bool apply(struct options *o, const char *item, size_t n)
{
    const char *eq = memchr(item, '=', n);
    if (!eq)
        return false;
    size_t key = (size_t)(eq - item);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == key && memcmp(table[i].name, item, key) == 0)
            return set(o, &table[i], eq + 1, n - key - 1);
    return false;
}

bool options_parse_debug(struct options *o, const char **rest, struct options_error *e)
{
    const char *item = *rest;
    size_t n = strcspn(item, ",");
    *rest = item + n + (item[n] == ',');
    if (n == 0 || apply(o, item, n))
        return true;
    snprintf(e->text, sizeof e->text, "SPANGC_DEBUG: \"%.*s\" is not a known key=value (help=1 lists them); ignored",
             n > 60 ? 60 : (int)n, item);
    return false;
}
