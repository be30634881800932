/* late.c - the library opened with dlopen by a program that was not linked with it: threads that were there before, the
 * main one among them, and those made later are found, with their stacks, their variables and their values. Holds
 * unknown.counted. This program knows the library only by what dlsym gives. */
#include "../check_main.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <spangc.h>
#include <string.h>
#include <unistd.h>

enum { N = 120, THIRD = N / 3, SIZE = 64 };

static void *(*call_malloc)(size_t);
static void *(*call_base)(const void *);
static void (*call_collect)(void);
static const char *(*call_features)(void);

static void *symbol(void *library, const char *name)
{
    void *p = dlsym(library, name);
    if (!p)
        ck_abort_msg("%s: %s", name, dlerror());
    return p;
}

static void open_library(void)
{
    char path[4096];
    const char *top = getenv("top_builddir");
    snprintf(path, sizeof path, "%s/.libs/libspangc.so", top ? top : ".");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        ck_abort_msg("%s", dlerror());
    call_malloc = (void *(*)(size_t))symbol(library, "gc_malloc");
    call_base = (void *(*)(const void *))symbol(library, "gc_base");
    call_collect = (void (*)(void))symbol(library, "gc_collect");
    call_features = (const char *(*)(void))symbol(library, "gc_features");
}

static uintptr_t hidden[N];
static pthread_key_t keys[THIRD];
static _Thread_local void *volatile own[THIRD];

/* Frames far from the thread's variables, and from the collecting function's. */
static __attribute__((noinline)) void far_down(void (*fn)(void))
{
    volatile char gap[32 * 1024];
    gap[0] = 0;
    fn();
    gap[1] = gap[0];
}

static void build(void)
{
    for (int i = 0; i < N; i++)
        hidden[i] = ~(uintptr_t)memset(call_malloc(SIZE), 0x80 | i, SIZE);
}

static void churn(void)
{
    for (int i = 0; i < 4 * N; i++)
        memset(call_malloc(SIZE), 0xee, SIZE);
}

static void check_hidden(void)
{
    for (int i = 0; i < N; i++) {
        unsigned char *p = (void *)~hidden[i];
        if (call_base(p) != p || p[0] != (0x80 | i) || p[SIZE - 1] != p[0])
            ck_abort_msg("object %d at %p was lost", i, (void *)p);
    }
}

static void collect_around(void)
{
    for (int i = 0; i < 3; i++) {
        call_collect();
        far_down(churn);
    }
    check_hidden();
}

static sem_t built, holding, leave;

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void hold(void)
{
    void *volatile local[THIRD];
    for (int i = 0; i < THIRD; i++) {
        local[i] = (void *)~hidden[i];
        own[i] = (void *)~hidden[THIRD + i];
        pthread_setspecific(keys[i], (void *)~hidden[2 * THIRD + i]);
    }
    sem_post(&holding);
    wait_for(&leave);
    __asm__ volatile("" : : "r"(local) : "memory");
}

static void *hold_when_built(void *unused)
{
    wait_for(&built);
    far_down(hold);
    return unused;
}

static void begin(void)
{
    for (int i = 0; i < THIRD; i++)
        ck_assert_int_eq(pthread_key_create(&keys[i], NULL), 0);
    sem_init(&built, 0, 0);
    sem_init(&holding, 0, 0);
    sem_init(&leave, 0, 0);
}

static void start(pthread_t *t, void *(*fn)(void *)) { ck_assert_int_eq(pthread_create(t, NULL, fn, NULL), 0); }

/* _i: whether the thread is made before. */
START_TEST(a_thread)
{
    pthread_t t;
    begin();
    if (_i)
        start(&t, hold_when_built);
    open_library();
    if (!_i)
        start(&t, hold_when_built);
    far_down(build);
    sem_post(&built);
    wait_for(&holding);
    collect_around();
    sem_post(&leave);
    pthread_join(t, NULL);
    call_collect();
}
END_TEST

static void *open_and_collect(void *unused)
{
    open_library();
    far_down(build);
    sem_post(&built);
    wait_for(&holding);
    collect_around();
    sem_post(&leave);
    return unused;
}

START_TEST(the_main_thread)
{
    pthread_t t;
    begin();
    start(&t, open_and_collect);
    hold_when_built(NULL);
    pthread_join(t, NULL);
    ck_assert_ptr_nonnull(strstr(call_features(), "tls=all"));
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, a_thread, 0, 2);
    tcase_add_test(tc, the_main_thread);
}
CHECK_MAIN("api/late", tests)
