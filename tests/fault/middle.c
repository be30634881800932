/* middle.c - threads that are stopped in the middle of the C library's own work, with its locks held: malloc, stdio,
 * dlopen, locale and time, exit handlers. 1,000 collections take place, none is given up, nothing hangs (the alarm), and
 * what those threads hold is there. Holds stop.all, cycle.quiet, cycle.still. */
#include "../api/helpers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { LIMIT_SECONDS = 250, COLLECTIONS = 1000, LEAST = 50, SIZE = 64 };

static _Atomic bool enough;
static _Atomic int rounds[16];

static void allocate(unsigned i)
{
    void *p[64];
    for (unsigned k = 0; k < 64; k++)
        p[k] = malloc(1 + (i * 7919 + k * 104729) % (k % 16 ? 2000 : 300000));
    for (unsigned k = 0; k < 64; k += 2)
        p[k] = realloc(p[k], 5000);
    for (unsigned k = 0; k < 64; k++)
        free(p[k]);
}

static FILE *out;

static void print(unsigned i)
{
    fprintf(out, "round %u of %s: %g\n", i, "many", i / 3.0);
    if (i % 16 == 0)
        fflush(out);
    FILE *f = fopen("/dev/null", "w");
    if (f) {
        fputs("a line\n", f);
        fclose(f);
    }
}

static void load(unsigned i)
{
    static const char *const names[] = {"libthread_db.so.1", "libBrokenLocale.so.1", "libanl.so.1"};
    void *library = dlopen(names[i % 3], RTLD_NOW | RTLD_LOCAL);
    if (library)
        dlclose(library);
}

static void tell_time(unsigned i)
{
    struct tm tm;
    char text[64];
    time_t t = (time_t)i * 100000;
    localtime_r(&t, &tm);
    strftime(text, sizeof text, "%c", &tm);
    if (mktime(&tm) == 12345)
        abort();
}

static void nothing(void *unused) { (void)unused; }

static void *start_and_end(void *unused)
{
    pthread_cleanup_push(nothing, NULL);
    pthread_cleanup_pop(1);
    return unused;
}

static void make_thread(unsigned i)
{
    pthread_t t;
    pthread_key_t key;
    (void)i;
    if (pthread_key_create(&key, nothing) == 0)
        pthread_key_delete(key);
    if (pthread_create(&t, NULL, start_and_end, NULL) == 0)
        pthread_join(t, NULL);
}

static const struct job {
    const char *name;
    void (*fn)(unsigned i);
} jobs[] = {{"malloc", allocate}, {"stdio", print}, {"dlopen", load}, {"time", tell_time}, {"threads", make_thread}};
enum { JOBS = sizeof jobs / sizeof *jobs };

/* An object of its own, held by its stack, is looked at each round. */
static void *work(void *arg)
{
    const struct job *job = arg;
    size_t n = (size_t)(job - jobs);
    void *held = make_filled(SIZE, n);
    for (unsigned i = 0; !enough; i++) {
        job->fn(i);
        check_live(held, SIZE, n);
        if (i % 8 == 0) {
            churn(SIZE, 20);
            held = make_filled(SIZE, n);
        }
        rounds[n]++;
    }
    return NULL;
}

static _Atomic int warnings;

static void count_warning(const char *message)
{
    fprintf(stderr, "%s\n", message);
    warnings++;
}

static void collect_beside(size_t first, size_t n)
{
    pthread_t t[2 * JOBS];
    uint64_t before = read_stats(&(struct gc_memstats){0})->num_gc;
    gc_set_warn_handler(count_warning);
    out = fopen("/dev/null", "w");
    alarm(LIMIT_SECONDS);
    for (size_t i = 0; i < 2 * n; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, work, (void *)&jobs[first + i / 2]), 0);
    for (int i = 0; i < share_of(COLLECTIONS); i++)
        gc_collect();
    for (size_t i = first; i < first + n; i++)
        while (rounds[i] < LEAST)
            gc_collect();
    enough = true;
    for (size_t i = 0; i < 2 * n; i++)
        pthread_join(t[i], NULL);
    ck_assert_int_eq(warnings, 0);
    ck_assert_uint_ge(read_stats(&(struct gc_memstats){0})->num_gc - before, share_of(COLLECTIONS));
}

/* Two threads of each. */
START_TEST(in) { collect_beside((size_t)_i, 1); }
END_TEST
START_TEST(in_any) { collect_beside(0, JOBS); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, in, 0, JOBS);
    tcase_add_test(tc, in_any);
}
CHECK_MAIN("fault/middle", tests)
