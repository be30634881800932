/* ends.c - threads make objects, typed ones too, with finalizers, cleanups, weak references, links and ephemerons, pass them
 * on, drop, free and revive them, while others collect. Each finalizer and each cleanup is called once: not twice, not while a thread holds the object, and
 * in the end all are; what a finalizer's object refers to is whole and not finalized before it; a weak reference or a link
 * yields its object whole and not finalized, or nothing; the value of an ephemeron is there as long as its key is, and not
 * when that is finalized.
 * The environment: stress.h. */
#include "stress.h"

#include <sched.h>
#include <stdatomic.h>

enum { KEPT = 128, SHARED = 64, WEAKS = 256, LINKS = 64, LIVES = 1 << 20, ROUNDS = 25 };

/* What must become of an object, outside of the heap. It is named by its index and generation, in a word that is no
 * address: odd, and small. */
struct life {
    _Atomic uint32_t generation;      /* when both counts are 0 and nobody holds it, the next object may have it */
    _Atomic int holders;              /* pointers that threads have to it, other objects not counted */
    _Atomic int finalizers, cleanups; /* to be called still */
    bool revives;                     /* its finalizer keeps it, once, and asks for another */
};

static struct life lives[LIVES];
static _Atomic uint32_t next_life;
static _Atomic unsigned long called[2], freed;

struct object {
    struct object *next; /* an older object */
    struct gc_ephemeron
        *its_own; /* with this as its key, and an object that nothing else refers to as its value; or NULL */
    uintptr_t name;
    bool revived_once; /* or is to be: it may be finalized, and be referred to after that */
    uint64_t stamp[6]; /* of the name */
};

static uintptr_t name_of(uint32_t i) { return (uintptr_t)(lives[i].generation % 2048) << 33 | (uintptr_t)i << 1 | 1; }
static struct life *life_of(uintptr_t name)
{
    uint32_t i = (uint32_t)(name >> 1);
    if (i >= LIVES || name != name_of(i))
        ck_abort_msg("%#lx is not the name of an object that exists", (unsigned long)name);
    return &lives[i];
}

static uint64_t stamp_of(uintptr_t name, size_t k)
{
    return (name * UINT64_C(0x9e3779b97f4a7c15) + k) | UINT64_C(1) << 63;
}

static void verify(const struct object *o)
{
    for (size_t k = 0; k < sizeof o->stamp / sizeof *o->stamp; k++)
        if (o->stamp[k] != stamp_of(o->name, k))
            ck_abort_msg("object %p: word %zu was overwritten", (const void *)o, k);
}

/* As long as a thread holds o. */
static void verify_value(struct object *o)
{
    struct object *value = o->its_own ? gc_ephemeron_value(o->its_own, o) : NULL;
    if (!o->its_own || o->revived_once)
        return;
    if (!value)
        ck_abort_msg("the value of an ephemeron is gone before its key");
    verify(value);
    if (life_of(value->name)->finalizers != 1)
        ck_abort_msg("the value of an ephemeron was finalized before its key");
}

/* ---- the calls ---- */

static struct object *_Atomic shared[SHARED];

static void finalizer(void *obj, void *arg);

/* The object lives on in the table. */
static void revive(struct object *o, struct life *l)
{
    l->revives = false;
    l->finalizers = 1;
    l->holders = 1;
    ck_assert_int_eq(gc_set_finalizer(o, finalizer, (void *)o->name, NULL, NULL), 0);
    struct object *other = atomic_exchange(&shared[o->name / 2 % SHARED], o);
    if (other)
        life_of(other->name)->holders--;
}

static void finalizer(void *obj, void *arg)
{
    struct object *o = obj;
    struct life *l = life_of((uintptr_t)arg);
    verify(o);
    ck_assert_uint_eq(o->name, (uintptr_t)arg);
    if (l->holders != 0)
        ck_abort_msg("finalized while %d hold it", l->holders);
    if (l->finalizers-- != 1)
        ck_abort_msg("finalized twice");
    if (o->next) {
        verify(o->next);
        if (!o->next->revived_once && life_of(o->next->name)->finalizers != 1)
            ck_abort_msg("finalized after what it refers to");
    }
    if (o->its_own && gc_ephemeron_value(o->its_own, o))
        ck_abort_msg("an ephemeron of a key that is finalized has a value");
    if (l->revives)
        revive(o, l);
    called[0]++;
}

static void cleanup(void *arg)
{
    struct life *l = life_of((uintptr_t)arg);
    if (l->holders != 0)
        ck_abort_msg("cleaned up while %d hold it", l->holders);
    if (l->finalizers != 0)
        ck_abort_msg("cleaned up before it was finalized");
    if (l->cleanups-- < 1)
        ck_abort_msg("cleaned up once too often");
    called[1]++;
}

/* ---- the threads ---- */

struct worker {
    uint64_t random; /* first: stress_run */
    struct object **kept;
    struct object **links; /* words that are not scanned */
    unsigned long objects;
};

static uint64_t next_random(struct worker *w) { return stress_random(&w->random); }

/* One that is over, or the table is full of those that are not. */
static uint32_t take_life(void)
{
    for (int tries = 0; tries < LIVES; tries++) {
        uint32_t i = next_life++ % LIVES;
        struct life *l = &lives[i];
        int none = 0;
        if (l->finalizers == 0 && l->cleanups == 0 && atomic_compare_exchange_strong(&l->holders, &none, 1)) {
            l->generation++;
            return i;
        }
    }
    ck_abort_msg("%d objects were not finalized", LIVES);
}

static void register_ends(struct worker *w, struct object *o, struct life *l)
{
    uint64_t r = next_random(w);
    o->revived_once = l->revives = r % 64 == 0;
    l->finalizers = 1;
    ck_assert_int_eq(gc_set_finalizer(o, finalizer, (void *)o->name, NULL, NULL), 0);
    for (l->cleanups = 0; l->cleanups < (int)(r >> 8) % 3;) {
        l->cleanups++;
        ck_assert_int_eq(gc_add_cleanup(o, cleanup, (void *)o->name), 0);
    }
}

static struct object *allocate(struct worker *w)
{
    uint64_t r = next_random(w);
    struct object *o =
        r % 2 ? gc_malloc(sizeof *o + r / 2 % 200) : gc_malloc_typed(GC_SPAN_LAYOUT(struct object, next, its_own));
    ck_assert_ptr_nonnull(o);
    return o;
}

static struct object *make(struct worker *w, struct object *next)
{
    struct object *o = allocate(w);
    uint32_t i = take_life();
    o->next = next;
    o->its_own = NULL;
    o->name = name_of(i);
    for (size_t k = 0; k < sizeof o->stamp / sizeof *o->stamp; k++)
        o->stamp[k] = stamp_of(o->name, k);
    register_ends(w, o, &lives[i]);
    w->objects++;
    return o;
}

/* The caller's pointer is gone after it. */
static void drop(struct object *o)
{
    if (o)
        life_of(o->name)->holders--;
}

static struct object *make_with_value(struct worker *w)
{
    struct object *o = make(w, NULL), *value = make(w, NULL);
    o->its_own = gc_ephemeron_new(o, value);
    ck_assert_ptr_nonnull(o->its_own);
    life_of(value->name)->holders--;
    return o;
}

/* Nobody else knows it: its finalizer is dropped, its cleanups are called. */
static void make_and_free(struct worker *w)
{
    struct object *o = make(w, NULL);
    struct life *l = life_of(o->name);
    l->finalizers = 0;
    l->holders = 0;
    freed++;
    gc_free(o);
}

static struct gc_weak *weaks[WEAKS];
static uintptr_t weak_names[WEAKS];
static pthread_mutex_t weak_lock[WEAKS];

static void set_weak(size_t i, struct object *o)
{
    pthread_mutex_lock(&weak_lock[i]);
    gc_weak_free(weaks[i]);
    weaks[i] = gc_weak_new(o->stamp + i % 6);
    weak_names[i] = o->name;
    ck_assert_ptr_nonnull(weaks[i]);
    pthread_mutex_unlock(&weak_lock[i]);
}

/* What it yields is held from now on. It is whole, and its end has not come, so its name is still its own. */
static struct object *get_weak(size_t i)
{
    struct object *o = NULL;
    pthread_mutex_lock(&weak_lock[i]);
    uint64_t *p = weaks[i] ? gc_weak_get(weaks[i]) : NULL;
    if (p) {
        o = (struct object *)((char *)(p - i % 6) - offsetof(struct object, stamp));
        ck_assert_uint_eq(o->name, weak_names[i]);
        verify(o);
        struct life *l = life_of(o->name);
        l->holders++;
        if (l->finalizers != 1)
            ck_abort_msg("a weak reference yielded what was finalized");
    }
    pthread_mutex_unlock(&weak_lock[i]);
    return o;
}

/* What the word held is held by the caller. */
static struct object *swap_link(struct object *volatile *link, struct object *o)
{
    struct object *was = *link;
    if (was) {
        verify(was);
        struct life *l = life_of(was->name);
        l->holders++;
        if (l->finalizers != 1)
            ck_abort_msg("a link yielded what was finalized");
    }
    if (o) {
        *link = o;
        ck_assert_int_eq(gc_weak_link((void **)(uintptr_t)link), 0);
    } else if (was) {
        ck_assert_int_eq(gc_weak_unlink((void **)(uintptr_t)link), 0);
        *link = NULL;
    }
    return was;
}

static void step(struct worker *w, struct object **slot)
{
    uint64_t r = next_random(w);
    struct object *o = *slot;
    if (o) {
        verify(o);
        verify_value(o);
    }
    switch (r % 10) {
    case 0:
        *slot = atomic_exchange(&shared[r / 16 % SHARED], o);
        break;
    case 1:
        *slot = NULL;
        drop(o);
        break;
    case 2:
        if (o)
            set_weak(r / 16 % WEAKS, o);
        break;
    case 3:
        *slot = get_weak(r / 16 % WEAKS);
        drop(o);
        break;
    case 4:
        if (r / 16 % 512 == 0)
            gc_collect();
        else if (r / 16 % 512 == 1)
            gc_run_finalizers();
        else if (r / 16 % 8 == 2)
            make_and_free(w);
        break;
    case 8:
        *slot = swap_link(&w->links[r / 16 % LINKS], o);
        drop(o);
        break;
    case 9:
        *slot = make_with_value(w);
        drop(o);
        break;
    default:
        *slot = make(w, r / 16 % 4 ? NULL : o);
        drop(o);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    int rounds = 0;
    w->kept = gc_calloc(KEPT, sizeof *w->kept);
    w->links = gc_calloc_noscan(LINKS, sizeof *w->links);
    ck_assert(w->kept && w->links);
    do {
        for (int i = 0; i < 1000; i++)
            step(w, &w->kept[next_random(w) % KEPT]);
    } while (stress_seconds ? !stress_time_is_up() : ++rounds < ROUNDS);
    for (size_t i = 0; i < KEPT; i++) {
        struct object *o = w->kept[i];
        w->kept[i] = NULL;
        drop(o);
    }
    return NULL;
}

static void drop_shared(void)
{
    for (size_t i = 0; i < SHARED; i++)
        drop(atomic_exchange(&shared[i], NULL));
}

/* A word of a stack may hold one or another, and all that this refers to. */
static unsigned long count_unfinished(void)
{
    unsigned long n = 0;
    for (size_t i = 0; i < LIVES; i++)
        n += lives[i].finalizers != 0 || lives[i].cleanups != 0;
    return n;
}

/* An object that refers to others is finalized before they are: a collection for each of a chain. */
static void finish_all(void)
{
    unsigned long left = count_unfinished();
    for (int i = 0; i < 1000 && left > 0; i++) {
        drop_shared();
        gc_collect();
        while (gc_finalizers_pending() > 0)
            if (gc_run_finalizers() == 0)
                sched_yield();
        left = count_unfinished();
    }
    fprintf(stderr, "%lu finalizers and %lu cleanups called, %lu objects left\n", called[0], called[1], left);
    ck_assert_uint_le(left, 100);
}

START_TEST(ends)
{
    static struct worker workers[STRESS_THREADS_MAX];
    unsigned long objects = 0;
    for (size_t i = 0; i < WEAKS; i++)
        pthread_mutex_init(&weak_lock[i], NULL);
    stress_run(work, workers, sizeof *workers);
    for (unsigned long i = 0; i < stress_threads; i++)
        objects += workers[i].objects;
    finish_all();
    ck_assert_uint_ge(called[0] + freed, objects - 100);
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, ends); }
CHECK_MAIN("stress/ends", tests)
