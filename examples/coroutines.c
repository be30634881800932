/* coroutines.c - a pipeline of generators, each a coroutine on a stack of its own:
 *
 *     lines of the files -> their words -> words of some length -> pairs of neighbours -> counts
 *
 * usage: coroutines [-n PAIRS] [-l LETTERS] [-w WORDS] [FILE...]
 *
 * Prints the PAIRS (10) most frequent pairs of neighbouring words, of words with at least LETTERS (4) letters; stops
 * after WORDS words (0: never), leaving the generators where they are.
 *
 * Lines, words and pairs are held by nothing but local variables of generators that are suspended: the collector finds
 * them on their stacks. gc_stack_set_context tells it where a stack was left. For that, whoever leaves a stack saves
 * its registers in the one context that belongs to it: `here` of the generator that runs there. */
#include <ctype.h>
#include <errno.h>
#include <spangc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static void *must(void *p)
{
    if (!p)
        exit(EXIT_FAILURE); /* the library has said why */
    return p;
}

/* ---- generators ---- */

struct gen {
    ucontext_t here;        /* where it was left */
    struct gc_stack *stack; /* NULL for the main program */
    struct gen *consumer;   /* who asked it for an item */
    void (*run)(struct gen *self, void *arg);
    void *arg;
    void *item; /* handed to the consumer; NULL: there are no more */
};

static struct gen program;             /* stands for main */
static struct gen *current = &program; /* whose stack we are on */

static void go_to(struct gen *to)
{
    struct gen *from = current;
    current = to;
    swapcontext(&from->here, &to->here);
}

static void begin(void)
{
    struct gen *self = current;
    self->run(self, self->arg);
    self->item = NULL;
    gc_stack_finish(self->stack);
    go_to(self->consumer);
}

static struct gen *generate(void (*run)(struct gen *self, void *arg), void *arg)
{
    struct gen *g = must(gc_malloc(sizeof *g));
    g->run = run;
    g->arg = arg;
    g->stack = must(gc_stack_alloc(0));
    getcontext(&g->here);
    g->here.uc_stack.ss_sp = g->stack->lo;
    g->here.uc_stack.ss_size = (size_t)((char *)g->stack->hi - (char *)g->stack->lo);
    makecontext(&g->here, begin, 0);
    gc_stack_set_context(g->stack, &g->here);
    return g;
}

/* The stack of a generator that nobody asks any more goes, wherever it is suspended. */
static void end(struct gen *g)
{
    gc_stack_free(g->stack);
    g->stack = NULL;
}

static void *next(struct gen *g)
{
    if (!g->stack)
        return NULL;
    g->consumer = current;
    go_to(g);
    if (!g->item)
        end(g);
    return g->item;
}

static void yield(struct gen *self, void *item)
{
    self->item = item;
    go_to(self->consumer);
}

/* ---- the stages ---- */

static char **files;
static bool failed;

static void lines_of(struct gen *self, const char *name, FILE *in)
{
    char *line = NULL;
    size_t room = 0;
    errno = 0;
    while (getline(&line, &room, in) > 0)
        yield(self, must(gc_strdup(line)));
    if (ferror(in)) {
        fprintf(stderr, "coroutines: %s: %s\n", name, strerror(errno));
        failed = true;
    }
    free(line);
}

static void lines(struct gen *self, void *unused)
{
    (void)unused;
    if (!*files)
        lines_of(self, "standard input", stdin);
    for (char **name = files; *name; name++) {
        FILE *in = fopen(*name, "r");
        if (!in) {
            fprintf(stderr, "coroutines: %s: %s\n", *name, strerror(errno));
            failed = true;
            continue;
        }
        lines_of(self, *name, in);
        fclose(in);
    }
}

static void words(struct gen *self, void *source)
{
    for (char *line; (line = next(source)) != NULL;) {
        for (char *p = line; *p;) {
            size_t n = 0;
            for (; isalpha((unsigned char)p[n]); n++)
                p[n] = (char)tolower((unsigned char)p[n]);
            if (n > 0)
                yield(self, must(gc_strndup(p, n)));
            p += n + (p[n] != 0);
        }
    }
}

static size_t least_letters = 4;

static void long_words(struct gen *self, void *source)
{
    for (char *word; (word = next(source)) != NULL;)
        if (strlen(word) >= least_letters)
            yield(self, word);
}

static void pairs(struct gen *self, void *source)
{
    char *before = next(source);
    for (char *word; before && (word = next(source)) != NULL; before = word) {
        char *pair;
        if (gc_asprintf(&pair, "%s %s", before, word) < 0)
            exit(EXIT_FAILURE);
        yield(self, pair);
    }
}

/* ---- counting ---- */

enum { BUCKETS = 4096 };

struct count {
    struct count *next;
    const char *text;
    size_t n;
};

static struct count *table[BUCKETS];
static size_t different;

static void count(const char *text)
{
    size_t h = 5381;
    for (const char *p = text; *p; p++)
        h = h * 33 + (unsigned char)*p;
    struct count **at = &table[h % BUCKETS];
    while (*at && strcmp((*at)->text, text) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = must(gc_malloc(sizeof **at));
        (*at)->text = text;
        different++;
    }
    (*at)->n++;
}

static int by_count(const void *a, const void *b)
{
    const struct count *x = *(struct count *const *)a, *y = *(struct count *const *)b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->text, y->text);
}

static void print_most_frequent(size_t most)
{
    struct count **all = must(gc_calloc(different + 1, sizeof *all));
    size_t n = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct count *c = table[i]; c; c = c->next)
            all[n++] = c;
    qsort(all, n, sizeof *all, by_count);
    for (size_t i = 0; i < n && i < most; i++)
        printf("%7zu %s\n", all[i]->n, all[i]->text);
}

static size_t number(char option, const char *text)
{
    char *rest;
    unsigned long n = strtoul(text, &rest, 10);
    if (*rest || !isdigit((unsigned char)*text)) {
        fprintf(stderr, "coroutines: -%c wants a number, not \"%s\"\n", option, text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    size_t most = 10, stop_after = 0;
    for (int c; (c = getopt(argc, argv, "n:l:w:")) != -1;) {
        switch (c) {
        case 'n':
            most = number('n', optarg);
            break;
        case 'l':
            least_letters = number('l', optarg);
            break;
        case 'w':
            stop_after = number('w', optarg);
            break;
        default:
            fprintf(stderr, "usage: coroutines [-n PAIRS] [-l LETTERS] [-w WORDS] [FILE...]\n");
            return 2;
        }
    }
    files = argv + optind;
    struct gen *stage[] = {generate(lines, NULL), NULL, NULL, NULL};
    stage[1] = generate(words, stage[0]);
    stage[2] = generate(long_words, stage[1]);
    stage[3] = generate(pairs, stage[2]);
    size_t seen = 0;
    for (char *pair; (stop_after == 0 || seen + 1 < stop_after) && (pair = next(stage[3])) != NULL; seen++)
        count(pair);
    print_most_frequent(most);
    for (size_t i = 0; i < sizeof stage / sizeof *stage; i++)
        end(stage[i]);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
