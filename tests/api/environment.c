/* environment.c - SPANGC_PERCENT, SPANGC_MEMLIMIT and SPANGC_DEBUG, read at start: each scene is a process of its own.
 * A wrong value is one line that names it, and the default is used. Holds options.default. */
#include "helpers.h"

static int print_settings(void)
{
    dprintf(STDERR_FILENO, "[percent %d limit %llu]\n", gc_get_percent(), (unsigned long long)gc_get_memory_limit());
    return 0;
}

static int collect_3(void)
{
    static void *held[1000];
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < 1000; k++)
            held[k] = make_filled(100, k);
        launder(held);
        gc_collect();
    }
    return 0;
}

static int collect_as_due(void)
{
    for (int i = 0; i < 300000; i++)
        launder(gc_malloc(64));
    return 0;
}

static int play(const char *scene)
{
    return strcmp(scene, "settings") == 0 ? print_settings()
           : strcmp(scene, "due") == 0    ? collect_as_due()
                                          : collect_3();
}

static const char *const *env(const char *one)
{
    static const char *list[2];
    list[0] = one;
    return list;
}

/* The settings that one variable leads to, and nothing else said. */
static void gives(const char *variable, const char *settings)
{
    struct outcome o;
    run_scene("settings", env(variable), &o);
    must_exit_0(&o);
    if (strcmp(o.text, settings) != 0)
        ck_abort_msg("%s gave %s, not %s", variable, o.text, settings);
}

/* One line that begins with "spangc: " and holds the value, and the defaults. */
static void is_refused(const char *variable, const char *said)
{
    struct outcome o;
    run_scene("settings", env(variable), &o);
    must_exit_0(&o);
    const char *settings = strstr(o.text, "[percent 100 limit 18446744073709551615]\n");
    if (!settings || strncmp(o.text, "spangc: ", 8) != 0 || count_lines(o.text) != 2 || !strstr(o.text, said))
        ck_abort_msg("%s gave %s", variable, o.text);
}

START_TEST(nothing_set) { gives("NOTHING=1", "[percent 100 limit 18446744073709551615]\n"); }
END_TEST

START_TEST(percent)
{
    gives("SPANGC_PERCENT=200", "[percent 200 limit 18446744073709551615]\n");
    gives("SPANGC_PERCENT=0", "[percent 0 limit 18446744073709551615]\n");
    gives("SPANGC_PERCENT=1000000", "[percent 1000000 limit 18446744073709551615]\n");
    gives("SPANGC_PERCENT=off", "[percent -1 limit 18446744073709551615]\n");
}
END_TEST

START_TEST(wrong_percent)
{
    static const char *const wrong[] = {"garbage", "-5",  "-1",  "1000001", "99999999999999999999", "10x", "1e3", " 5",
                                        "0x10",    "OFF", "12 ", "+7"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char variable[64], said[64];
        snprintf(variable, sizeof variable, "SPANGC_PERCENT=%s", wrong[i]);
        snprintf(said, sizeof said, "SPANGC_PERCENT=%s", wrong[i]);
        is_refused(variable, said);
    }
}
END_TEST

START_TEST(memory_limit)
{
    gives("SPANGC_MEMLIMIT=64MiB", "[percent 100 limit 67108864]\n");
    gives("SPANGC_MEMLIMIT=1GiB", "[percent 100 limit 1073741824]\n");
    gives("SPANGC_MEMLIMIT=2TiB", "[percent 100 limit 2199023255552]\n");
    gives("SPANGC_MEMLIMIT=300KiB", "[percent 100 limit 307200]\n");
    gives("SPANGC_MEMLIMIT=12345678", "[percent 100 limit 12345678]\n");
    gives("SPANGC_MEMLIMIT=12345678B", "[percent 100 limit 12345678]\n");
    gives("SPANGC_MEMLIMIT=off", "[percent 100 limit 18446744073709551615]\n");
}
END_TEST

START_TEST(wrong_memory_limit)
{
    static const char *const wrong[] = {"much",
                                        "-1",
                                        "0",
                                        "0MiB",
                                        "64MB",
                                        "64M",
                                        "64mib",
                                        "64 MiB",
                                        "1.5GiB",
                                        "MiB",
                                        "99999999999TiB",
                                        "64MiBs",
                                        "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "SPANGC_MEMLIMIT=%s", wrong[i]);
        is_refused(variable, variable);
    }
}
END_TEST

START_TEST(wrong_debug)
{
    static const char *const wrong[] = {"nonsense",    "gctrace",    "gctrace=", "gctrace=2",
                                        "gctrace=x",   "gctracex=1", "=1",       "stopwait=0",
                                        "stopwait=-1", "gctrace=1x", "GCTRACE=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "SPANGC_DEBUG=%s", wrong[i]);
        is_refused(variable, wrong[i]);
    }
}
END_TEST

/* Of a list, what is understood is taken; each wrong item is a line. Empty items are nothing. */
START_TEST(debug_list)
{
    struct outcome o;
    run_scene("collect", env("SPANGC_DEBUG=wrong=1,,gctrace=1,bad=x,sweeper=0,"), &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_of(o.text, "spangc: "), 2);
    ck_assert_ptr_nonnull(strstr(o.text, "wrong=1"));
    ck_assert_ptr_nonnull(strstr(o.text, "bad=x"));
    ck_assert_uint_eq(count_of(o.text, "gc 1 @"), 1);
}
END_TEST

START_TEST(empty_is_unset)
{
    struct outcome o;
    run_scene("settings", env("SPANGC_DEBUG="), &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "[percent 100 limit 18446744073709551615]\n");
}
END_TEST

/* The keys, a line each, with what they mean. */
START_TEST(help)
{
    static const char *const keys[] = {"gctrace=", "help=", "stopwait=", "sweeper="};
    struct outcome o;
    run_scene("settings", env("SPANGC_DEBUG=help=1"), &o);
    must_exit_0(&o);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strstr(o.text, keys[i]))
            ck_abort_msg("%s is not in: %s", keys[i], o.text);
    ck_assert_uint_ge(count_lines(o.text), 5);
}
END_TEST

/* gc NUMBER @TIMEs PERCENT%: stop S mark M restart R ms ..., heap BEFORE -> LIVE -> GOAL goal B, footprint F B,
 * N threads */
static void check_trace_line(const char *line, unsigned number, bool forced)
{
    unsigned n = 0, threads = 0;
    int share = -1, used = 0;
    double at = -1, stop = -1, mark = -1, restart = -1, pause = -1, cpu = -1;
    unsigned long long before = 0, live = 0, goal = 0, footprint = 0;
    int got = sscanf(
        line,
        "gc %u @%lfs %d%%: stop %lf mark %lf restart %lf ms pause %lf ms, cpu %lf ms, heap %llu -> %llu -> "
        "%llu goal B, footprint %llu B, %u threads%n",
        &n, &at, &share, &stop, &mark, &restart, &pause, &cpu, &before, &live, &goal, &footprint, &threads, &used);
    if (got != 13 || used == 0)
        ck_abort_msg("%d of 13 fields in: %s", got, line);
    ck_assert_uint_eq(n, number);
    ck_assert(at >= 0 && share >= 0 && share <= 100);
    ck_assert(stop >= 0 && mark > 0 && restart >= 0 && pause >= mark && cpu > 0);
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_gt(goal, live);
    ck_assert_uint_gt(footprint, live);
    ck_assert_uint_ge(threads, 1);
    ck_assert_int_eq(strcmp(line + used, forced ? " (forced)" : "") == 0, 1);
}

static unsigned check_trace(char *text, bool forced)
{
    unsigned n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        check_trace_line(line, ++n, forced);
    return n;
}

START_TEST(trace_forced)
{
    struct outcome o;
    run_scene("collect", env("SPANGC_DEBUG=gctrace=1"), &o);
    must_exit_0(&o);
    ck_assert_uint_eq(check_trace(o.text, true), 3);
}
END_TEST

START_TEST(trace_due)
{
    struct outcome o;
    run_scene("due", env("SPANGC_DEBUG=gctrace=1"), &o);
    must_exit_0(&o);
    ck_assert_uint_ge(check_trace(o.text, false), 3);
}
END_TEST

START_TEST(no_trace)
{
    struct outcome o;
    run_scene("due", env("SPANGC_DEBUG=gctrace=0"), &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

/* off: no collection but those asked for. */
START_TEST(percent_off)
{
    struct outcome o;
    putenv((char *)"SPANGC_DEBUG=gctrace=1");
    run_scene("due", env("SPANGC_PERCENT=off"), &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
    run_scene("collect", env("SPANGC_PERCENT=off"), &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_lines(o.text), 3);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, nothing_set);
    tcase_add_test(tc, percent);
    tcase_add_test(tc, wrong_percent);
    tcase_add_test(tc, memory_limit);
    tcase_add_test(tc, wrong_memory_limit);
    tcase_add_test(tc, wrong_debug);
    tcase_add_test(tc, debug_list);
    tcase_add_test(tc, empty_is_unset);
    tcase_add_test(tc, help);
    tcase_add_test(tc, trace_forced);
    tcase_add_test(tc, trace_due);
    tcase_add_test(tc, no_trace);
    tcase_add_test(tc, percent_off);
}

int main(int argc, char **argv) { return argc > 1 ? play(argv[1]) : check_main("api/environment", tests); }
