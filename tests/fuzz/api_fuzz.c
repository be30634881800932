/* api_fuzz.c - a model of the heap: which objects there are, what is in them, who refers to whom. Each operation is
 * done to both, and after every collection both must agree: what can be reached is there with its contents, what
 * cannot is gone. The model holds addresses as complements, so that it keeps nothing alive itself.
 * Built with -fsanitize=fuzzer by `make fuzz`; replay.c plays saved inputs without it. */
#include "api_fuzz.h"

#include <errno.h>
#include <spangc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 64, LINKS = 4, OPERATIONS = 600, WORD = sizeof(void *), DENSE = 2000, SPARSE = 61 };

enum kind { NONE, SCANNED, NOSCAN, PART, PINNED, PINNED_NOSCAN, TYPED };

struct object {
    enum kind kind;
    uintptr_t hidden;
    size_t size;
    uint8_t seed;          /* of the bytes that are no links */
    bool rooted;           /* roots[i] refers to it */
    bool registered;       /* registered[i] does */
    int target[LINKS];     /* number + 1 of the object that word j refers to; 0 none */
    size_t off[LINKS];     /* how far into it */
    unsigned layout;       /* of a typed one; also where the layout names no word: */
    uintptr_t idle[LINKS]; /* the complement of word j, an address that holds nothing; or 0 */
    bool reached;          /* by the last trace */
};

/* Bytes of an element; of the words of each the second of three is none that holds. */
static const size_t layout_bytes[] = {16, 24, 40, 64, 136, 1000};
enum { LAYOUTS = sizeof layout_bytes / sizeof *layout_bytes };

static struct object objects[OBJECTS];
static void *volatile roots[OBJECTS]; /* in the program's data */
static void **registered;             /* in malloc's memory, which gc_add_roots makes known */
static bool is_registered;
static int disabled;

static struct input {
    const uint8_t *at, *end;
} in;

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            fail(__LINE__, #cond);                                                                                     \
    } while (0)

static void fail(int line, const char *what)
{
    fprintf(stderr, "api_fuzz.c:%d: the library breaks its word: %s\n", line, what);
    abort();
}

static uint8_t next(void) { return in.at < in.end ? *in.at++ : 0; }
static size_t next2(void) { return next() | (size_t)next() << 8; }

static size_t next_size(void)
{
    uint8_t how = next();
    size_t n = next2();
    return how < 150 ? n % 80 : how < 240 ? n % 2000 : how < 252 ? n : n * 9;
}

static char *address(const struct object *o) { return (char *)~o->hidden; }
static bool scanned(const struct object *o) { return o->kind == SCANNED || o->kind == PINNED || o->kind == TYPED; }
static bool pinned(const struct object *o) { return o->kind == PINNED || o->kind == PINNED_NOSCAN; }
static size_t links_of(const struct object *o)
{
    return !scanned(o) ? 0 : o->size / WORD < LINKS ? o->size / WORD : LINKS;
}

static bool is_named(size_t word) { return word % 3 != 1; }

static bool holds(const struct object *o, size_t j)
{
    return o->kind != TYPED || is_named(j % (layout_bytes[o->layout] / WORD));
}

/* 0x80 and more: no word of it is an address. */
static uint8_t byte_at(const struct object *o, size_t i) { return (uint8_t)(0x80 | ((o->seed + i * 7) & 0x7f)); }

/* The words that are links, then bytes. */
static void write_all(struct object *o)
{
    char *p = address(o);
    for (size_t i = links_of(o) * WORD; i < o->size; i++)
        p[i] = (char)byte_at(o, i);
}

static uintptr_t link_value(const struct object *o, size_t j)
{
    if (!holds(o, j))
        return o->idle[j] ? ~o->idle[j] : 0;
    return o->target[j] ? ~objects[o->target[j] - 1].hidden + o->off[j] : 0;
}

static void check(const struct object *o, size_t size)
{
    const char *p = address(o);
    size_t links = links_of(o);
    for (size_t j = 0; j < links && (j + 1) * WORD <= size; j++)
        MUST(((const uintptr_t *)(const void *)p)[j] == link_value(o, j));
    for (size_t i = links * WORD; i < size; i += i < DENSE ? 1 : SPARSE)
        MUST((uint8_t)p[i] == byte_at(o, i));
}

static void check_alive(const struct object *o)
{
    char *p = address(o);
    char *base = gc_base(p + (o->size ? o->size - 1 : 0));
    if (o->kind == PART) {
        MUST(base && base <= p && p + o->size <= base + 16);
        MUST(gc_usable_size(p) == 0);
    } else {
        MUST(base == p);
        MUST(gc_usable_size(p) >= o->size);
    }
    MUST(gc_is_noscan(p) == !scanned(o));
    check(o, o->size);
}

/* Which objects the model's roots lead to. */
static void trace(void)
{
    int queue[OBJECTS], n = 0;
    for (int i = 0; i < OBJECTS; i++) {
        struct object *o = &objects[i];
        o->reached = o->kind && (o->rooted || (is_registered && o->registered) || pinned(o));
        if (o->reached)
            queue[n++] = i;
    }
    while (n > 0) {
        const struct object *o = &objects[queue[--n]];
        for (size_t j = 0; j < links_of(o); j++) {
            struct object *to = o->target[j] ? &objects[o->target[j] - 1] : NULL;
            if (to && !to->reached) {
                to->reached = true;
                queue[n++] = o->target[j] - 1;
            }
        }
    }
}

static void forget(struct object *o)
{
    roots[o - objects] = NULL;
    registered[o - objects] = NULL;
    memset(o, 0, sizeof *o);
}

/* Its memory may have been another's since it was collected. */
static bool is_gone(uintptr_t dead)
{
    uintptr_t base = (uintptr_t)gc_base((void *)dead);
    for (int i = 0; base && i < OBJECTS; i++)
        if (objects[i].kind && (~objects[i].hidden == base || objects[i].kind == PART))
            return true;
    return !base;
}

/* What cannot be reached is dead to the model from now on; without stacks, to the library too. */
static void collect(bool exact)
{
    uintptr_t dead[OBJECTS];
    int n = 0;
    trace();
    for (int i = 0; i < OBJECTS; i++) {
        struct object *o = &objects[i];
        if (!o->kind || o->reached)
            continue;
        if (o->kind != PART)
            dead[n++] = o->hidden;
        forget(o);
    }
    if (exact)
        gc_collect_without_stacks();
    else
        gc_collect();
    while (exact && n-- > 0)
        MUST(is_gone(~dead[n]));
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].kind)
            check_alive(&objects[i]);
}

static struct object *free_object(void)
{
    for (int i = 0; i < OBJECTS; i++)
        if (!objects[i].kind)
            return &objects[i];
    collect(false);
    for (int i = 0; i < OBJECTS; i++)
        if (!objects[i].kind)
            return &objects[i];
    return NULL;
}

/* One of those that can be reached, if there are any. */
static struct object *pick(void)
{
    struct object *reached[OBJECTS];
    size_t n = 0, which = next();
    trace();
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].kind && objects[i].reached)
            reached[n++] = &objects[i];
    return n > 0 ? reached[which % n] : NULL;
}

static size_t alignment_of(size_t size)
{
    size_t a = 16;
    while (a > size && a > 1)
        a /= 2;
    return a;
}

static struct object *adopt(enum kind kind, void *p, size_t size, size_t align, bool zeroed)
{
    struct object *o = free_object();
    MUST(p);
    MUST((uintptr_t)p % align == 0);
    for (size_t i = 0; zeroed && i < size; i++)
        MUST(((char *)p)[i] == 0);
    if (!o) {
        if (kind == PINNED || kind == PINNED_NOSCAN)
            gc_free(p);
        return NULL;
    }
    *o = (struct object){.kind = kind, .hidden = ~(uintptr_t)p, .size = size, .seed = next(), .rooted = true};
    roots[o - objects] = p;
    write_all(o);
    return o;
}

static enum kind noscan_kind(size_t size) { return size < 16 ? PART : NOSCAN; }

static void op_malloc(void)
{
    size_t n = next_size();
    void *p = gc_malloc(n);
    if (n > 0)
        adopt(SCANNED, p, n, alignment_of(n), true);
    else
        MUST(p == gc_malloc_noscan(0) && gc_usable_size(p) == 0);
}

static void op_noscan(void)
{
    size_t n = next_size() + 1;
    adopt(noscan_kind(n), gc_malloc_noscan(n), n, alignment_of(n), false);
}

static void op_calloc(void)
{
    size_t n = next() + 1u, size = next_size() % 4096 + 1;
    if (size % 2)
        adopt(SCANNED, gc_calloc(n, size), n * size, alignment_of(n * size), true);
    else
        adopt(noscan_kind(n * size), gc_calloc_noscan(n, size), n * size, alignment_of(n * size), true);
}

static const struct gc_layout *layout_of(unsigned l)
{
    static const struct gc_layout *layouts[LAYOUTS];
    uint64_t bitmap[1000 / WORD / 64 + 1] = {0};
    for (size_t w = 0; w < layout_bytes[l] / WORD; w++)
        bitmap[w / 64] |= (uint64_t)is_named(w) << w % 64;
    const struct gc_layout *made = gc_layout_new(layout_bytes[l], bitmap);
    MUST(made && (!layouts[l] || made == layouts[l]));
    return layouts[l] = made;
}

static void op_typed(void)
{
    unsigned l = next() % LAYOUTS;
    size_t n = next() < 200 ? 1 : next() + 1U, size = n * layout_bytes[l];
    void *p = n == 1 ? gc_malloc_typed(layout_of(l)) : gc_calloc_typed(layout_of(l), n);
    struct object *o = adopt(TYPED, p, size, 8, true);
    if (o)
        o->layout = l;
}

static void op_aligned(void)
{
    size_t align = (size_t)1 << next() % 18, n = next_size() + 1;
    bool noscan = align <= alignment_of(n) && n < 16;
    void *p = NULL;
    switch (next() % 3) {
    case 0:
        adopt(SCANNED, gc_aligned_alloc(align, n), n, align, true);
        break;
    case 1:
        adopt(noscan ? PART : NOSCAN, gc_aligned_alloc_noscan(align, n), n, align, false);
        break;
    default:
        if (align < WORD) {
            MUST(gc_posix_memalign(&p, align, n) == EINVAL && !p);
            break;
        }
        MUST(gc_posix_memalign(&p, align, n) == 0);
        adopt(SCANNED, p, n, align, true);
    }
}

static void op_uncollectable(void)
{
    size_t n = next_size() + 1;
    if (n % 2)
        adopt(PINNED, gc_malloc_uncollectable(n), n, alignment_of(n), true);
    else
        adopt(PINNED_NOSCAN, gc_malloc_uncollectable_noscan(n), n, alignment_of(n), true);
}

static void set_link(struct object *from, size_t j, struct object *to, size_t off)
{
    if (holds(from, j)) {
        from->target[j] = to ? (int)(to - objects) + 1 : 0;
        from->off[j] = off;
    } else {
        from->idle[j] = to ? to->hidden - off : 0;
    }
    ((uintptr_t *)(void *)address(from))[j] = link_value(from, j);
}

static void op_link(void)
{
    struct object *from = pick(), *to = pick();
    size_t off = next2(), j = next();
    if (from && to && links_of(from) > 0)
        set_link(from, j % links_of(from), to, off % to->size);
}

static void op_unlink(void)
{
    struct object *from = pick();
    if (from && links_of(from) > 0)
        set_link(from, next() % links_of(from), NULL, 0);
}

static void op_drop(void)
{
    struct object *o = pick();
    if (!o)
        return;
    o->rooted = false;
    roots[o - objects] = NULL;
}

static void op_root(void)
{
    struct object *o = pick();
    if (!o)
        return;
    o->rooted = true;
    roots[o - objects] = address(o) + next2() % o->size;
}

static void op_registered_root(void)
{
    struct object *o = pick();
    if (!o)
        return;
    o->registered = !o->registered;
    registered[o - objects] = o->registered ? address(o) : NULL;
}

/* No word may refer to an object whose address is about to become another's. */
static void cut_links_to(const struct object *o)
{
    for (int i = 0; i < OBJECTS; i++)
        for (size_t j = 0; j < links_of(&objects[i]); j++)
            if (objects[i].target[j] == (int)(o - objects) + 1) {
                objects[i].target[j] = 0;
                if (objects[i].reached)
                    ((uintptr_t *)(void *)address(&objects[i]))[j] = 0;
            }
}

static void op_free(void)
{
    struct object *o = pick();
    if (!o)
        return;
    check_alive(o);
    cut_links_to(o);
    char *p = address(o);
    bool part = o->kind == PART;
    forget(o);
    gc_free(p);
    MUST(part || gc_base(p) == NULL);
}

static void op_realloc(void)
{
    struct object *o = pick();
    size_t size = next_size() + 1;
    if (!o)
        return;
    size_t old = o->size, old_links = links_of(o), least = size < old ? size : old;
    check_alive(o);
    cut_links_to(o);
    char *p = gc_realloc(address(o), size);
    MUST(p && (uintptr_t)p % alignment_of(size) == 0);
    o->hidden = ~(uintptr_t)p;
    o->size = size;
    if (o->kind == PART || o->kind == NOSCAN) {
        for (size_t i = 0; i < least; i++)
            MUST((uint8_t)p[i] == byte_at(o, i));
        o->kind = noscan_kind(size) == PART && gc_usable_size(p) == 0 ? PART : NOSCAN;
    } else if (scanned(o)) {
        for (size_t i = old_links * WORD; i < least; i++)
            MUST((uint8_t)p[i] == byte_at(o, i));
        for (size_t i = old; i < size; i++)
            MUST(p[i] == 0);
        for (size_t j = 0; j < LINKS; j++)
            if (j >= links_of(o))
                o->target[j] = 0;
        for (size_t j = 0; j < links_of(o); j++) {
            uintptr_t *word = (uintptr_t *)(void *)p + j;
            if (holds(o, j))
                set_link(o, j, o->target[j] ? &objects[o->target[j] - 1] : NULL, o->off[j]);
            else if (j < old_links)
                MUST(*word == link_value(o, j));
            else
                *word = o->idle[j] = 0;
        }
    }
    write_all(o);
    if (o->rooted)
        roots[o - objects] = p;
    if (o->registered)
        registered[o - objects] = p;
}

static void op_ask(void)
{
    struct object *o = pick();
    size_t off = next2();
    if (!o)
        return;
    char *p = address(o);
    check_alive(o);
    MUST(o->kind == PART || gc_base(p + off % o->size) == p);
    MUST(off % o->size == 0 || gc_usable_size(p + off % o->size) == 0);
    MUST(gc_base(&objects) == NULL && gc_is_noscan(&objects) == -1 && gc_usable_size(registered) == 0);
}

/* What only the registered words held may be collected from here on, whether they are registered again or not. */
static void forget_unreached(void)
{
    trace();
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].kind && !objects[i].reached)
            forget(&objects[i]);
}

static void op_register(void)
{
    if (is_registered)
        MUST(gc_remove_roots(registered, registered + OBJECTS) == 0);
    else
        MUST(gc_add_roots(registered, registered + OBJECTS) == 0);
    bool was_registered = is_registered;
    is_registered = false;
    forget_unreached();
    is_registered = !was_registered;
    errno = 0;
    MUST(gc_remove_roots(registered, registered + 1) == -1 && errno == EINVAL);
}

static void op_settings(void)
{
    static const int percents[] = {0, 1, 20, 100, 1000, GC_SPAN_PERCENT_OFF};
    int percent = percents[next() % (sizeof percents / sizeof *percents)];
    gc_set_percent(percent);
    MUST(gc_get_percent() == percent);
    gc_set_memory_limit(percent == 20 ? 1 << 20 : 0);
    if (next() % 2)
        MUST(gc_disable() == ++disabled);
    else
        MUST(gc_enable() == (disabled -= disabled > 0));
}

static void op_string(void)
{
    char text[40], *s = NULL;
    size_t n = next() % (sizeof text - 1);
    memset(text, 'a', n);
    text[n] = 0;
    s = gc_strdup(text);
    MUST(s && strcmp(s, text) == 0);
    s = gc_strndup(text, 5);
    MUST(s && strlen(s) == (n < 5 ? n : 5));
    MUST(gc_asprintf(&s, "<%s>", text) == (int)n + 2 && strlen(s) == n + 2);
}

static void op_impossible(void)
{
    volatile size_t most = SIZE_MAX; /* unknown to the compiler */
    size_t n = most - next2() * 4096;
    void *out = NULL;
    errno = 0;
    MUST(!gc_malloc(n) && errno == ENOMEM);
    MUST(!gc_malloc_noscan(n / 2) && !gc_calloc(n, 2 + next()) && !gc_malloc_uncollectable(n));
    MUST(!gc_aligned_alloc((most >> 1) + 1, 1 + next()) && !gc_aligned_alloc(4096, n));
    errno = 0;
    MUST(!gc_aligned_alloc(3 + 4u * next(), 10) && errno == EINVAL);
    MUST(gc_posix_memalign(&out, 64, n) == ENOMEM && !out);
}

static void op_stats(void)
{
    struct gc_memstats st;
    gc_read_memstats(&st);
    MUST(st.mallocs - st.frees == st.heap_objects && st.alloc == st.heap_alloc);
    MUST(st.heap_inuse + st.heap_idle == st.heap_sys && st.heap_alloc <= st.heap_inuse);
    MUST(st.sys ==
         st.heap_sys + st.stack_sys + st.mspan_sys + st.mcache_sys + st.buckhash_sys + st.gc_sys + st.other_sys);
}

static void op_collect(void) { collect(false); }
static void op_collect_exactly(void) { collect(true); }

static void op_release(void)
{
    collect(false);
    gc_release_memory();
}

/* Fails for want of memory, or not: either way everything is as it was. */
static void op_frozen(void)
{
    gc_set_frozen(1);
    void *p = gc_malloc(next_size() * 1000 + 1);
    (void)p;
    gc_set_frozen(0);
}

static void (*const operations[])(void) = {
    op_malloc,
    op_malloc,
    op_noscan,
    op_noscan,
    op_calloc,
    op_aligned,
    op_uncollectable,
    op_link,
    op_link,
    op_link,
    op_link,
    op_unlink,
    op_drop,
    op_drop,
    op_root,
    op_free,
    op_free,
    op_realloc,
    op_realloc,
    op_collect,
    op_collect_exactly,
    op_ask,
    op_register,
    op_settings,
    op_registered_root,
    op_string,
    op_registered_root,
    op_impossible,
    op_release,
    op_stats,
    op_frozen,
    op_typed,
    op_typed,
};

static void *no_memory(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static void start(void)
{
    if (registered)
        return;
    registered = calloc(OBJECTS, sizeof *registered);
    if (!registered)
        abort();
    gc_set_oom_handler(no_memory);
}

/* Back to an empty heap, which it must then be. */
static void finish(void)
{
    while (disabled > 0)
        disabled = gc_enable();
    gc_set_percent(100);
    gc_set_memory_limit(0);
    for (int i = 0; i < OBJECTS; i++) {
        if (objects[i].kind && pinned(&objects[i]))
            gc_free(address(&objects[i]));
        forget(&objects[i]);
    }
    if (is_registered)
        op_register();
    gc_collect_without_stacks();
    struct gc_memstats st;
    gc_read_memstats(&st);
    MUST(st.heap_objects == 0 && st.alloc == 0);
}

void api_fuzz_roots(const void **lo, const void **hi)
{
    *lo = (const void *)&roots[0];
    *hi = (const void *)&roots[OBJECTS];
}

void api_fuzz_play(const uint8_t *data, size_t n)
{
    start();
    in = (struct input){data, data + n};
    for (int i = 0; i < OPERATIONS && in.at < in.end; i++)
        operations[next() % (sizeof operations / sizeof *operations)]();
    collect(true);
    finish();
}
