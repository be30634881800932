/* check_main.h - the main of a test program. A program is:
 *
 *     #include "../check_main.h"
 *
 *     START_TEST(adds)
 *     {
 *         ck_assert_int_eq(1 + 1, 2);
 *     }
 *     END_TEST
 *
 *     static void tests(TCase *tc)
 *     {
 *         tcase_add_test(tc, adds);
 *         tcase_add_loop_test(tc, each, 0, 10);
 *         tcase_add_test_raise_signal(tc, must_abort, SIGABRT);
 *     }
 *     CHECK_MAIN("unit/sums", tests)
 *
 * Check runs each test in a child of its own, so each starts on a fresh heap and a crash costs one test. The results go
 * to standard output as TAP; a test prints to standard error only. Every ck_assert is a system call, even one that
 * holds: in a long loop, write `if (wrong) ck_abort_msg(...)`. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* A number from the environment, or `otherwise`. */
static inline unsigned long check_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

static inline int check_main(const char *name, void (*add_tests)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    add_tests(tc);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    /* By hand, without the Makefile's environment: plain text, every test named. */
    srunner_run_all(runner, srunner_has_tap(runner) ? CK_SILENT : CK_VERBOSE);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define CHECK_MAIN(name, add_tests)                                                                                    \
    int main(void) { return check_main(name, add_tests); }

#endif
