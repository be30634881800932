/* large.c - objects of 64 KiB to 16 MiB, sizes spread evenly over the powers of two: COUNT of them, the last LIVE stay.
 * `leave` writes the first byte of each, `write` all of it. Not scanned: pixels, numbers.
 *
 * usage: large [leave|write [COUNT [LIVE]]]      default leave 2000 16
 */
#include "bench.h"

#include <string.h>

enum { LEAST_SHIFT = 16, SHIFTS = 8 };

static uint64_t random_state = UINT64_C(88172645463325252);
static uint64_t next_random(void) { return bench_random(&random_state); }

static size_t next_size(void)
{
    uint64_t r = next_random();
    size_t least = (size_t)1 << (LEAST_SHIFT + r % SHIFTS);

    return least + (size_t)(r >> 16) % least;
}

int main(int argc, char **argv)
{
    int write = argc > 1 && strcmp(argv[1], "write") == 0;
    long count = bench_arg(argc, argv, 2, 2000, 1, 1000000000), live = bench_arg(argc, argv, 3, 16, 1, 100000);
    char **kept;
    uint64_t bytes = 0;

    if (argc > 1 && !write && strcmp(argv[1], "leave") != 0) {
        fprintf(stderr, "%s: argument 1 is \"%s\"; it must be leave or write\n", argv[0], argv[1]);
        return 2;
    }
    bench_init();
    kept = bench_alloc((size_t)live * sizeof *kept);
    for (long i = 0; i < count; i++) {
        size_t n = next_size();
        char **slot = &kept[i % live];
        bench_free(*slot);
        *slot = bench_alloc_noscan(n);
        memset(*slot, (int)i, write ? n : 1);
        bench_use(*slot);
        bytes += n;
    }
    printf("bytes in all: %" PRIu64 "\n", bytes);
    return 0;
}
