/* options.h - what the environment says, parsed. Pure functions of strings: the caller reads the environment. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/attr.h"

#define OPTIONS_TEXT        256 /* bytes, with the NUL */
#define OPTIONS_PERCENT_OFF (-1)
#define OPTIONS_PERCENT_MAX 1000000
#define OPTIONS_LIMIT_NONE  UINT64_MAX
#define OPTIONS_LIMIT_AUTO  (UINT64_MAX - 1)

struct options {
#define OPTION(name, def, lo, hi, help) int name;
#define TEXT(name, help)                char name[OPTIONS_TEXT];
#include "base/options.def"
#undef OPTION
#undef TEXT
    int percent;        /* OPTIONS_PERCENT_OFF or 0..OPTIONS_PERCENT_MAX */
    uint64_t mem_limit; /* bytes, OPTIONS_LIMIT_NONE, or _AUTO: the control group's */
};

/* What was wrong with the environment, for one clear line. */
struct options_error {
    char text[200];
};

void options_defaults(struct options *o);

/* Each returns false, fills *e and leaves the value alone when the text is not understood. */
bool options_parse_percent(struct options *o, const char *text, struct options_error *e);
bool options_parse_limit(struct options *o, const char *text, struct options_error *e);

/* Takes one "key=value" off the front of *rest and applies it; call while **rest is not NUL. */
bool options_parse_debug(struct options *o, const char **rest, struct options_error *e);

/* The table as text, a line a key. */
const char *options_help(void);

#endif
