/* bench.h - one small set of calls behind which the same benchmark runs on spangc (the default), on bdwgc
 * (-DBENCH_BDWGC) and on malloc with explicit free (-DBENCH_MALLOC; another malloc by LD_PRELOAD).
 *
 * BENCH_FREES is 1 where memory must be given back by hand. A program may skip a walk that only frees when it is 0,
 * since a program written for a collector would not contain it.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined BENCH_BDWGC
#ifndef GC_THREADS
#define GC_THREADS
#endif
#include <gc.h>
#define BENCH_FREES 0
#elif defined BENCH_MALLOC
#define BENCH_FREES 1
#else
#include <spangc.h>
#define BENCH_FREES 0
#endif

_Noreturn static inline void bench_die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline void *bench_checked(void *p)
{
    if (__builtin_expect(p == NULL, 0))
        bench_die("out of memory");
    return p;
}

/* Starts the allocator; first thing in main. */
static inline void bench_init(void)
{
#if defined BENCH_BDWGC
    GC_INIT();
    GC_start_mark_threads(); /* else only a second thread starts them; the peer shall run at its best */
#elif !defined BENCH_MALLOC
    if (gc_init() != 0)
        bench_die("gc_init failed");
#endif
}

/* n bytes that are scanned and zeroed. */
static inline void *bench_alloc(size_t n)
{
#if defined BENCH_BDWGC
    return bench_checked(GC_MALLOC(n));
#elif defined BENCH_MALLOC
    return bench_checked(calloc(1, n));
#else
    return bench_checked(gc_malloc(n));
#endif
}

/* n bytes that are scanned and that the caller fills at once: a malloc program pays for no zeros it does not need. */
static inline void *bench_alloc_filled(size_t n)
{
#if defined BENCH_MALLOC
    return bench_checked(malloc(n));
#else
    return bench_alloc(n);
#endif
}

/* n bytes that are never scanned, with any contents. */
static inline void *bench_alloc_noscan(size_t n)
{
#if defined BENCH_BDWGC
    return bench_checked(GC_MALLOC_ATOMIC(n));
#elif defined BENCH_MALLOC
    return bench_checked(malloc(n));
#else
    return bench_checked(gc_malloc_noscan(n));
#endif
}

/* Gives p back by hand; nothing where a collector does it. */
static inline void bench_free(void *p)
{
#if defined BENCH_MALLOC
    free(p);
#else
    (void)p;
#endif
}

/* A full collection; nothing where memory is given back by hand. */
static inline void bench_collect(void)
{
#if defined BENCH_BDWGC
    GC_gcollect();
#elif !defined BENCH_MALLOC
    gc_collect();
#endif
}

/* Has the allocator give all memory that is free back to the system. A malloc that may be preloaded is asked by a name
 * of its own. */
static inline void bench_release(void)
{
#if defined BENCH_BDWGC
    GC_gcollect(); /* what a collection finds free, later ones unmap */
    GC_gcollect();
    GC_gcollect_and_unmap();
#elif defined BENCH_MALLOC
    int (*trim)(size_t) = (int (*)(size_t))dlsym(RTLD_DEFAULT, "malloc_trim");
    int (*control)(const char *, void *, size_t *, void *, size_t) =
        (int (*)(const char *, void *, size_t *, void *, size_t))dlsym(RTLD_DEFAULT, "mallctl");
    void (*collect)(_Bool) = (void (*)(_Bool))dlsym(RTLD_DEFAULT, "mi_collect");
    void (*idle)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "MallocExtension_MarkThreadIdle");
    void (*release)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory");

    if (control != NULL) { /* jemalloc; 4096 is MALLCTL_ARENAS_ALL */
        control("thread.tcache.flush", NULL, NULL, NULL, 0);
        control("arena.4096.purge", NULL, NULL, NULL, 0);
    }
    if (collect != NULL)
        collect(1);
    if (idle != NULL) /* tcmalloc: gives its cache back */
        idle();
    if (release != NULL)
        release();
    if (trim != NULL)
        trim(0);
#else
    gc_release_memory();
#endif
}

/* The compiler must believe that p and what it points to are looked at here. */
static inline void bench_use(void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts what it is given. */
static inline double bench_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, bench_by_value);
    return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Seconds of wall time since an arbitrary start. */
static inline double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* xorshift64: the same numbers for every allocator; *x is not 0. */
static inline uint64_t bench_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* The argument argv[i] as a number in [lo, hi], or otherwise when there is none. */
static inline long bench_arg(int argc, char **argv, int i, long otherwise, long lo, long hi)
{
    char *end;
    long v;

    if (i >= argc)
        return otherwise;
    v = strtol(argv[i], &end, 10);
    if (end == argv[i] || *end != '\0' || v < lo || v > hi) {
        fprintf(stderr, "%s: argument %d is \"%s\"; it must be a number from %ld to %ld\n", argv[0], i, argv[i], lo,
                hi);
        exit(2);
    }
    return v;
}

static inline void bench_start_thread(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    if (pthread_create(t, attr, fn, arg) != 0)
        bench_die("pthread_create failed");
}

static inline void bench_join_thread(pthread_t t)
{
    if (pthread_join(t, NULL) != 0)
        bench_die("pthread_join failed");
}

#endif
