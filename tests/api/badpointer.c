/* badpointer.c - gc_free and gc_realloc of what is not the start of a live object: one line that names the call, the
 * address and what it points into, then abort. Holds free.start. Each case runs in a child. */
#include "helpers.h"

#include <pthread.h>

static void *volatile bad; /* what the call is given */
static void (*volatile call)(void *);

static void free_it(void *p) { gc_free(p); }
static void realloc_it(void *p) { launder(gc_realloc(p, 200)); }
static void reallocarray_it(void *p) { launder(gc_reallocarray(p, 5, 100)); }
static void shrink_it(void *p) { launder(gc_realloc(p, 1)); }
static void realloc_0(void *p) { launder(gc_realloc(p, 0)); }

static void (*const calls[])(void *) = {free_it, realloc_it, reallocarray_it, shrink_it, realloc_0};
static const char *const call_names[] = {"gc_free(", "gc_realloc(", "gc_realloc", "gc_realloc(", "gc_realloc("};
enum { CALLS = sizeof calls / sizeof *calls };

/* Writes the address first, so that the parent can look for it in the report. */
static void do_bad(void *make)
{
    bad = ((void *(*)(void))make)();
    dprintf(STDERR_FILENO, "%#lx\n", (unsigned long)(uintptr_t)bad);
    call(bad);
}

static void must_abort(void *(*make)(void), const char *what)
{
    for (int i = 0; i < CALLS; i++) {
        struct outcome o;
        call = calls[i];
        run_child(do_bad, (void *)make, &o);
        if (!WIFSIGNALED(o.status) || WTERMSIG(o.status) != SIGABRT)
            ck_abort_msg("call %d: status %#x, not SIGABRT; it said: %s", i, (unsigned)o.status, o.text);
        char *line = strchr(o.text, '\n');
        ck_assert_ptr_nonnull(line);
        *line++ = 0;
        if (count_lines(line) != 1 || !strstr(line, call_names[i]) || !strstr(line, o.text) || !strstr(line, what))
            ck_abort_msg("call %d of %s, expecting \"%s\": %s", i, o.text, what, line);
    }
}

static char *object(size_t size) { return launder(make_filled(size, 1)); }

static void *interior_8(void) { return object(64) + 8; }
static void *interior_1(void) { return object(64) + 1; }
static void *interior_last(void) { return object(64) + 63; }
static void *interior_large(void) { return object(100000) + 50000; }
static void *interior_noscan(void) { return (char *)launder(gc_malloc_noscan(64)) + 32; }
static void *interior_uncollectable(void) { return (char *)launder(gc_malloc_uncollectable(64)) + 32; }

START_TEST(interior)
{
    must_abort(interior_8, "live object of 64 bytes");
    must_abort(interior_1, "live object of 64 bytes");
    must_abort(interior_last, "live object of 64 bytes");
    must_abort(interior_large, "live object of");
    must_abort(interior_noscan, "live object of 64 bytes");
    must_abort(interior_uncollectable, "live object of 64 bytes");
}
END_TEST

static char in_data[100];

static void *stack_memory(void)
{
    char local[100];
    return launder(local);
}
static void *malloc_memory(void) { return launder(malloc(100)); }
static void *data_memory(void) { return in_data; }
static void *small_number(void) { return (void *)(uintptr_t)0x123; }
static void *top_of_memory(void) { return (void *)UINTPTR_MAX; }
static void *text_memory(void) { return (void *)text_memory; }

START_TEST(foreign)
{
    must_abort(stack_memory, "not this library's");
    must_abort(malloc_memory, "not this library's");
    must_abort(data_memory, "not this library's");
    must_abort(small_number, "not this library's");
    must_abort(top_of_memory, "not this library's");
    must_abort(text_memory, "not this library's");
}
END_TEST

static void *freed_small(void)
{
    char *p = object(64);
    gc_free(p);
    return launder(p);
}

/* Its neighbours live, its span is in use and it is not the newest. */
static void *freed_among_others(void)
{
    static char *p[500];
    for (int i = 0; i < 500; i++)
        p[i] = object(64);
    gc_free(p[100]);
    return launder(p[100]);
}

static void *freed_and_span_left(void)
{
    void *p = freed_among_others();
    gc_collect(); /* takes the span from the thread */
    return p;
}

static void *freed_after_span_left(void)
{
    static char *p[500];
    for (int i = 0; i < 500; i++)
        p[i] = object(64);
    gc_collect();
    gc_free(p[100]);
    return launder(p[100]);
}

static void *freed_large(void)
{
    char *p = object(100000);
    gc_free(p);
    return launder(p);
}

static void *freed_uncollectable(void)
{
    void *p = launder(gc_malloc_uncollectable(64));
    launder(gc_malloc_uncollectable(64));
    gc_free(p);
    return launder(p);
}

static void *freed_uncollectable_large(void)
{
    void *p = launder(gc_malloc_uncollectable(100000));
    gc_free(p);
    return launder(p);
}

static void *freed_by_realloc(void)
{
    char *p = object(64);
    launder(gc_realloc(p, 5000));
    return launder(p);
}

static void *freed_8_bytes(void)
{
    char *p = object(8);
    gc_free(p);
    return launder(p);
}

static void *freed_last_of_span(void)
{
    char *p = object(32768);
    gc_free(p);
    return launder(p);
}

START_TEST(freed_before)
{
    must_abort(freed_small, "freed or collected");
    must_abort(freed_8_bytes, "freed or collected");
    must_abort(freed_last_of_span, "freed or collected");
    must_abort(freed_among_others, "freed or collected");
    must_abort(freed_and_span_left, "freed or collected");
    must_abort(freed_after_span_left, "freed or collected");
    must_abort(freed_large, "freed or collected");
    must_abort(freed_uncollectable, "freed or collected");
    must_abort(freed_uncollectable_large, "freed or collected");
    must_abort(freed_by_realloc, "freed or collected");
}
END_TEST

static void *free_in_thread(void *p)
{
    gc_free(p);
    return NULL;
}

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    if (pthread_create(&t, NULL, fn, arg) != 0)
        _exit(3);
    pthread_join(t, NULL);
}

static void *freed_by_another_thread(void)
{
    char *p = object(64);
    in_thread(free_in_thread, p);
    return launder(p);
}

static void *large_freed_by_another_thread(void)
{
    char *p = object(100000);
    in_thread(free_in_thread, p);
    return launder(p);
}

static void *bad_in_another_thread;

static void *make_and_free(void *unused)
{
    bad_in_another_thread = freed_among_others();
    return unused;
}

static void *freed_by_a_dead_thread(void)
{
    in_thread(make_and_free, NULL);
    return launder(bad_in_another_thread);
}

START_TEST(freed_elsewhere)
{
    must_abort(freed_by_another_thread, "freed or collected");
    must_abort(large_freed_by_another_thread, "freed or collected");
    must_abort(freed_by_a_dead_thread, "freed or collected");
}
END_TEST

/* Collected: nothing held it any more. */
static uintptr_t hidden[200];

static NOINLINE void hide_objects(size_t size)
{
    for (int i = 0; i < 200; i++)
        hidden[i] = hide(object(size));
}

static void *collected(size_t size)
{
    hide_objects(size);
    gc_clear_stack(64 * 1024);
    gc_collect_without_stacks();
    for (int i = 0; i < 200; i++)
        if (!gc_base(reveal(hidden[i])))
            return reveal(hidden[i]);
    _exit(4);
}

static void *collected_small(void) { return collected(64); }
static void *collected_large(void) { return collected(100000); }

START_TEST(collected_before)
{
    must_abort(collected_small, "freed or collected");
    must_abort(collected_large, "freed or collected");
}
END_TEST

/* A page of the heap that no object has, and the end of a span that no slot fits into. */
static void *beyond_the_objects(void) { return object(100000) + (64 << 20); }

/* 170 objects of 48 bytes leave 32 of a page. */
static void *end_of_a_span(void)
{
    char *last = launder(gc_malloc(48));
    for (int i = 0; i < 5000; i++) {
        char *q = launder(gc_malloc(48));
        if (q - last == 48 + 32)
            return last + 48;
        last = q;
    }
    _exit(4);
}

START_TEST(no_object_there)
{
    must_abort(beyond_the_objects, "not the start of a live object");
    must_abort(end_of_a_span, "unused end of a span");
}
END_TEST

/* And the good ones do not abort. */
static void good_ones(void *unused)
{
    (void)unused;
    gc_free(NULL);
    gc_free(launder(gc_malloc(0)));
    void *part = launder(gc_malloc_noscan(5));
    gc_free(part);
    gc_free(part);
    gc_free(launder(gc_malloc(40)));
    gc_free(launder(gc_malloc(400000)));
    gc_free(launder(gc_aligned_alloc(1 << 16, 100)));
    gc_free(launder(gc_realloc(gc_malloc(10), 0)));
    gc_free(launder(gc_strdup("a string longer than fifteen bytes")));
}

START_TEST(good)
{
    struct outcome o;
    run_child(good_ones, NULL, &o);
    must_exit_0(&o);
    ck_assert_str_eq(o.text, "");
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, interior);
    tcase_add_test(tc, foreign);
    tcase_add_test(tc, freed_before);
    tcase_add_test(tc, freed_elsewhere);
    tcase_add_test(tc, collected_before);
    tcase_add_test(tc, no_object_there);
    tcase_add_test(tc, good);
}
CHECK_MAIN("api/badpointer", tests)
