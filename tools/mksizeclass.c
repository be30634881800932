/* mksizeclass.c - prints gc/heap/sizeclass_tables.h: the size classes, how many pages a span of each takes, the
 * multiplier that divides by the size, and the tables from a size to its class.
 *
 * The rule is the Go runtime's (1.10): sizes rise by a step that grows with them, a class's span is the smallest whose
 * tail wastes at most an eighth, two sizes of which as many fit are one class, and a class is as large as lets the
 * same number fit. The step is at least 16 from 16 bytes up, so that every such class keeps C's alignment promise. */
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 8192, MAX_SMALL = 32768, STEP8_MAX = 1024, ROUND_TO = 128, MAX_CLASSES = 100 };

static struct {
    int size, pages;
} classes[MAX_CLASSES];
static int nclasses = 1; /* class 0 is for large objects */

static int span_pages(int size)
{
    int bytes = PAGE;
    while (bytes % size > bytes / 8)
        bytes += PAGE;
    return bytes / PAGE;
}

static int step_after(int size, int step)
{
    if (size & (size - 1))
        return step;
    if (size >= 2048)
        return 256;
    if (size >= 128)
        return size / 8;
    return size >= 16 ? 16 : step;
}

static void make_classes(void)
{
    int step = 8;
    for (int size = step; size <= MAX_SMALL; size += step) {
        step = step_after(size, step);
        int pages = span_pages(size), last = nclasses - 1;
        if (last > 0 && pages == classes[last].pages && pages * PAGE / size == pages * PAGE / classes[last].size) {
            classes[last].size = size;
            continue;
        }
        classes[nclasses].size = size;
        classes[nclasses++].pages = pages;
    }
    for (int c = 1; c < nclasses; c++) {
        int bytes = classes[c].pages * PAGE;
        int size = bytes / (bytes / classes[c].size) & ~(ROUND_TO - 1);
        if (size > classes[c].size)
            classes[c].size = size;
    }
}

static unsigned divisor(int size)
{
    return size ? (unsigned)((0x100000000ULL + (unsigned)size - 1) / (unsigned)size) : 0;
}

static void check_division(void)
{
    for (int c = 1; c < nclasses; c++)
        for (unsigned off = 0; off < (unsigned)(classes[c].pages * PAGE); off++)
            if ((unsigned)((unsigned long long)off * divisor(classes[c].size) >> 32) !=
                off / (unsigned)classes[c].size) {
                fprintf(stderr, "mksizeclass: the multiplier of class %d is wrong at offset %u\n", c, off);
                exit(1);
            }
}

static void print_waste(void)
{
    printf("/* Made by tools/mksizeclass.c: do not edit.\n *\n");
    printf(" * class  bytes/object  bytes/span  objects  tail waste  most waste\n");
    for (int c = 1; c < nclasses; c++) {
        int span = classes[c].pages * PAGE, size = classes[c].size, n = span / size, tail = span - n * size;
        int least = classes[c - 1].size + 1;
        printf(" * %5d  %12d  %10d  %7d  %10d  %9.2f%%\n", c, size, span, n, tail,
               100.0 * ((size - least) * n + tail) / span);
    }
    printf(
        " *\n * Most waste: every object asks one byte more than the class below has, and the tail is lost too. */\n");
}

static int class_of(int size)
{
    int c = 1;
    while (classes[c].size < size)
        c++;
    return c;
}

static void print_array(const char *type, const char *name, int n, int (*value)(int))
{
    printf("static const %s %s[%d] = {", type, name, n);
    for (int i = 0; i < n; i++)
        printf("%s%d", i == 0 ? "\n    " : i % 16 ? ", " : ",\n    ", value(i));
    printf("};\n");
}

static int size_at(int c) { return classes[c].size; }
static int pages_at(int c) { return classes[c].pages; }
static int class8_at(int i) { return i ? class_of(i * 8) : 0; }
static int class128_at(int i) { return class_of(STEP8_MAX + i * 128); }

int main(void)
{
    make_classes();
    check_division();
    print_waste();
    printf("#ifndef HEAP_SIZECLASS_TABLES_H\n#define HEAP_SIZECLASS_TABLES_H\n\n#include <stdint.h>\n\n");
    printf("/* clang-format off */\n");
    printf("enum { SIZECLASS_COUNT = %d, SIZECLASS_MAX_OBJECTS = %d };\n\n", nclasses, PAGE / classes[1].size);
    print_array("uint16_t", "sizeclass_sizes", nclasses, size_at);
    print_array("uint8_t", "sizeclass_pages", nclasses, pages_at);
    printf("static const uint32_t sizeclass_divmul[%d] = {", nclasses);
    for (int c = 0; c < nclasses; c++)
        printf("%s%uu", c == 0 ? "\n    " : c % 8 ? ", " : ",\n    ", divisor(classes[c].size));
    printf("};\n");
    print_array("uint8_t", "sizeclass_by8", STEP8_MAX / 8 + 1, class8_at);
    print_array("uint8_t", "sizeclass_by128", (MAX_SMALL - STEP8_MAX) / 128 + 1, class128_at);
    printf("/* clang-format on */\n\n#endif\n");
    return 0;
}
