/* os_image.c - the writable segments of the program and its libraries, with the list of images held still. */
#include "../check_main.h"

#include "os/os.h"

#include <stdlib.h>

int in_data = 1;
int in_bss;
const int in_rodata = 1;
static int calls, segments;

struct search {
    uintptr_t p;
    int found;
};

static void look(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct search *s = arg;
    ck_assert_uint_lt(lo, hi);
    segments++;
    s->found += s->p >= lo && s->p < hi;
}

static void search(void *arg)
{
    calls++;
    os_each_segment(look, arg);
}

static int times_found(const void *p)
{
    struct search s = {(uintptr_t)p, 0};
    os_with_images_still(search, &s);
    return s.found;
}

START_TEST(program)
{
    ck_assert_int_eq(times_found(&in_data), 1);
    ck_assert_int_eq(times_found(&in_bss), 1);
    ck_assert_int_eq(times_found((char *)(&in_bss + 1) - 1), 1);
    ck_assert_int_eq(times_found(&in_rodata), 0);
    ck_assert_int_eq(times_found((const void *)(uintptr_t)look), 0);
}
END_TEST

/* environ and stderr are data of the C library (or copies of them in the program). */
START_TEST(libraries)
{
    extern char **environ;
    ck_assert_int_eq(times_found(&environ), 1);
    ck_assert_int_eq(times_found(stderr), 1);
    ck_assert_int_ge(segments, 4);
}
END_TEST

START_TEST(not_memory_of_malloc_or_stack)
{
    int local = 0;
    void *p = malloc(100);
    ck_assert_int_eq(times_found(&local), 0);
    ck_assert_int_eq(times_found(p), 0);
    free(p);
}
END_TEST

static void nest(void *depth)
{
    ++*(int *)depth;
    if (*(int *)depth < 5)
        os_with_images_still(nest, depth);
}

/* .still: called once, also from within itself. */
START_TEST(once)
{
    int depth = 0;
    times_found(&in_data);
    ck_assert_int_eq(calls, 1);
    os_with_images_still(nest, &depth);
    ck_assert_int_eq(depth, 5);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, program);
    tcase_add_test(tc, libraries);
    tcase_add_test(tc, not_memory_of_malloc_or_stack);
    tcase_add_test(tc, once);
}
CHECK_MAIN("unit/os_image", tests)
