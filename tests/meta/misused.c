/* misused.c - a program that does one thing wrong with the heap, or nothing: see misused.sh. */
#include <spangc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((__noinline__))

struct item {
    struct item *next;
    char text[32];
};

static struct item *volatile kept;
static char *volatile stale;
static uintptr_t hidden;

NOINLINE static struct item *make_item(void)
{
    struct item *i = gc_malloc(sizeof *i);
    strcpy(i->text, "text");
    return i;
}

NOINLINE static char *make_text(size_t n)
{
    char *p = gc_malloc_noscan(n);
    memset(p, 'x', n);
    return p;
}

static void past_the_end(void)
{
    char *volatile p = make_text(20);
    p[20] = 0;
    gc_free(p);
}

static void past_the_end_and_kept(void)
{
    kept = make_item();
    ((char *volatile)kept)[sizeof *kept + 3] = 1;
    gc_collect();
}

static void past_the_end_of_a_small_one(void)
{
    char *volatile p = make_text(3);
    p[3] = 'x';
    gc_free(p);
}

static void past_the_end_of_a_large_one(void)
{
    char *volatile p = make_text(100000);
    p[100000] = 'x';
    gc_free(p);
}

static void after_free(void)
{
    stale = (char *)make_item();
    gc_free((void *)stale);
    stale[9] = 'y';
    gc_collect();
}

static void read_after_free(void)
{
    stale = (char *)make_item();
    gc_free((void *)stale);
    printf("%c\n", stale[9]);
}

NOINLINE static void hide_one(void) { hidden = ~(uintptr_t)make_item(); }

/* A pointer that the collector cannot see. */
static void after_collection(void)
{
    hide_one();
    gc_clear_stack(65536);
    gc_collect();
    ((char *volatile)~hidden)[16] = 1;
    gc_collect();
}

static void freed_twice(void)
{
    struct item *i = make_item();
    gc_free(i);
    gc_free(i);
}

static void freed_inside(void) { gc_free(make_item()->text); }

/* Everything that may be done. */
static void *right(void *unused)
{
    (void)unused;
    for (int round = 0; round < 20; round++) {
        for (size_t n = 1; n < 300; n += 7) {
            char *p = make_text(n), *q = gc_aligned_alloc(64, n), *s = gc_strdup("some text");
            if ((uintptr_t)q % 64 || gc_usable_size(p) != n || gc_base(p + n - 1) != p || gc_usable_size(q) < n)
                abort();
            memset(q, 1, n);
            p = gc_realloc(p, 2 * n);
            if (p[0] != 'x' || p[n - 1] != 'x')
                abort();
            memset(p, 'x', 2 * n);
            p = gc_realloc(p, n / 2 + 1);
            kept = make_item();
            kept->next = make_item();
            gc_free(round % 2 ? p : s);
        }
        char *u = gc_malloc_uncollectable(round * 100 + 1);
        memset(u, 1, round * 100 + 1);
        gc_free(u);
        gc_free(make_text(50000));
        gc_collect();
    }
    return NULL;
}

static void nothing(void)
{
    pthread_t t;
    pthread_create(&t, NULL, right, NULL);
    right(NULL);
    pthread_join(t, NULL);
}

/* ---- leaks ---- */

NOINLINE static void lose_three(void)
{
    for (volatile int i = 0; i < 4; i++) {
        stale = (char *)make_item();
        if (i == 3)
            gc_free((void *)stale);
    }
}

NOINLINE static void lose_large(void) { stale = make_text(40000); }

static void leaking(void)
{
    kept = make_item();
    lose_three();
    lose_large();
    stale = NULL;
    gc_free(make_text(100));
    gc_clear_stack(65536);
}

static void not_leaking(void)
{
    kept = make_item();
    gc_free(make_item());
}

static const struct {
    const char *name;
    void (*fn)(void);
} deeds[] = {
    {"past-the-end", past_the_end},
    {"past-the-end-and-kept", past_the_end_and_kept},
    {"past-the-end-of-a-small-one", past_the_end_of_a_small_one},
    {"past-the-end-of-a-large-one", past_the_end_of_a_large_one},
    {"after-free", after_free},
    {"read-after-free", read_after_free},
    {"after-collection", after_collection},
    {"freed-twice", freed_twice},
    {"freed-inside", freed_inside},
    {"nothing", nothing},
    {"leaking", leaking},
    {"not-leaking", not_leaking},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof deeds / sizeof *deeds; i++)
        if (strcmp(argv[1], deeds[i].name) == 0)
            deeds[i].fn();
    return 0;
}
