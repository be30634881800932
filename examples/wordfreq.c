/* wordfreq.c - counts the words of its input and prints the most frequent ones.
 *
 * Written the way one writes when memory is somebody else's business: every word that is read becomes a string of its
 * own, most of them are forgotten at once because the table knows the word already, and tables that were outgrown are
 * left where they lie. Strings are noscan memory: the collector need not look into them for pointers.
 *
 * Usage: wordfreq [-i] [-n N] [FILE...]
 *   -i     fold upper case into lower case (ASCII)
 *   -n N   print the N most frequent words, 10 if not said; equally frequent ones in the order of their bytes
 * Reads standard input when no file is named, or for "-". A word is a run of letters, digits and underscores; bytes
 * above 127 are letters, so that words in UTF-8 stay whole. Exits 1 when something could not be read. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef EXAMPLE_PLAIN_MALLOC
#include "plain_malloc.h"
#else
#include <spangc.h>
#endif

struct entry {
    struct entry *next; /* with the same hash, modulo the number of buckets */
    const char *word;
    uint64_t hash;
    uint64_t count;
};

struct table {
    struct entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_entries;
};

/* The word being read: grows, and is copied when it is complete. */
struct buffer {
    char *text;
    size_t length, capacity;
};

enum { FIRST_BUCKETS = 1024, FIRST_CAPACITY = 64, DEFAULT_TOP = 10 };

static bool fold_case;

static void *checked(void *p)
{
    if (!p) {
        fputs("wordfreq: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* ---- the table ---- */

static uint64_t hash_of(const char *word, size_t length) /* FNV-1a */
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)word[i]) * UINT64_C(1099511628211);
    return h;
}

static void table_resize(struct table *t, size_t n_buckets)
{
    struct entry **buckets = checked(gc_calloc(n_buckets, sizeof(struct entry *)));

    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n_buckets - 1)];
            buckets[e->hash & (n_buckets - 1)] = e;
        }
    }
    t->buckets = buckets;
    t->n_buckets = n_buckets;
}

static void table_add(struct table *t, const char *word, uint64_t hash)
{
    struct entry *e = checked(gc_malloc(sizeof *e)), **head;

    if (t->n_entries == t->n_buckets)
        table_resize(t, t->n_buckets * 2);
    head = &t->buckets[hash & (t->n_buckets - 1)];
    *e = (struct entry){.next = *head, .word = word, .hash = hash, .count = 1};
    *head = e;
    t->n_entries++;
}

static void table_count(struct table *t, const char *word, uint64_t hash)
{
    for (struct entry *e = t->buckets[hash & (t->n_buckets - 1)]; e; e = e->next) {
        if (e->hash == hash && strcmp(e->word, word) == 0) {
            e->count++;
            return;
        }
    }
    table_add(t, word, hash);
}

/* ---- reading ---- */

static bool is_word_byte(int c) { return isalnum(c) || c == '_' || c > 127; }

static void buffer_add(struct buffer *b, int c)
{
    if (b->length == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : FIRST_CAPACITY;
        b->text = checked(b->text ? gc_realloc(b->text, b->capacity) : gc_malloc_noscan(b->capacity));
    }
    b->text[b->length++] = (char)c;
}

static void end_word(struct buffer *b, struct table *t)
{
    if (b->length)
        table_count(t, checked(gc_strndup(b->text, b->length)), hash_of(b->text, b->length));
    b->length = 0;
}

static void read_words(FILE *in, struct table *t)
{
    struct buffer b = {0};
    int c;

    while ((c = getc_unlocked(in)) != EOF) {
        if (is_word_byte(c))
            buffer_add(&b, fold_case && c < 128 ? tolower(c) : c);
        else
            end_word(&b, t);
    }
    end_word(&b, t);
}

/* Returns false, having said why, when the file cannot be read to its end. */
static bool read_file(const char *name, struct table *t)
{
    bool is_stdin = strcmp(name, "-") == 0, ok;
    FILE *in = is_stdin ? stdin : fopen(name, "r");

    if (in) {
        errno = 0;
        read_words(in, t);
    }
    ok = in && !ferror(in);
    if (!ok)
        fprintf(stderr, "wordfreq: %s: %s\n", is_stdin ? "standard input" : name, strerror(errno));
    if (in && !is_stdin)
        fclose(in);
    return ok;
}

/* ---- printing ---- */

static int by_count_then_word(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->word, y->word);
}

static void print_top(const struct table *t, size_t top)
{
    struct entry **all = checked(gc_calloc(t->n_entries + 1, sizeof(struct entry *)));
    size_t n = 0;

    for (size_t i = 0; i < t->n_buckets; i++)
        for (struct entry *e = t->buckets[i]; e; e = e->next)
            all[n++] = e;
    qsort(all, n, sizeof all[0], by_count_then_word);
    for (size_t i = 0; i < n && i < top; i++)
        printf("%7" PRIu64 " %s\n", all[i]->count, all[i]->word);
}

/* ---- arguments ---- */

static void usage(void)
{
    fputs("usage: wordfreq [-i] [-n N] [FILE...]\n", stderr);
    exit(2);
}

static size_t parse_top(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < 0) {
        fprintf(stderr, "wordfreq: -n wants a number, not \"%s\"\n", text);
        exit(2);
    }
    return (size_t)n;
}

int main(int argc, char **argv)
{
    struct table t = {0};
    size_t top = DEFAULT_TOP;
    bool ok = true;
    int option;

    while ((option = getopt(argc, argv, "in:")) != -1) {
        if (option == 'i')
            fold_case = true;
        else if (option == 'n')
            top = parse_top(optarg);
        else
            usage();
    }
    table_resize(&t, FIRST_BUCKETS);
    if (optind == argc)
        ok = read_file("-", &t);
    for (int i = optind; i < argc; i++)
        ok &= read_file(argv[i], &t);
    print_top(&t, top);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("wordfreq: standard output");
        ok = false;
    }
    return ok ? 0 : 1;
}
