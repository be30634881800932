/* strings.c - text: words of 1 to 40 bytes are joined to lines, lines to buffers of 1 to 64 KiB that grow by doubling, as
 * a program that builds answers does it; the last LIVE buffers stay. No text holds pointers.
 *
 * usage: strings [BUFFERS [LIVE]]      default 30000 200
 */
#include "bench.h"

#include <string.h>

enum { LEAST = 1 << 10, MOST = 64 << 10, LINE_WORDS = 12 };

struct buffer {
    char *text;
    size_t length, room;
};

static uint64_t random_state = UINT64_C(88172645463325252);
static uint64_t next_random(void) { return bench_random(&random_state); }

static char *new_word(size_t *length)
{
    uint64_t r = next_random();
    size_t n = 1 + r % 40;
    char *word = bench_alloc_noscan(n + 1);

    memset(word, 'a' + (int)(r >> 32) % 26, n);
    word[n] = '\0';
    *length = n;
    return word;
}

/* Words joined by blanks: the words are garbage at once. */
static char *new_line(size_t *length)
{
    char *words[LINE_WORDS], *line;
    size_t lengths[LINE_WORDS], n = 0, at = 0;

    for (int i = 0; i < LINE_WORDS; i++) {
        words[i] = new_word(&lengths[i]);
        n += lengths[i] + 1;
    }
    line = bench_alloc_noscan(n + 1);
    for (int i = 0; i < LINE_WORDS; i++) {
        memcpy(line + at, words[i], lengths[i]);
        at += lengths[i];
        line[at++] = i == LINE_WORDS - 1 ? '\n' : ' ';
        bench_free(words[i]);
    }
    line[at] = '\0';
    *length = at;
    return line;
}

static void append(struct buffer *b, const char *text, size_t n)
{
    if (b->length + n + 1 > b->room) {
        size_t room = b->room;
        while (b->length + n + 1 > room)
            room *= 2;
        char *more = bench_alloc_noscan(room);
        memcpy(more, b->text, b->length);
        bench_free(b->text);
        b->text = more;
        b->room = room;
    }
    memcpy(b->text + b->length, text, n + 1);
    b->length += n;
}

static struct buffer new_buffer(void)
{
    size_t want = LEAST + next_random() % (MOST - LEAST);
    struct buffer b = {bench_alloc_noscan(LEAST), 0, LEAST};

    while (b.length < want) {
        size_t n;
        char *line = new_line(&n);
        append(&b, line, n);
        bench_free(line);
    }
    return b;
}

static uint64_t sum_of(const struct buffer *b)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < b->length; i += 64)
        sum += (unsigned char)b->text[i];
    return sum + b->length;
}

int main(int argc, char **argv)
{
    long buffers = bench_arg(argc, argv, 1, 30000, 1, 1000000000), live = bench_arg(argc, argv, 2, 200, 1, 1000000);
    struct buffer *kept;
    uint64_t sum = 0;

    bench_init();
    kept = bench_alloc((size_t)live * sizeof *kept);
    for (long i = 0; i < buffers; i++) {
        struct buffer *b = &kept[i % live];
        if (b->text != NULL) {
            sum += sum_of(b);
            bench_free(b->text);
        }
        *b = new_buffer();
    }
    printf("sum of the buffers: %" PRIu64 "\n", sum);
    return 0;
}
