/* endreports.c - what SPANGC_DEBUG=finalizers=1 says of finalizers and cleanups, each scene in a process of its own, and
 * that nothing is said without it. */
#include "helpers.h"

enum { SIZE = 48 };

struct node {
    struct node *next;
    char rest[SIZE - 8];
};

static void finalizer(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
}

static NOINLINE struct node *make(struct node *next)
{
    struct node *n = gc_malloc(sizeof *n);
    n->next = next;
    if (gc_set_finalizer(n, finalizer, NULL, NULL, NULL) != 0)
        abort(); /* in a scene nothing can be asserted */
    return n;
}

static NOINLINE void make_chain(void)
{
    struct node *next = NULL;
    for (int i = 0; i < 5; i++)
        next = make(next);
}

/* And one that leads to the rings and is in none. */
static NOINLINE void make_rings(void)
{
    struct node *a = make(NULL), *b = make(a), *self = make(NULL);
    a->next = b;
    self->next = self;
    make(a);
}

static void slowly(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    usleep(1100000);
    gc_collect();
    gc_collect();
}

static NOINLINE void make_slow(void)
{
    if (gc_set_finalizer(gc_malloc(SIZE), slowly, NULL, NULL, NULL) != 0)
        abort();
}

/* The argument is there, and what it refers to, however it was marked. */
static void cleanup(void *arg)
{
    struct node *n = arg;
    churn(SIZE, 100);
    check_live(n->next, SIZE, 1);
}

static NOINLINE struct node *make_argument(void *next)
{
    struct node *n = gc_malloc(sizeof *n);
    n->next = next;
    return n;
}

static void add_cleanup(void *obj, void *arg)
{
    if (gc_add_cleanup(obj, cleanup, arg) != 0)
        abort();
}

static NOINLINE void make_leading(void)
{
    void *obj = gc_malloc(SIZE);
    add_cleanup(obj, make_argument(make_argument(obj)));
}

static NOINLINE void make_leading_finalizer(void)
{
    struct node *obj = gc_malloc(SIZE);
    if (gc_set_finalizer(obj, finalizer, make_argument(obj), NULL, NULL) != 0)
        abort();
}

static NOINLINE void make_elsewhere(void)
{
    for (int i = 0; i < 10; i++)
        add_cleanup(gc_malloc(SIZE), make_argument(make_filled(SIZE, 1)));
}

static void *held;

static NOINLINE void make_held(void)
{
    held = gc_malloc(SIZE);
    add_cleanup(held, make_argument(held));
}

static const struct scene_of {
    const char *name;
    void (*make)(void);
    const char *said;
    size_t times;
} scenes[] = {
    {"chain", make_chain, "spangc: ", 0},
    {"rings", make_rings, "leads to itself", 2},
    {"argument", make_leading, "is never called: its argument leads to the object", 1},
    {"argument of a finalizer", make_leading_finalizer, "the finalizer ", 1},
    {"argument that does not", make_elsewhere, "spangc: ", 0},
    {"object that is held", make_held, "spangc: ", 0},
    {"slow", make_slow, "a finalizer took ", 1},
    {"still running", make_slow, "a finalizer or cleanup has been running for ", 1},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static NOINLINE int scene(const char *name)
{
    gc_finalizer_mode(GC_SPAN_FINALIZE_ON_DEMAND);
    for (size_t i = 0; i < SCENES; i++)
        if (strcmp(name, scenes[i].name) == 0)
            scenes[i].make();
    for (int i = 0; i < 3; i++) {
        gc_collect_without_stacks();
        gc_run_finalizers();
    }
    return 0;
}

START_TEST(says)
{
    static const char *const env[] = {"SPANGC_DEBUG=finalizers=1", NULL};
    const struct scene_of *s = &scenes[_i];
    struct outcome o;
    run_scene(s->name, env, &o);
    must_exit_0(&o);
    if (s->make != make_slow)
        drop_lines(o.text, " ms: function "); /* on a busy machine any call may take a second */
    if (count_of(o.text, s->said) != s->times)
        ck_abort_msg("%s: not %zu times \"%s\": %s", s->name, s->times, s->said, o.text);
    run_scene(s->name, NULL, &o);
    must_exit_0(&o);
    ck_assert_uint_eq(count_lines(o.text), 0);
}
END_TEST

static void tests(TCase *tc) { tcase_add_loop_test(tc, says, 0, SCENES); }

int main(int argc, char **argv) { return argc > 1 ? scene(argv[1]) : check_main("api/endreports", tests); }
