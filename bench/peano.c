/* peano.c - factorials of natural numbers that are lists: n is n nodes of one pointer each. Addition, multiplication
 * and counting are recursive, so the stack grows as deep as the numbers are large and is full of pointers. The idea is
 * test/peano.go of the Go project, the stress of its first allocator; the code is our own.
 *
 * usage: peano [N]      prints 0! to N! (default 9)
 */
#include "bench.h"

enum {
    MAX_N = 12,
    FRAME_BYTES = 48,              /* of stack for one level of recursion, more than compilers make of it */
    SPARE_STACK = 16 * 1024 * 1024 /* bytes beside the recursion */
};

struct num {
    struct num *pred; /* this number minus one; NULL is zero */
};

static struct num *successor(struct num *x)
{
    struct num *n = bench_alloc_filled(sizeof *n);

    n->pred = x;
    return n;
}

/* The recursion is what is measured: the compiler must not make loops of it. A value that passes through here after the
 * call keeps the call from being the last thing that a function does. */
#define KEEP_CALL(value) __asm__ volatile("" : "+r"(value))

/* x + y: x with y new nodes before it. */
__attribute__((noinline)) static struct num *add(struct num *x, struct num *y)
{
    struct num *sum;

    if (y == NULL)
        return x;
    sum = add(successor(x), y->pred);
    KEEP_CALL(sum);
    return sum;
}

__attribute__((noinline)) static struct num *multiply(struct num *x, struct num *y)
{
    struct num *product;

    if (x == NULL || y == NULL)
        return NULL;
    product = add(multiply(x, y->pred), x);
    KEEP_CALL(product);
    return product;
}

static void drop(struct num *x)
{
    while (BENCH_FREES && x != NULL) {
        struct num *pred = x->pred;
        bench_free(x);
        x = pred;
    }
}

static struct num *factorial(struct num *n)
{
    struct num *smaller, *product;

    if (n == NULL)
        return successor(NULL);
    smaller = factorial(n->pred);
    product = multiply(smaller, n);
    drop(smaller); /* the product shares no node with it */
    return product;
}

static struct num *from_int(long n) { return n > 0 ? successor(from_int(n - 1)) : NULL; }

__attribute__((noinline)) static long count(const struct num *x)
{
    long n;

    if (x == NULL)
        return 0;
    n = count(x->pred);
    KEEP_CALL(n);
    return n + 1;
}

static void *print_factorials(void *arg)
{
    const long *max = arg;

    for (long i = 0; i <= *max; i++) {
        struct num *n = from_int(i);
        struct num *result = factorial(n);
        printf("%ld! = %ld\n", i, count(result));
        drop(result);
        drop(n);
    }
    return NULL;
}

static size_t stack_bytes(long max)
{
    size_t depth = 1;

    for (long i = 2; i <= max; i++)
        depth *= (size_t)i;
    return depth * FRAME_BYTES + SPARE_STACK;
}

int main(int argc, char **argv)
{
    long max = bench_arg(argc, argv, 1, 9, 0, MAX_N);
    pthread_attr_t attr;
    pthread_t thread;

    bench_init();
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, stack_bytes(max)) != 0)
        bench_die("no stack of the size needed");
    bench_start_thread(&thread, &attr, print_factorials, &max);
    bench_join_thread(thread);
    pthread_attr_destroy(&attr);
    return 0;
}
