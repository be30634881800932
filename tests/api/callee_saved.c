/* callee_saved.c - a program of callee-saved.sh: an object that one callee-saved register alone holds, at each call of
 * the library that may collect, survives. What the compiler makes of the library's entrance, and of the C code between
 * the register and the call, depends on compiler and level: the script tries all. Holds boundary.frame. */
#include <pthread.h>
#include <spangc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 64, ROUNDS = 4, DROPPED = 1000, CHURN = 2000 };

/* The event handler counts. */
volatile unsigned collections;

static void count(const struct gc_event *event, void *arg)
{
    (void)arg;
    if (event->kind == GC_SPAN_EVENT_RESTARTED)
        collections++;
}

/* Where the object is held before and after. */
void *handed;

/* Moves the pointer in `handed` to one register, with nothing in the others, calls fn(a, b) until a collection has
 * taken place, and moves it back. */
typedef void (*caller)(void *fn, uintptr_t a, uintptr_t b);

#define CALLER(reg)                                                                                                    \
    void call_with_##reg(void *fn, uintptr_t a, uintptr_t b);                                                          \
    __asm__(".text\n.type call_with_" #reg ", @function\n"                                                             \
            "call_with_" #reg ":\n"                                                                                    \
            "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"                             \
            "    movl collections(%rip), %eax\n"                                                                       \
            "    pushq %rax; pushq %rdx; pushq %rsi; pushq %rdi; pushq $0\n"                                           \
            "    xorl %ebx, %ebx; xorl %ebp, %ebp; xorl %r12d, %r12d\n"                                                \
            "    xorl %r13d, %r13d; xorl %r14d, %r14d; xorl %r15d, %r15d\n"                                            \
            "    movq handed(%rip), %" #reg "; movq $0, handed(%rip)\n"                                                \
            "1:  movq 16(%rsp), %rdi; movq 24(%rsp), %rsi\n"                                                           \
            "    call *8(%rsp)\n"                                                                                      \
            "    movl 32(%rsp), %eax\n"                                                                                \
            "    cmpl %eax, collections(%rip)\n"                                                                       \
            "    je 1b\n"                                                                                              \
            "    movq %" #reg ", handed(%rip)\n"                                                                       \
            "    addq $40, %rsp\n"                                                                                     \
            "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"                                   \
            "    ret\n"                                                                                                \
            ".size call_with_" #reg ", .-call_with_" #reg "\n")

CALLER(rbx);
CALLER(rbp);
CALLER(r12);
CALLER(r13);
CALLER(r14);
CALLER(r15);

static const struct {
    const char *name;
    caller call;
} registers[] = {
    {"rbx", call_with_rbx}, {"rbp", call_with_rbp}, {"r12", call_with_r12},
    {"r13", call_with_r13}, {"r14", call_with_r14}, {"r15", call_with_r15},
};

/* ---- what is called ---- */

/* More values than registers, all in use around each call: each callee-saved register is saved and used. */
static __attribute__((noinline)) uintptr_t deep(uintptr_t n, uintptr_t size)
{
    volatile uintptr_t seed = n;
    uintptr_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4, f = seed + 5, g = seed + 6;
    if (n == 0)
        seed = gc_malloc(size) != NULL;
    else
        deep(n - 1, size);
    a += seed, b ^= a, c += b, d ^= c, e += d, f ^= e, g += f;
    return a + b + c + d + e + f + g;
}

static void *grow(uintptr_t size) { return gc_realloc(gc_malloc(24), size); }
static void *array(uintptr_t n) { return gc_reallocarray(NULL, n, 16); }
static void *copy(uintptr_t text) { return gc_strdup((const char *)text); }

static void *print(void)
{
    char *text;
    return gc_asprintf(&text, "%d", 12345) > 0 ? text : NULL;
}

static const char text[] = "a string of some length";

static const struct {
    const char *name;
    void *fn;
    uintptr_t a, b;
} entries[] = {
    {"gc_collect", (void *)gc_collect, 0, 0},
    {"gc_release_memory", (void *)gc_release_memory, 0, 0},
    {"gc_malloc", (void *)gc_malloc, 64, 0},
    {"gc_malloc of a large object", (void *)gc_malloc, 100000, 0},
    {"gc_malloc_noscan", (void *)gc_malloc_noscan, 200, 0},
    {"gc_malloc_noscan of a tiny object", (void *)gc_malloc_noscan, 8, 0},
    {"gc_calloc", (void *)gc_calloc, 3, 40},
    {"gc_calloc_noscan", (void *)gc_calloc_noscan, 3, 40},
    {"gc_aligned_alloc", (void *)gc_aligned_alloc, 128, 256},
    {"gc_aligned_alloc of pages", (void *)gc_aligned_alloc, 65536, 65536},
    {"gc_reallocarray", (void *)array, 5, 0},
    {"gc_realloc", (void *)grow, 500, 0},
    {"gc_strdup", (void *)copy, (uintptr_t)text, 0},
    {"gc_asprintf", (void *)print, 0, 0},
    {"gc_malloc below many frames", (void *)deep, 8, 64},
};
enum { REGISTERS = sizeof registers / sizeof *registers, ENTRIES = sizeof entries / sizeof *entries };

/* ---- the test ---- */

static int failures;

static __attribute__((noinline)) void make(unsigned char byte)
{
    /* Without the second, a pointer one past the end of the next would hold this one. */
    unsigned char *p = gc_malloc(SIZE), *volatile next = gc_malloc(SIZE);
    if (!p || !next)
        abort();
    memset(p, byte, SIZE);
    next = NULL;
    handed = p;
}

static __attribute__((noinline)) void churn(void)
{
    for (int i = 0; i < CHURN; i++) {
        void *volatile p = gc_malloc(SIZE);
        memset(p, 0xee, SIZE);
    }
}

static __attribute__((noinline)) int intact(const unsigned char *p, unsigned char byte)
{
    for (int i = 0; i < SIZE; i++)
        if (p[i] != byte)
            return 0;
    return gc_base((void *)p) == p;
}

static void hold(int r, const char *name, void *fn, uintptr_t a, uintptr_t b)
{
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char byte = (unsigned char)(0x80 + i);
        make(byte);
        uintptr_t hidden = ~(uintptr_t)handed;
        gc_clear_stack(16384);
        registers[r].call(fn, a, b);
        churn();
        if (hidden != ~(uintptr_t)handed || !intact(handed, byte)) {
            printf("FAIL: %s alone held an object during %s, which was lost\n", registers[r].name, name);
            failures++;
            return;
        }
    }
}

/* Another thread collects, and stops this one at whatever point of gc_malloc it is, by signal or flag. */
static volatile int enough;

static void *collect(void *unused)
{
    while (!enough)
        gc_collect();
    return unused;
}

static void hold_while_another_collects(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, collect, NULL) != 0)
        abort();
    for (int i = 0; i < 5; i++)
        for (int r = 0; r < REGISTERS; r++) {
            hold(r, "gc_malloc, stopped by another thread", (void *)gc_malloc, 64, 0);
            hold(r, "gc_malloc_noscan, stopped by another thread", (void *)gc_malloc_noscan, 48, 0);
        }
    enough = 1;
    pthread_join(t, NULL);
}

/* Nothing else holds what the registers held. */
static uintptr_t dropped[DROPPED];

static __attribute__((noinline)) void drop(void)
{
    for (int i = 0; i < DROPPED; i++) {
        make(0x90);
        dropped[i] = ~(uintptr_t)handed;
    }
    handed = NULL;
}

static void without_a_holder(void)
{
    int left = 0;
    drop();
    gc_clear_stack(16384);
    registers[0].call((void *)gc_collect, 0, 0);
    for (int i = 0; i < DROPPED; i++)
        left += intact((const unsigned char *)~dropped[i], 0x90);
    if (left > DROPPED / 20) {
        printf("FAIL: %d of %d objects that nothing holds are left\n", left, DROPPED);
        failures++;
    }
}

int main(void)
{
    gc_set_percent(0);
    gc_set_event_handler(count, NULL);
    for (int e = 0; e < ENTRIES; e++)
        for (int r = 0; r < REGISTERS; r++)
            hold(r, entries[e].name, entries[e].fn, entries[e].a, entries[e].b);
    hold_while_another_collects();
    without_a_holder();
    return failures > 0;
}
