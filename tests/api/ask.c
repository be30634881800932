/* ask.c - gc_base, gc_usable_size, gc_is_noscan, the version and the features. */
#include "helpers.h"

static void ask(char *p, size_t size, int noscan)
{
    size_t usable = gc_usable_size(p);
    ck_assert_uint_ge(usable, size);
    for (size_t k = 0; k < usable; k += 1 + usable / 61) {
        if (gc_base(p + k) != p || gc_is_noscan(p + k) != noscan)
            ck_abort_msg("%zu bytes at %p: base of +%zu is %p, noscan %d", size, (void *)p, k, gc_base(p + k),
                         gc_is_noscan(p + k));
        if (k > 0 && gc_usable_size(p + k) != 0)
            ck_abort_msg("%zu bytes: usable size of +%zu is %zu", size, k, gc_usable_size(p + k));
    }
    ck_assert_ptr_eq(gc_base(p + usable - 1), p);
    ck_assert_ptr_ne(gc_base(p + usable), p);
}

static const size_t sizes[] = {1, 8, 15, 16, 48, 100, 1024, 3072, 20000, 32768, 32769, 100000, 1 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(objects)
{
    for (size_t i = 0; i < SIZES; i++) {
        for (int k = 0; k < 30; k++) {
            ask(gc_malloc(sizes[i]), sizes[i], 0);
            if (sizes[i] >= 16)
                ask(gc_malloc_noscan(sizes[i]), sizes[i], 1);
            ask(gc_aligned_alloc(128, sizes[i]), sizes[i], 0);
            ask(gc_aligned_alloc_noscan(16384, sizes[i]), sizes[i], 1);
            char *p = gc_malloc_uncollectable(sizes[i]), *q = gc_malloc_uncollectable_noscan(sizes[i]);
            ask(p, sizes[i], 0);
            ask(q, sizes[i], 1);
            gc_free(p);
            gc_free(q);
        }
    }
}
END_TEST

static char in_data[64];

static void is_none(const void *p)
{
    if (gc_base(p) || gc_usable_size(p) != 0 || gc_is_noscan(p) != -1)
        ck_abort_msg("%p: base %p, usable %zu, noscan %d", p, gc_base(p), gc_usable_size(p), gc_is_noscan(p));
}

START_TEST(no_object)
{
    char local, *heap = malloc(10);
    is_none(NULL);
    is_none(&local);
    is_none(heap);
    is_none(in_data);
    is_none((void *)1);
    is_none((void *)UINTPTR_MAX);
    for (uintptr_t p = 1; p; p <<= 1)
        is_none((void *)p);
    char *mine = gc_malloc(100);
    is_none(mine + (1 << 30));
    is_none((void *)((uintptr_t)mine | (uintptr_t)1 << 63));
    free(heap);
    gc_keep_alive(mine);
}
END_TEST

/* Slots of a span in use that were never handed out are no objects. */
START_TEST(unused_slots)
{
    char *p = gc_malloc(48), *end = (char *)((uintptr_t)p | 8191);
    size_t found = 0;
    for (char *q = (char *)((uintptr_t)p & ~(uintptr_t)8191); q < end; q++)
        found += gc_base(q) == q;
    ck_assert_uint_eq(found, 1);
}
END_TEST

/* Collected objects are none, from the moment gc_collect returns. */
static uintptr_t hidden[300];

static NOINLINE void hide_all(size_t size)
{
    for (int i = 0; i < 300; i++)
        hidden[i] = hide(gc_malloc(size));
}

START_TEST(collected)
{
    for (size_t i = 0; i < SIZES; i++) {
        int gone = 0;
        hide_all(sizes[i]);
        settle();
        for (int k = 0; k < 300; k++)
            gone += gc_base(reveal(hidden[k])) == NULL && gc_usable_size(reveal(hidden[k])) == 0 &&
                    gc_is_noscan(reveal(hidden[k])) == -1;
        ck_assert_int_ge(gone, 285);
    }
}
END_TEST

START_TEST(lookups_are_counted)
{
    uint64_t before = read_stats(&(struct gc_memstats){0})->lookups;
    char *p = gc_malloc(100);
    for (int i = 0; i < 100; i++) {
        gc_base(p + 5);
        gc_usable_size(p);
        gc_is_noscan(p);
    }
    gc_free(launder(gc_realloc(p, 1000)));
    uint64_t now = read_stats(&(struct gc_memstats){0})->lookups;
    ck_assert_uint_ge(now - before, 302);
    ck_assert_uint_le(now - before, 304);
}
END_TEST

START_TEST(version)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", GC_SPAN_VERSION_MAJOR, GC_SPAN_VERSION_MINOR, GC_SPAN_VERSION_PATCH);
    ck_assert_str_eq(gc_version(), text);
    ck_assert_ptr_eq(gc_version(), gc_version());
}
END_TEST

/* Words "name=value" with single spaces between. */
START_TEST(features)
{
    static const char *const names[] = {"checks=", "stop=", "mark=", "arch=", "reserve="};
    const char *text = gc_features();
    ck_assert_ptr_eq(text, gc_features());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = strstr(text, names[i]);
        ck_assert_msg(at && (at == text || at[-1] == ' '), "%s in %s", names[i], text);
        ck_assert_uint_eq(count_of(text, names[i]), 1);
    }
    for (const char *word = text; *word;) {
        size_t n = strcspn(word, " "), eq = strcspn(word, "=");
        if (eq == 0 || eq >= n - 1)
            ck_abort_msg("\"%.*s\" in \"%s\"", (int)n, word, text);
        word += n;
        if (*word && *++word == 0)
            ck_abort_msg("a space at the end of \"%s\"", text);
    }
    ck_assert(strstr(text, "checks=no") || strstr(text, "checks=cheap") || strstr(text, "checks=full"));
}
END_TEST

START_TEST(init_again)
{
    ck_assert_int_eq(gc_init(), 0);
    ck_assert_int_eq(gc_init(), 0);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, objects);
    tcase_add_test(tc, no_object);
    tcase_add_test(tc, unused_slots);
    tcase_add_test(tc, collected);
    tcase_add_test(tc, lookups_are_counted);
    tcase_add_test(tc, version);
    tcase_add_test(tc, features);
    tcase_add_test(tc, init_again);
}
CHECK_MAIN("api/ask", tests)
