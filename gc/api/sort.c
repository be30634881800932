/* sort.c - qsort and qsort_r on memory that is scanned.
 * Owns:   nothing.
 * Locks:  none held while the program's comparison runs: it may jump out, throw, or end the thread.
 * Keeps:  .seen    at every moment each element is, whole, in the array or in scratch memory that is scanned; the C
 *                  library's scratch is malloc memory, and what is only there at a stop would be lost
 *         .stable  elements that compare equal keep their order, as with the C library while it gets its scratch memory
 *         .quiet   no memory for scratch is no error: sorted in place then, not stable, as in the C library
 * Below:  slow, free.   Above: the program, and every library that it loads.
 *
 * Scratch memory is a collected object that this frame holds. If the comparison never returns, it is garbage. */
#include "api/api.h"
#include "os/os.h"
#include "os/os_real.h"

#include <errno.h>
#include <string.h>

typedef int (*compare_fn)(const void *a, const void *b);
typedef int (*compare_r_fn)(const void *a, const void *b, void *arg);

enum { ON_STACK = 1024, INDIRECT_ABOVE = 32, CHUNK = 64 };
static const size_t ALWAYS_TAKEN = 32 << 20; /* up to here nobody asks how much memory the machine has */

/* What the merge moves: elements of any size, of 4 bytes, of one word, of some words, or pointers to elements. */
enum cells { BYTES, HALVES, WORDS, GROUPS, POINTERS };

struct sort {
    size_t size; /* of a cell */
    enum cells cells;
    compare_r_fn compare;
    void *arg;
};

void OS_WRAPPED(qsort)(void *base, size_t n, size_t size, compare_fn compare);
void OS_WRAPPED(qsort_r)(void *base, size_t n, size_t size, compare_r_fn compare, void *arg);

static ALWAYS_INLINE bool in_order(const struct sort *s, const char *a, const char *b)
{
    if (s->cells == POINTERS)
        return s->compare(*(void *const *)(const void *)a, *(void *const *)(const void *)b, s->arg) <= 0;
    return s->compare(a, b, s->arg) <= 0;
}

/* Each copy of fixed size is one move: a word is never half here and half there. */
static ALWAYS_INLINE void copy_cell(const struct sort *s, char *to, const char *from)
{
    switch (s->cells) {
    case BYTES:
        memcpy(to, from, s->size);
        break;
    case HALVES:
        memcpy(to, from, sizeof(uint32_t));
        break;
    case WORDS:
    case POINTERS:
        memcpy(to, from, sizeof(uintptr_t));
        break;
    case GROUPS:
        for (size_t k = 0; k < s->size; k += sizeof(uintptr_t))
            memcpy(to + k, from + k, sizeof(uintptr_t));
        break;
    }
}

/* Both halves of the array are sorted. They stay as they are until all is merged in the scratch memory: the comparison
 * may not return, and then the array still has every element. */
static void merge(const struct sort *s, char *base, size_t n1, size_t n2, char *scratch)
{
    char *a = base, *b = base + n1 * s->size, *to = scratch;
    while (n1 > 0 && n2 > 0) {
        if (in_order(s, a, b)) {
            copy_cell(s, to, a);
            a += s->size;
            n1--;
        } else {
            copy_cell(s, to, b);
            b += s->size;
            n2--;
        }
        to += s->size;
    }
    memcpy(to, a, n1 * s->size); /* what is left of the second half is in its place */
    to += n1 * s->size;
    memcpy(base, scratch, (size_t)(to - scratch));
}

static void merge_sort(const struct sort *s, char *base, size_t n, char *scratch)
{
    if (n <= 1)
        return;
    size_t half = n / 2;
    merge_sort(s, base, half, scratch);
    merge_sort(s, base + half * s->size, n - half, scratch);
    merge(s, base, half, n - half, scratch);
}

/* The elements go where the sorted pointers say, one cycle of the permutation after the other. */
static void permute(char *base, size_t n, size_t size, char **from, char *spare)
{
    for (size_t i = 0; i < n; i++) {
        char *hole = base + i * size, *source = from[i];
        if (source == hole)
            continue;
        memcpy(spare, hole, size);
        size_t at = i;
        while (source != base + i * size) {
            memcpy(hole, source, size);
            from[at] = hole;
            at = (size_t)(source - base) / size;
            hole = source;
            source = from[at];
        }
        memcpy(hole, spare, size);
        from[at] = hole;
    }
}

/* The scratch: n pointers, n for merging them, one element. */
static void sort_indirect(const struct sort *s, char *base, size_t n, char *scratch)
{
    char **from = (char **)(void *)scratch;
    struct sort pointers = {sizeof *from, POINTERS, s->compare, s->arg};
    for (size_t i = 0; i < n; i++)
        from[i] = base + i * s->size;
    merge_sort(&pointers, scratch, n, scratch + n * sizeof *from);
    permute(base, n, s->size, from, scratch + 2 * n * sizeof *from);
}

static void sort_with(const struct sort *s, char *base, size_t n, char *scratch)
{
    if (s->size > INDIRECT_ABOVE)
        sort_indirect(s, base, n, scratch);
    else
        merge_sort(s, base, n, scratch);
}

/* ---- without scratch memory ---- */

static void swap(char *a, char *b, size_t size)
{
    uintptr_t chunk[CHUNK / sizeof(uintptr_t)];
    for (size_t k = 0; k < size; k += CHUNK) {
        size_t n = size - k < CHUNK ? size - k : CHUNK;
        memcpy(chunk, a + k, n);
        memcpy(a + k, b + k, n);
        memcpy(b + k, chunk, n);
    }
}

static void sift_down(const struct sort *s, char *base, size_t i, size_t n)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        char *at = base + i * s->size, *c = base + child * s->size;
        if (child + 1 < n && in_order(s, c, c + s->size)) {
            c += s->size;
            child++;
        }
        if (in_order(s, c, at))
            return;
        swap(at, c, s->size);
    }
}

static NOINLINE void sort_in_place(const struct sort *s, char *base, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(s, base, i, n);
    for (size_t i = n; i-- > 1;) {
        swap(base, base + i * s->size, s->size);
        sift_down(s, base, 0, i);
    }
}

/* ---- */

/* A frame of its own, so that a sort with other scratch, and its comparisons, need not carry the room for this one. */
static NOINLINE void sort_on_stack(const struct sort *s, char *base, size_t n)
{
    char scratch[ON_STACK] __attribute__((aligned(16)));
    sort_with(s, base, n, scratch);
}

/* Bytes of scratch; false where their number does not fit. */
static bool scratch_bytes(const struct sort *s, size_t n, size_t *bytes)
{
    if (s->size <= INDIRECT_ABOVE)
        return !__builtin_mul_overflow(n, s->size, bytes);
    return !__builtin_mul_overflow(n, 2 * sizeof(void *), bytes) && !__builtin_add_overflow(*bytes, s->size, bytes);
}

/* The C library does not take more than a quarter of the machine's memory either. */
static void *take_scratch(size_t bytes)
{
    if (bytes > ALWAYS_TAKEN && bytes > os_ram_bytes() / 4)
        return NULL;
    return api_alloc_slow(bytes, ALLOC_QUIET);
}

static void sort(const struct sort *s, char *base, size_t n)
{
    size_t bytes;
    if (n <= 1 || s->size == 0)
        return;
    bool fits = scratch_bytes(s, n, &bytes);
    if (fits && bytes <= ON_STACK) {
        sort_on_stack(s, base, n);
        return;
    }
    int saved = errno;
    void *scratch = fits ? take_scratch(bytes) : NULL;
    errno = saved;
    if (!scratch) {
        sort_in_place(s, base, n);
        return;
    }
    sort_with(s, base, n, scratch);
    gc_free(scratch);
}

static enum cells cells_of(size_t size)
{
    if (size == sizeof(uint32_t))
        return HALVES;
    if (size % sizeof(uintptr_t) == 0)
        return size == sizeof(uintptr_t) ? WORDS : GROUPS;
    return BYTES;
}

void OS_WRAPPED(qsort_r)(void *base, size_t n, size_t size, compare_r_fn compare, void *arg)
{
    sort(&(struct sort){size, cells_of(size), compare, arg}, base, n);
}

static int compare_plain(const void *a, const void *b, void *compare) { return (*(compare_fn *)compare)(a, b); }

void OS_WRAPPED(qsort)(void *base, size_t n, size_t size, compare_fn compare)
{
    sort(&(struct sort){size, cells_of(size), compare_plain, &compare}, base, n);
}
