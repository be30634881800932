/* handover.c - threads that allocate objects of every size, keep some, pass some to each other through a shared table,
 * resize and free some, and check what is written in each for as long as it is held.
 * The environment: stress.h. */
#include "stress.h"

enum { KEPT = 256, SHARED = 64, LARGE = 200000, ROUNDS = 25 };

struct object {
    struct object *next; /* another object of the thread: makes chains for the collector to follow */
    size_t size;         /* asked for, this header included */
    uint64_t stamp;      /* in every whole word after the header */
};

static struct object *shared[SHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

struct worker {
    uint64_t random; /* first: stress_run */
    bool on_stack;   /* it keeps its objects in an array on its stack, not in an object */
    unsigned long objects;
};

static uint64_t next_random(struct worker *w) { return stress_random(&w->random); }

/* Mostly small, sometimes as large as a few spans. */
static size_t random_size(struct worker *w)
{
    uint64_t r = next_random(w);
    size_t limit = r % 64 == 0 ? LARGE : r % 8 == 0 ? 4096 : 256;
    return sizeof(struct object) + (r >> 16) % limit;
}

static size_t payload_words(const struct object *o) { return (o->size - sizeof *o) / sizeof(uint64_t); }

static void fill(struct object *o)
{
    uint64_t *word = (uint64_t *)(o + 1);
    for (size_t i = 0; i < payload_words(o); i++)
        word[i] = o->stamp;
}

static void verify_words(const struct object *o, size_t n)
{
    const uint64_t *word = (const uint64_t *)(o + 1);
    for (size_t i = 0; i < n; i++)
        if (word[i] != o->stamp)
            ck_abort_msg("object %p of %zu bytes: word %zu is %llx, not %llx", (const void *)o, o->size, i,
                         (unsigned long long)word[i], (unsigned long long)o->stamp);
}

static void verify(const struct object *o) { verify_words(o, payload_words(o)); }

static struct object *make(struct worker *w, struct object *next)
{
    size_t size = random_size(w);
    struct object *o = gc_malloc(size);
    if (!o)
        ck_abort_msg("gc_malloc(%zu) failed", size);
    /* An odd stamp is no address of an object, so nothing hangs on it. */
    *o = (struct object){next, size, next_random(w) | 1};
    fill(o);
    w->objects++;
    return o;
}

static struct object *resize(struct worker *w, struct object *o)
{
    size_t old = payload_words(o), size = random_size(w);
    o = gc_realloc(o, size);
    if (!o)
        ck_abort_msg("gc_realloc to %zu bytes failed", size);
    o->size = size;
    verify_words(o, old < payload_words(o) ? old : payload_words(o));
    fill(o);
    return o;
}

static struct object *swap_shared(struct worker *w, struct object *o)
{
    size_t i = next_random(w) % SHARED;
    pthread_mutex_lock(&shared_lock);
    struct object *other = shared[i];
    shared[i] = o;
    pthread_mutex_unlock(&shared_lock);
    return other;
}

/* Chains stay short: an object's next is dropped after it was checked. */
static void step(struct worker *w, struct object **slot)
{
    struct object *o = *slot;
    if (o) {
        verify(o);
        if (o->next)
            verify(o->next);
        o->next = NULL;
    }
    switch (next_random(w) % 8) {
    case 0:
        *slot = swap_shared(w, o);
        break;
    case 1:
        *slot = NULL;
        gc_free(o);
        break;
    case 2:
        *slot = o ? resize(w, o) : NULL;
        break;
    case 3:
        *slot = NULL;
        break;
    default:
        *slot = make(w, o);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct object *on_stack[KEPT] = {NULL};
    struct object **kept = w->on_stack ? on_stack : gc_calloc(KEPT, sizeof *kept);
    ck_assert_ptr_nonnull(kept);
    int rounds = 0;
    do {
        for (int i = 0; i < 1000; i++)
            step(w, &kept[next_random(w) % KEPT]);
    } while (stress_seconds ? !stress_time_is_up() : ++rounds < ROUNDS);
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i])
            verify(kept[i]);
    gc_keep_alive(kept);
    return NULL;
}

START_TEST(handover)
{
    static struct worker workers[STRESS_THREADS_MAX];
    unsigned long objects = 0;
    for (unsigned long i = 0; i < STRESS_THREADS_MAX; i++)
        workers[i].on_stack = i % 2;
    stress_run(work, workers, sizeof *workers);
    for (unsigned long i = 0; i < stress_threads; i++)
        objects += workers[i].objects;
    struct gc_memstats st;
    gc_collect();
    gc_read_memstats(&st);
    fprintf(stderr, "%lu objects, %llu collections\n", objects, (unsigned long long)st.num_gc);
    ck_assert_uint_ge(st.mallocs, objects);
    ck_assert_uint_eq(st.mallocs - st.frees, st.heap_objects);
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, handover); }
CHECK_MAIN("stress/handover", tests)
