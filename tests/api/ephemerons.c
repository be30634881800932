/* ephemerons.c - a value is held while its ephemeron and its key are, and no longer: chains, either end freed, keys that a
 * finalizer brings back, beside collections. Holds ephemeron.attached, ephemeron.dead, ephemerons.held. */
#include "beside.h"

#include <stdatomic.h>

enum { SIZE = 48, MANY = 20000 };

static struct gc_ephemeron *volatile held; /* what holds the ephemeron */
static void *volatile key;                 /* and the key */

/* `held` gets one for `key` whose value nothing else holds; returns a weak reference to the value. */
static NOINLINE struct gc_weak *make_held(void)
{
    void *value = make_filled(SIZE, 2);
    held = gc_ephemeron_new(key, value);
    if (!held || gc_ephemeron_value(held, key) != value)
        abort();
    return gc_weak_new(value);
}

static NOINLINE struct gc_weak *make_both(size_t size)
{
    key = make_filled(size, 1);
    return make_held();
}

static void collect(void) { gc_collect_without_stacks(); }

START_TEST(refused)
{
    static int data;
    int local;
    char *tiny = gc_malloc_noscan(3), *gone = gc_malloc(SIZE);
    gc_free(gone);
    void *bad[] = {NULL, &data, &local, gc_malloc(0), tiny, gone, (void *)UINTPTR_MAX};
    uint64_t objects = heap_objects();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        ck_assert_ptr_null(gc_ephemeron_new(bad[i], NULL));
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_uint_eq(heap_objects(), objects);
}
END_TEST

START_TEST(yields_to_its_key)
{
    static int data;
    char *p = make_filled(SIZE, 1), *q = make_filled(SIZE, 2);
    errno = 77;
    struct gc_ephemeron *e = gc_ephemeron_new(p, q), *inner = gc_ephemeron_new(p + 9, &data),
                        *none = gc_ephemeron_new(p, NULL);
    ck_assert(e && inner && none && e != inner);
    ck_assert_ptr_eq(gc_ephemeron_value(e, p), q);
    ck_assert_ptr_null(gc_ephemeron_value(e, p + 9));
    ck_assert_ptr_null(gc_ephemeron_value(e, q));
    ck_assert_ptr_null(gc_ephemeron_value(e, NULL));
    ck_assert_ptr_null(gc_ephemeron_value(NULL, p));
    ck_assert_ptr_eq(gc_ephemeron_value(inner, p + 9), &data);
    ck_assert_ptr_null(gc_ephemeron_value(inner, p));
    ck_assert_ptr_null(gc_ephemeron_value(none, p));
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(gc_is_noscan(e), 1);
    ck_assert_ptr_eq(gc_base(e), e);
}
END_TEST

static const size_t sizes[] = {8, SIZE, 1024, 100000};

START_TEST(held_as_long_as_the_key)
{
    struct gc_weak *value = make_both(sizes[_i]);
    for (int i = 0; i < 3; i++) {
        collect();
        churn(SIZE, 1000);
        check_live(gc_ephemeron_value(held, key), SIZE, 2);
        check_live(key, sizes[_i], 1);
    }
    uintptr_t was = hide(key);
    key = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
    ck_assert_ptr_null(gc_ephemeron_value(held, reveal(was)));
    ck_assert_ptr_null(gc_base(reveal(was)));
}
END_TEST

START_TEST(held_as_long_as_the_ephemeron)
{
    struct gc_weak *value = make_both(SIZE), *e = gc_weak_new(held);
    collect();
    ck_assert_ptr_nonnull(gc_weak_get(value));
    held = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
    ck_assert_ptr_null(gc_weak_get(e));
    check_live(key, SIZE, 1);
}
END_TEST

static NOINLINE void make_circle(void)
{
    void **k = gc_calloc(2, sizeof *k), **value = gc_calloc(2, sizeof *value);
    held = gc_ephemeron_new(k, value);
    value[0] = k;
    value[1] = held;
    key = k;
}

/* A plain pair would hold the key for ever. */
START_TEST(value_does_not_hold_the_key)
{
    make_circle();
    struct gc_weak *k = gc_weak_new(key), *value = gc_weak_new(gc_ephemeron_value(held, key));
    collect();
    ck_assert_ptr_nonnull(gc_weak_get(k));
    key = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(k));
    ck_assert_ptr_null(gc_weak_get(value));
}
END_TEST

/* Where the ephemeron itself is known by its own value alone, nobody knows it. */
START_TEST(value_does_not_hold_the_ephemeron)
{
    make_circle();
    struct gc_weak *e = gc_weak_new(held);
    held = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(e));
}
END_TEST

static NOINLINE void make_inner(void)
{
    char *k = make_filled(SIZE, 1);
    held = gc_ephemeron_new(k + 20, make_filled(SIZE, 2));
    key = k;
}

START_TEST(key_in_the_middle)
{
    make_inner();
    collect();
    check_live(gc_ephemeron_value(held, (char *)key + 20), SIZE, 2);
    uintptr_t was = hide((char *)key + 20);
    key = NULL;
    collect();
    ck_assert_ptr_null(gc_ephemeron_value(held, reveal(was)));
}
END_TEST

START_TEST(uncollectable_key)
{
    key = gc_malloc_uncollectable(SIZE);
    struct gc_weak *value = make_held();
    uintptr_t was = hide(key);
    key = NULL;
    collect();
    ck_assert_ptr_nonnull(gc_weak_get(value));
    gc_free(reveal(was));
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
}
END_TEST

START_TEST(key_freed)
{
    struct gc_weak *value = make_both(SIZE);
    void *was = key;
    gc_free(was);
    ck_assert_ptr_null(gc_ephemeron_value(held, was));
    while (gc_malloc(SIZE) != was) /* its slot has another object */
        ;
    ck_assert_ptr_null(gc_ephemeron_value(held, was));
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
}
END_TEST

/* And what then has its memory is another one. */
START_TEST(ephemeron_freed)
{
    struct gc_weak *value = make_both(SIZE);
    uintptr_t was = hide(held);
    gc_free(held);
    held = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
    do
        held = gc_ephemeron_new(key, NULL);
    while (hide(held) != was);
    collect();
    ck_assert_ptr_null(gc_ephemeron_value(held, key));
    check_live(key, SIZE, 1);
    gc_free(key);
    key = NULL;
    collect();
}
END_TEST

START_TEST(key_and_ephemeron_freed)
{
    make_both(SIZE);
    gc_free(_i ? key : held);
    gc_free(_i ? held : key);
    key = held = NULL;
    churn(SIZE, 1000);
    collect();
}
END_TEST

START_TEST(not_resized)
{
    make_both(SIZE);
    held = gc_realloc(held, 100);
}
END_TEST

/* Of those of one key half go, at once or one by one, and the others do as before. */
static struct gc_ephemeron *many[MANY];

static NOINLINE void make_many(void)
{
    key = make_filled(SIZE, 1);
    for (size_t i = 0; i < MANY; i++)
        many[i] = gc_ephemeron_new(key, make_filled(SIZE, i));
}

START_TEST(many_of_a_key)
{
    make_many();
    for (size_t i = 0; i < MANY; i += 2)
        many[i] = NULL;
    uint64_t before = heap_objects();
    collect();
    ck_assert_uint_eq(heap_objects(), before - MANY);
    churn(SIZE, MANY);
    for (size_t i = 1; i < MANY; i += 2)
        check_live(gc_ephemeron_value(many[i], key), SIZE, i);
    key = NULL;
    collect();
    ck_assert_uint_eq(heap_objects(), MANY / 2);
}
END_TEST

/* A question marks as a collection does, and changes nothing. */
START_TEST(not_by_a_question)
{
    make_both(SIZE);
    ck_assert_int_eq(gc_is_reachable_without_stacks(gc_ephemeron_value(held, key)), 1);
    void *k = key;
    key = NULL;
    ck_assert_int_eq(gc_is_reachable_without_stacks(gc_ephemeron_value(held, k)), 0);
    ck_assert_ptr_nonnull(gc_ephemeron_value(held, k));
}
END_TEST

/* ---- finalizers */

static void *volatile brought_back;
static volatile int calls;

static void bring_back(void *obj, void *arg)
{
    (void)arg;
    brought_back = obj;
    calls++;
    if (gc_ephemeron_value(held, obj))
        abort(); /* it was cleared before */
}

START_TEST(key_brought_back)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    struct gc_weak *value = make_both(SIZE);
    ck_assert_int_eq(gc_set_finalizer(key, bring_back, NULL, NULL, NULL), 0);
    key = NULL;
    collect();
    ck_assert_ptr_null(gc_weak_get(value));
    ck_assert_int_eq(gc_run_finalizers(), 1);
    check_live(brought_back, SIZE, 1);
    ck_assert_ptr_null(gc_ephemeron_value(held, brought_back));
}
END_TEST

/* obj is a pair: the ephemeron and the address of the key. */
static void use_ephemeron(void *obj, void *arg)
{
    void **pair = obj;
    (void)arg;
    check_live(gc_ephemeron_value(pair[0], key), SIZE, 2);
    calls++;
}

static NOINLINE void put_into_pair(void)
{
    void **pair = gc_calloc(1, sizeof *pair);
    gc_weak_free(make_both(SIZE));
    pair[0] = held;
    held = NULL;
    gc_set_finalizer(pair, use_ephemeron, NULL, NULL, NULL);
}

/* An ephemeron that only a finalizer's object leads to holds its value for the call. */
START_TEST(ephemeron_kept_for_a_finalizer)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    put_into_pair();
    collect();
    churn(SIZE, 1000);
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_int_eq(calls, 1);
}
END_TEST

static void note_call(void *obj, void *arg)
{
    (void)obj;
    calls = calls * 10 + (int)(intptr_t)arg;
}

static NOINLINE void make_ordered(void)
{
    key = make_filled(SIZE, 1);
    void *value = make_filled(SIZE, 2);
    struct gc_ephemeron *e = gc_ephemeron_new(key, value);
    gc_set_finalizer(value, note_call, (void *)2, NULL, NULL);
    gc_set_finalizer(e, note_call, (void *)1, NULL, NULL);
}

/* An ephemeron leads to its value as long as its key lives: it is finalized before. */
START_TEST(finalized_in_order)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    make_ordered();
    collect();
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_int_eq(calls, 1);
    collect();
    ck_assert_int_eq(gc_run_finalizers(), 1);
    ck_assert_int_eq(calls, 12);
}
END_TEST

/* ---- memory */

/* Refused one after the other, in the end the ephemeron itself: nothing is lost, and what there was is as it was. */
START_TEST(frozen)
{
    struct gc_weak *value = make_both(SIZE);
    size_t n = 0;
    gc_set_frozen(1);
    gc_disable();
    for (; n < 10000000; n++) {
        errno = 0;
        struct gc_ephemeron *e = gc_ephemeron_new(key, NULL);
        if (!e)
            break;
    }
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_gt(n, 0);
    gc_enable();
    gc_set_frozen(0);
    collect();
    check_live(gc_weak_get(value), SIZE, 2);
    ck_assert_ptr_nonnull(gc_ephemeron_new(key, NULL));
}
END_TEST

/* Slots and indexes are used again, and collections become due. */
START_TEST(leaves_nothing)
{
    struct gc_memstats st;
    uint64_t sys = 0;
    gc_set_profile_rate(0); /* samples have indexes too */
    make_both(SIZE);
    for (int i = 0; i < 600; i++) {
        for (int k = 0; k < 1000; k++)
            if (!launder(gc_ephemeron_new(key, make_filled(SIZE, 1))))
                ck_abort_msg("none was made");
        if (i == 300) /* the heap has been as large as it gets */
            sys = read_stats(&st)->other_sys;
    }
    ck_assert_uint_eq(read_stats(&st)->other_sys, sys);
    ck_assert_uint_gt(st.num_gc, 3);
    check_live(gc_ephemeron_value(held, key), SIZE, 2);
}
END_TEST

static void in_child(void *value)
{
    collect();
    if (gc_weak_get(value) != gc_ephemeron_value(held, key))
        _exit(3);
    void *k = key;
    key = NULL;
    collect();
    if (gc_weak_get(value) || gc_ephemeron_value(held, k))
        _exit(4);
}

START_TEST(forked)
{
    struct outcome o;
    struct gc_weak *value = make_both(SIZE);
    run_child(in_child, value, &o);
    must_exit_0(&o);
    check_live(gc_weak_get(value), SIZE, 2);
    check_live(gc_ephemeron_value(held, key), SIZE, 2);
}
END_TEST

static void explain_value(void *unused)
{
    (void)unused;
    gc_explain(gc_ephemeron_value(held, key), STDERR_FILENO);
}

static void must_name(const struct outcome *o, const void *k)
{
    char text[80];
    snprintf(text, sizeof text, "as its value, while its key %#lx is alive: ", (unsigned long)(uintptr_t)k);
    if (!strstr(o->text, text) || !strstr(o->text, "32 bytes, an ephemeron"))
        ck_abort_msg("it does not say \"%s\" but: %s", text, o->text);
}

/* The way goes through the ephemeron, and the line names the key. */
START_TEST(explained)
{
    struct outcome o;
    make_both(SIZE);
    run_child(explain_value, NULL, &o);
    must_name(&o, key);
}
END_TEST

/* held -> its value -> the key of `later`, which comes before it among the roots -> the value that is asked for. */
static struct {
    struct gc_ephemeron *later, *sooner;
    void *value; /* hidden */
} way;

static NOINLINE void make_way(void)
{
    void **value = gc_calloc(2, sizeof *value), *last = make_filled(SIZE, 2);
    key = make_filled(SIZE, 1);
    value[0] = gc_calloc(1, SIZE);
    way.sooner = gc_ephemeron_new(key, value);
    way.later = gc_ephemeron_new(value[0], last);
    way.value = (void *)hide(last);
}

static void explain_way(void *unused)
{
    (void)unused;
    gc_explain(reveal((uintptr_t)way.value), STDERR_FILENO);
}

START_TEST(explained_chain)
{
    struct outcome o;
    make_way();
    gc_clear_stack(64 * 1024);
    run_child(explain_way, NULL, &o);
    void **value = gc_ephemeron_value(way.sooner, key);
    must_name(&o, value[0]);
}
END_TEST

/* ---- beside collections */

enum { TABLE = 64 };

/* The value lies behind the ephemeron alone, and leads to the key. Not scanned, so that it holds nothing else. */
struct entry {
    struct gc_ephemeron *e;
    unsigned char *key; /* of half of them; the others' keys live while the thread has them */
};
static _Atomic(struct entry *) table[TABLE];

static NOINLINE void read_one(struct entry *entry, unsigned char *k)
{
    void **value = gc_ephemeron_value(entry->e, k);
    if (!value) {
        atomic_fetch_add(&missing, 1);
        return;
    }
    if (gc_base(value) != value || value[0] != k || gc_base(k) != k)
        ck_abort_msg("%p is not the value of %p", (void *)value, (void *)k);
    check_filled(k, SIZE, 5);
    atomic_fetch_add(&seen, 1);
}

static NOINLINE struct entry *make_one(bool held_key)
{
    struct entry *entry = gc_calloc(1, sizeof *entry);
    unsigned char *k = gc_malloc_noscan(SIZE);
    void **value = gc_calloc(2, sizeof *value);
    fill(k, SIZE, 5);
    value[0] = k;
    entry->e = gc_ephemeron_new(k, value);
    value = NULL;
    read_one(entry, k); /* as long as the thread holds the key */
    entry->key = held_key ? k : NULL;
    return entry;
}

static void *read_and_make(void *number)
{
    uint32_t x = (uint32_t)(uintptr_t)number + 1;
    while (!atomic_load(&over)) {
        for (size_t i = 0; i < TABLE; i++) {
            struct entry *entry = atomic_load(&table[i]);
            read_one(entry, entry->key);
        }
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        atomic_store(&table[x % TABLE], make_one(x >> 8 & 1));
        for (int k = 0; k < 20; k++) {
            unsigned char *p = launder(gc_malloc(k % 2 ? SIZE : 2 * sizeof(void *)));
            memset(p, 0xee, 16);
        }
    }
    return NULL;
}

START_TEST(beside_collections)
{
    for (size_t i = 0; i < TABLE; i++)
        atomic_store(&table[i], make_one(i % 2));
    run_beside_collections(read_and_make);
}
END_TEST

/* ---- check=1, in a process of its own */

static int scene(void)
{
    struct gc_weak *value = make_both(SIZE);
    for (int i = 0; i < 3; i++)
        collect();
    check_live(gc_ephemeron_value(held, key), SIZE, 2);
    void *k = key;
    gc_free(k);
    if (gc_ephemeron_value(held, k))
        return 3;
    collect();
    if (gc_weak_get(value))
        return 4;
    value = make_both(SIZE);
    gc_free(held);
    held = NULL;
    collect();
    if (gc_weak_get(value))
        return 5;
    make_many();
    for (int i = 0; i < MANY; i++)
        many[i] = NULL;
    for (int i = 0; i < 3; i++)
        collect();
    return 0;
}

START_TEST(with_check) { run_scene_with_check(); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, refused);
    tcase_add_test(tc, yields_to_its_key);
    tcase_add_loop_test(tc, held_as_long_as_the_key, 0, 4);
    tcase_add_test(tc, held_as_long_as_the_ephemeron);
    tcase_add_test(tc, value_does_not_hold_the_key);
    tcase_add_test(tc, value_does_not_hold_the_ephemeron);
    tcase_add_test(tc, key_in_the_middle);
    tcase_add_test(tc, uncollectable_key);
    tcase_add_test(tc, key_freed);
    tcase_add_test(tc, ephemeron_freed);
    tcase_add_loop_test(tc, key_and_ephemeron_freed, 0, 2);
    tcase_add_test_raise_signal(tc, not_resized, SIGABRT);
    tcase_add_test(tc, many_of_a_key);
    tcase_add_test(tc, not_by_a_question);
    tcase_add_test(tc, key_brought_back);
    tcase_add_test(tc, ephemeron_kept_for_a_finalizer);
    tcase_add_test(tc, finalized_in_order);
    tcase_add_test(tc, frozen);
    tcase_add_test(tc, leaves_nothing);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, explained);
    tcase_add_test(tc, explained_chain);
    tcase_add_test(tc, beside_collections);
    tcase_add_test(tc, with_check);
}

int main(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? scene() : check_main("api/ephemerons", tests);
}
