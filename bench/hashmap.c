/* hashmap.c - a table of KEYS strings under replacement: chained entries with a key and a value of their own, both text,
 * an entry picked at random loses its value to a new one and, every fourth time, is taken out and put in again under a
 * new key. All of it stays alive: what a collector pays for marking it again and again is in the figure.
 *
 * usage: hashmap [KEYS [OPERATIONS]]      default 2000000 10000000
 */
#include "bench.h"

#include <string.h>

struct entry {
    struct entry *next;
    char *key, *value;
    uint64_t hash;
};

static struct entry **buckets;
static uint64_t mask; /* buckets less one */

static uint64_t random_state = UINT64_C(88172645463325252);
static uint64_t next_random(void) { return bench_random(&random_state); }

static char *new_text(const char *prefix, uint64_t n)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%s-%" PRIu64, prefix, n);
    char *copy = bench_alloc_noscan((size_t)length + 1);

    memcpy(copy, text, (size_t)length + 1);
    return copy;
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* Where the pointer to the entry of a key stands, or to the NULL at the end of its chain. */
static struct entry **find(const char *key, uint64_t hash)
{
    struct entry **at = &buckets[hash & mask];

    while (*at != NULL && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

static void put_in(uint64_t number)
{
    struct entry *e = bench_alloc_filled(sizeof *e);
    char *key = new_text("key", number);
    uint64_t hash = hash_of(key);
    struct entry **at = find(key, hash);

    *e = (struct entry){NULL, key, new_text("value", number), hash};
    *at = e;
}

static struct entry **find_number(uint64_t number)
{
    char key[64];

    snprintf(key, sizeof key, "key-%" PRIu64, number);
    return find(key, hash_of(key));
}

static void take_out(uint64_t number)
{
    struct entry **at = find_number(number), *e = *at;

    if (e == NULL)
        bench_die("a key was lost");
    *at = e->next;
    bench_free(e->key);
    bench_free(e->value);
    bench_free(e);
}

static void replace_value(uint64_t number, uint64_t value)
{
    struct entry *e = *find_number(number);

    if (e == NULL)
        bench_die("a key was lost");
    bench_free(e->value);
    e->value = new_text("value", value);
}

/* What is in the table, whatever order the allocator gave it. */
static uint64_t sum(void)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i <= mask; i++)
        for (const struct entry *e = buckets[i]; e != NULL; e = e->next)
            n += hash_of(e->key) ^ hash_of(e->value) << 1;
    return n;
}

int main(int argc, char **argv)
{
    uint64_t keys = (uint64_t)bench_arg(argc, argv, 1, 2000000, 1, 1000000000);
    long operations = bench_arg(argc, argv, 2, 10000000, 1, 1000000000000);
    uint64_t *numbers = malloc(keys * sizeof *numbers), next = keys;
    double seconds;

    if (numbers == NULL)
        bench_die("malloc failed");
    bench_init();
    for (mask = 1; mask < keys; mask *= 2)
        ;
    buckets = bench_alloc(mask * sizeof *buckets);
    mask--;
    for (uint64_t i = 0; i < keys; i++)
        put_in(numbers[i] = i);
    seconds = bench_seconds();
    for (long i = 0; i < operations; i++) {
        uint64_t r = next_random(), *number = &numbers[(r >> 16) % keys];
        if (r % 4 == 0) {
            take_out(*number);
            put_in(*number = next++);
        } else {
            replace_value(*number, r);
        }
    }
    seconds = bench_seconds() - seconds;
    printf("sum of the table: %016" PRIx64 "\n", sum());
    printf("value rate %.3f Mops/s\n", (double)operations / seconds * 1e-6);
    return 0;
}
