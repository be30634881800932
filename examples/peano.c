/* peano.c - factorials by counting on one's fingers: a number is a linked list, as long as the number is great.
 *
 * The classic stress of a collector that is new: millions of 8-byte objects, each reachable only through the one before
 * it, and a call stack as deep as the lists are long, since add, mul and count are recursive in earnest. Nothing is
 * freed: the numbers that nobody needs any more are the collector's affair.
 *
 * Usage: peano N            prints n! for every n from 0 to N
 *
 * The deepest recursion is count's: N! frames, 16 bytes each at -O2 (a return address, and 8 bytes because the ABI
 * wants calls aligned to 16). It runs on a thread whose stack is reserved for that depth and takes memory as it is
 * touched. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef EXAMPLE_PLAIN_MALLOC
#include "plain_malloc.h"
#else
#include <spangc.h>
#endif

enum {
    N_MAX = 13,            /* 13! nodes and frames are 150 GB: enough for anybody */
    FRAME_BYTES = 128,     /* address space for a frame, more than any compiler needs with or without -O2 */
    STACK_BASE = 8 << 20,  /* for everything that is not recursive: printf, the collector */
    STACK_GUARD = 1 << 16, /* bytes without access at the low end */
};

/* Keeps the call before it a call, and its caller a recursion: gcc and clang would both turn `1 + count(x)` into a
 * loop with an accumulator. No code is generated for it. */
#define RECURSE_FOR_REAL(result) __asm__ volatile("" : "+r"(result))
#define NOINLINE                 __attribute__((__noinline__))

/* The number n + 1 points to the number n; zero is NULL. */
struct number {
    struct number *pred;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "peano: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct number *zero(void) { return NULL; }

static int is_zero(const struct number *x) { return x == NULL; }

static struct number *NOINLINE add1(struct number *x)
{
    struct number *succ = gc_malloc(sizeof *succ);
    if (!succ)
        fail("no number", errno);
    succ->pred = x;
    return succ;
}

static struct number *sub1(const struct number *x) { return x->pred; }

/* x + 0 = x,  x + (y + 1) = (x + y) + 1 */
static struct number *NOINLINE add(struct number *x, const struct number *y)
{
    if (is_zero(y))
        return x;
    return add1(add(x, sub1(y)));
}

/* x * 0 = 0,  x * (y + 1) = (x * y) + x */
static struct number *NOINLINE mul(const struct number *x, const struct number *y)
{
    if (is_zero(y))
        return zero();
    return add(mul(x, sub1(y)), x);
}

/* 0! = 1,  (n + 1)! = n! * (n + 1) */
static struct number *NOINLINE fact(const struct number *n)
{
    if (is_zero(n))
        return add1(zero());
    return mul(fact(sub1(n)), n);
}

static uint64_t NOINLINE count(const struct number *x)
{
    uint64_t n;

    if (is_zero(x))
        return 0;
    n = count(sub1(x));
    RECURSE_FOR_REAL(n);
    return n + 1;
}

static void *print_factorials(void *arg)
{
    const int *last = arg;
    struct number *n = zero();

    for (int i = 0; i <= *last; i++, n = add1(n)) {
        printf("%d! = %" PRIu64 "\n", i, count(fact(n)));
        if (fflush(stdout) != 0)
            fail("standard output", errno);
    }
    return NULL;
}

/* Address space for the deepest recursion that n! needs, and the rest. Lists and frames are numbered alike. */
static size_t stack_size(int n)
{
    size_t depth = 1;

    for (int i = 2; i <= n; i++)
        depth *= (size_t)i;
    return depth * FRAME_BYTES + STACK_BASE + STACK_GUARD;
}

/* Runs print_factorials on a thread with `size` bytes of stack, page aligned. They are not backed by memory until they
 * are used (MAP_NORESERVE: nor set aside for it). */
static void run_on_stack(size_t size, int n)
{
    pthread_attr_t attr;
    pthread_t thread;
    char *stack;
    int error;

    size = (size + STACK_GUARD - 1) / STACK_GUARD * STACK_GUARD;
    stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, STACK_GUARD, PROT_NONE) != 0)
        fail("no address space for the stack", errno);
    pthread_attr_init(&attr);
    error = pthread_attr_setstack(&attr, stack + STACK_GUARD, size - STACK_GUARD);
    if (!error)
        error = pthread_create(&thread, &attr, print_factorials, &n);
    if (!error)
        error = pthread_join(thread, NULL);
    if (error)
        fail("no thread", error);
    pthread_attr_destroy(&attr);
    munmap(stack, size);
}

int main(int argc, char **argv)
{
    char *end;
    long n;

    if (argc != 2) {
        fputs("usage: peano N\n", stderr);
        return 2;
    }
    n = strtol(argv[1], &end, 10);
    if (end == argv[1] || *end || n < 0 || n > N_MAX) {
        fprintf(stderr, "peano: \"%s\" is not a number from 0 to %d\n", argv[1], N_MAX);
        return 2;
    }
    run_on_stack(stack_size((int)n), (int)n);
    return 0;
}
