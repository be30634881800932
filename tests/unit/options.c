/* options.c - what the environment may say, what it may not, and that a value not understood changes nothing. */
#include "../check_main.h"

#include "base/options.h"

#include <string.h>

static struct options opt;
static struct options_error err;

static void setup(void)
{
    options_defaults(&opt);
    memset(&err, 0, sizeof err);
}

START_TEST(defaults)
{
    ck_assert_int_eq(opt.percent, 100);
    ck_assert_uint_eq(opt.mem_limit, OPTIONS_LIMIT_NONE);
    ck_assert_int_eq(opt.gctrace, 0);
    ck_assert_int_eq(opt.help, 0);
    ck_assert_int_eq(opt.stopwait, 10000);
    ck_assert_int_eq(opt.sweeper, 1);
}
END_TEST

static const struct {
    const char *text;
    int percent;
} percents[] = {{"off", OPTIONS_PERCENT_OFF}, {"0", 0}, {"1", 1}, {"100", 100}, {"0250", 250}, {"1000000", 1000000}};

START_TEST(good_percent)
{
    opt.percent = 77;
    ck_assert(options_parse_percent(&opt, percents[_i].text, &err));
    ck_assert_int_eq(opt.percent, percents[_i].percent);
    ck_assert_str_eq(err.text, "");
}
END_TEST

static const char *const bad_percents[] = {"",
                                           "1000001",
                                           "-1",
                                           "-0",
                                           "-100",
                                           "+5",
                                           " 5",
                                           "5 ",
                                           "100%",
                                           "abc",
                                           "0x10",
                                           "1e3",
                                           "1.5",
                                           "OFF",
                                           "offf",
                                           "-",
                                           "--1",
                                           "1,2",
                                           "١",
                                           "5\n5",
                                           "of",
                                           "2147483648",
                                           "4294967396",
                                           "18446744073709551716",
                                           "99999999999999999999999999999999999"};

/* .default */
START_TEST(bad_percent)
{
    opt.percent = 77;
    ck_assert(!options_parse_percent(&opt, bad_percents[_i], &err));
    ck_assert_int_eq(opt.percent, 77);
    ck_assert_msg(strstr(err.text, "SPANGC_PERCENT=") == err.text && strstr(err.text, "using 77"), "%s", err.text);
}
END_TEST

static const struct {
    const char *text;
    uint64_t limit;
} limits[] = {{"off", OPTIONS_LIMIT_NONE},
              {"1", 1},
              {"512", 512},
              {"512B", 512},
              {"3KiB", 3 << 10},
              {"512MiB", 512 << 20},
              {"007GiB", UINT64_C(7) << 30},
              {"2TiB", UINT64_C(2) << 40},
              {"16777215TiB", UINT64_C(16777215) << 40},
              {"18014398509481983KiB", UINT64_C(18014398509481983) << 10},
              {"18446744073709551614", UINT64_MAX - 1}};

START_TEST(good_limit)
{
    opt.mem_limit = 5;
    ck_assert(options_parse_limit(&opt, limits[_i].text, &err));
    ck_assert_uint_eq(opt.mem_limit, limits[_i].limit);
}
END_TEST

static const char *const bad_limits[] = {"",
                                         "0",
                                         "0KiB",
                                         "-1",
                                         "-1MiB",
                                         "+1",
                                         " 1",
                                         "1 MiB",
                                         "1MiB ",
                                         "512QiB",
                                         "512MB",
                                         "512m",
                                         "512mib",
                                         "1.5GiB",
                                         "1e9",
                                         "0x1000",
                                         "MiB",
                                         "16777216TiB",
                                         "1MiBMiB",
                                         "offline",
                                         "1PiB",
                                         "unlimited",
                                         "18446744073709551616",
                                         "18014398509481984KiB",
                                         "99999999999999999999999TiB"};

/* .default */
START_TEST(bad_limit)
{
    opt.mem_limit = 12345;
    ck_assert(!options_parse_limit(&opt, bad_limits[_i], &err));
    ck_assert_uint_eq(opt.mem_limit, 12345);
    ck_assert_msg(strstr(err.text, "SPANGC_MEMLIMIT=") == err.text, "%s", err.text);
}
END_TEST

/* Parses a whole SPANGC_DEBUG; returns how many items were refused. */
static int parse_debug(const char *text)
{
    int refused = 0, items = 0;
    for (const char *rest = text; *rest; items++) {
        ck_assert_int_lt(items, 100);
        refused += !options_parse_debug(&opt, &rest, &err);
    }
    return refused;
}

START_TEST(debug_list)
{
    ck_assert_int_eq(parse_debug("gctrace=1,sweeper=0,stopwait=250"), 0);
    ck_assert_int_eq(opt.gctrace, 1);
    ck_assert_int_eq(opt.sweeper, 0);
    ck_assert_int_eq(opt.stopwait, 250);
    ck_assert_int_eq(opt.help, 0);
    ck_assert_int_eq(parse_debug("gctrace=0,gctrace=1,gctrace=0"), 0);
    ck_assert_int_eq(opt.gctrace, 0);
}
END_TEST

START_TEST(debug_empty_items)
{
    ck_assert_int_eq(parse_debug(""), 0);
    ck_assert_int_eq(parse_debug(","), 0);
    ck_assert_int_eq(parse_debug(",,gctrace=1,,"), 0);
    ck_assert_int_eq(opt.gctrace, 1);
}
END_TEST

static const char *const bad_items[] = {"gctrace",
                                        "gctrace=",
                                        "gctrace=2",
                                        "gctrace=-1",
                                        "gctrace=1x",
                                        "gctrace==1",
                                        "=1",
                                        "=",
                                        "bogus=1",
                                        "gctr=1",
                                        "gctracee=1",
                                        " gctrace=1",
                                        "GCTRACE=1",
                                        "gctrace =1",
                                        "gctrace= 1",
                                        "stopwait=0",
                                        "stopwait=3600001",
                                        "stopwait=4294977296",
                                        "stopwait=99999999999999999999999999999999",
                                        "percent=50",
                                        "mem_limit=1"};

/* .default: a bad item is named, and neither it nor its neighbours do harm. */
START_TEST(debug_bad_item)
{
    char text[200];
    snprintf(text, sizeof text, "help=1,%s,sweeper=0", bad_items[_i]);
    ck_assert_int_eq(parse_debug(text), 1);
    ck_assert_msg(strstr(err.text, bad_items[_i]) != NULL, "%s", err.text);
    ck_assert_int_eq(opt.help, 1);
    ck_assert_int_eq(opt.sweeper, 0);
    ck_assert_int_eq(opt.gctrace, 0);
    ck_assert_int_eq(opt.stopwait, 10000);
    ck_assert_int_eq(opt.percent, 100);
}
END_TEST

/* What is said of a value of any length fits one line. */
START_TEST(long_values)
{
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    const char *rest = text;
    ck_assert(!options_parse_percent(&opt, text, &err));
    ck_assert_ptr_nonnull(memchr(err.text, 0, sizeof err.text));
    ck_assert_ptr_nonnull(strstr(err.text, "using 100"));
    ck_assert(!options_parse_limit(&opt, text, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "using no limit"));
    ck_assert(!options_parse_debug(&opt, &rest, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "ignored"));
    ck_assert_str_eq(rest, "");
}
END_TEST

/* A text is taken as it is up to the comma, if it fits and is not empty. */
START_TEST(texts)
{
    char text[400] = "trace=";
    const char *rest = "gctrace=1,trace=a/b c=.json,stopwait=7";
    while (*rest)
        ck_assert(options_parse_debug(&opt, &rest, &err));
    ck_assert_str_eq(opt.trace, "a/b c=.json");
    ck_assert_int_eq(opt.gctrace, 1);
    ck_assert_int_eq(opt.stopwait, 7);
    memset(text + 6, 'x', OPTIONS_TEXT - 1);
    rest = text;
    ck_assert(options_parse_debug(&opt, &rest, &err));
    ck_assert_uint_eq(strlen(opt.trace), OPTIONS_TEXT - 1);
    text[6 + OPTIONS_TEXT - 1] = 'y';
    rest = text;
    ck_assert(!options_parse_debug(&opt, &rest, &err));
    rest = "trace=";
    ck_assert(!options_parse_debug(&opt, &rest, &err));
    ck_assert_uint_eq(strspn(opt.trace, "x"), OPTIONS_TEXT - 1);
}
END_TEST

static bool in_range(const struct options *o)
{
#define OPTION(name, def, lo, hi, help) &&o->name >= (lo) && o->name <= (hi)
#define TEXT(name, help)                &&memchr(o->name, 0, OPTIONS_TEXT) != NULL
    return o->percent >= OPTIONS_PERCENT_OFF && o->percent <= OPTIONS_PERCENT_MAX
#include "base/options.def"
        ;
#undef OPTION
#undef TEXT
}

/* Made of the pieces that the grammar has, in any order: nothing gets out of its range, the end is always reached. */
START_TEST(any_text)
{
    static const char *const pieces[] = {"gctrace", "=",   "1",   ",", "stopwait", "0",
                                         "-",       "off", "KiB", "9", "help",     "trace"};
    uint32_t x = 1;
    for (int i = 0; i < 20000; i++) {
        char text[128] = "";
        for (int n = i % 12; n > 0; n--) {
            x = x * 1664525 + 1013904223;
            strcat(text, pieces[(x >> 16) % (sizeof pieces / sizeof *pieces)]);
        }
        options_parse_percent(&opt, text, &err);
        options_parse_limit(&opt, text, &err);
        for (const char *rest = text; *rest;)
            options_parse_debug(&opt, &rest, &err);
        if (!in_range(&opt) || opt.mem_limit == 0)
            ck_abort_msg("out of range after \"%s\"", text);
    }
}
END_TEST

START_TEST(help)
{
    static const char *const names[] = {
#define OPTION(name, def, lo, hi, help) "  " #name "=" #def " (" #lo ".." #hi ") ",
#define TEXT(name, help)                "  " #name "=" help "\n",
#include "base/options.def"
#undef OPTION
#undef TEXT
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(strstr(options_help(), names[i]) != NULL, "%s is not in the help", names[i]);
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static void tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, defaults);
    tcase_add_loop_test(tc, good_percent, 0, COUNT(percents));
    tcase_add_loop_test(tc, bad_percent, 0, COUNT(bad_percents));
    tcase_add_loop_test(tc, good_limit, 0, COUNT(limits));
    tcase_add_loop_test(tc, bad_limit, 0, COUNT(bad_limits));
    tcase_add_test(tc, debug_list);
    tcase_add_test(tc, debug_empty_items);
    tcase_add_loop_test(tc, debug_bad_item, 0, COUNT(bad_items));
    tcase_add_test(tc, long_values);
    tcase_add_test(tc, any_text);
    tcase_add_test(tc, texts);
    tcase_add_test(tc, help);
}
CHECK_MAIN("unit/options", tests)
