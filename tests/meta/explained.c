/* explained.c - objects that are held in a known way, each explained: see explain.sh. The argument is the scene. */
#define _GNU_SOURCE
#include <spangc.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((__noinline__))

struct node {
    long number;
    struct node *next;
    char rest[32];
};

void *symbol_table[16];
static void *volatile hidden_table[16];
static __thread void *volatile cache[4];

static uintptr_t secret; /* the complement of an address holds nothing */

NOINLINE static int explain(void) { return gc_explain((void *)~secret, STDOUT_FILENO); }

NOINLINE static struct node *make_node(struct node *next)
{
    struct node *n = gc_malloc(sizeof *n);
    n->next = next;
    return n;
}

/* No copy of the pointer is left in a register or on the stack. */
NOINLINE static void hide(void *p) { secret = ~(uintptr_t)p; }

NOINLINE static void forget(void)
{
    gc_clear_stack(16384);
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm2, %%xmm2; pxor %%xmm3, %%xmm3" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3");
    __asm__ volatile("" ::
                         : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                           "r15", "memory");
}

NOINLINE static void set_global(void)
{
    symbol_table[8] = make_node(NULL);
    hide(symbol_table[8]);
}

NOINLINE static void set_static(void)
{
    hidden_table[2] = make_node(NULL);
    hide(hidden_table[2]);
}

NOINLINE static void set_chain(long n)
{
    struct node *first = make_node(NULL);
    hide(first);
    for (long i = 1; i < n; i++)
        first = make_node(first);
    symbol_table[0] = first;
}

NOINLINE static void set_inside(void)
{
    struct node *n = make_node(NULL);
    hide(n);
    symbol_table[1] = n->rest;
}

NOINLINE static void set_nothing(void) { hide(make_node(NULL)); }

NOINLINE static void set_freed(void)
{
    void *p = make_node(NULL);
    hide(p);
    gc_free(p);
}

NOINLINE static void set_uncollectable(void)
{
    void *volatile *p = gc_malloc_uncollectable(64);
    p[3] = make_node(NULL);
    hide(p[3]);
}

static void *volatile *range;

NOINLINE static void set_range(void)
{
    range = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gc_add_roots((void *)range, (void *)(range + 8192));
    range[5] = make_node(NULL);
    hide(range[5]);
}

/* ---- another thread holds it ---- */

static pthread_barrier_t barrier;

NOINLINE static void wait_here(void)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    __asm__ volatile("" ::: "memory");
}

NOINLINE static void parse_line(void)
{
    void *volatile local[4] = {NULL, NULL, make_node(NULL), NULL};
    hide(local[2]);
    forget();
    wait_here();
    gc_keep_alive(local[2]);
}

NOINLINE static void parse_file(void)
{
    parse_line();
    __asm__ volatile("" ::: "memory");
}

NOINLINE static void set_cache(void)
{
    cache[1] = make_node(NULL);
    hide(cache[1]);
}

NOINLINE static void thread_local(void)
{
    set_cache();
    forget();
    wait_here();
}

/* wait_spoiling saves what its caller has in r15. */
NOINLINE static void wait_spoiling(void)
{
    __asm__ volatile("xor %%r15d, %%r15d" ::: "r15");
    wait_here();
    __asm__ volatile("" ::: "r15");
}

NOINLINE static void in_register(void)
{
    struct node *n = make_node(NULL);
    hide(n);
    register struct node *kept __asm__("r15") = n;
    __asm__ volatile("" : "+r"(kept));
    wait_spoiling();
    __asm__ volatile("" : : "r"(kept));
}

NOINLINE static void in_jmp_buf(void)
{
    jmp_buf env;
    struct node *n = make_node(NULL);
    hide(n);
    register struct node *kept __asm__("r15") = n;
    __asm__ volatile("" : "+r"(kept));
    if (setjmp(env) == 0) {
        __asm__ volatile("" : : "r"(kept));
        forget();
        wait_here();
    }
    __asm__ volatile("" : : "r"(env) : "memory");
}

static void *worker(void *fn)
{
    pthread_setname_np(pthread_self(), "worker");
    ((void (*)(void))fn)();
    return NULL;
}

static int with_thread(void (*fn)(void))
{
    pthread_t t;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, worker, (void *)fn);
    pthread_barrier_wait(&barrier);
    forget();
    int r = explain();
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    return r;
}

/* Code without unwind tables, on whose frame the pointer is: push %rsi; call *%rdi; pop %rax; ret. */
NOINLINE static void generated(void)
{
    static const unsigned char code[] = {0x56, 0xff, 0xd7, 0x58, 0xc3};
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, code, sizeof code);
    struct node *n = make_node(NULL);
    hide(n);
    ((void (*)(void (*)(void), void *))p)(wait_here, n);
}

/* ---- a stack of its own ---- */

NOINLINE static void set_stack(void)
{
    struct gc_stack *s = gc_stack_alloc(0);
    void *volatile *slot = (void **)s->hi - 4;
    slot[1] = make_node(NULL);
    hide(slot[1]);
    s->sp = (void *)slot;
}

NOINLINE static int own(void)
{
    void *volatile mine = make_node(NULL);
    hide(mine);
    forget();
    int r = explain();
    gc_keep_alive(mine);
    return r;
}

/* The way over an object in this frame, not the pointer beside it. */
NOINLINE static int own_chain(void)
{
    struct node *volatile head = make_node(make_node(NULL));
    struct node *volatile also = head->next;
    hide(also);
    forget();
    int r = explain();
    gc_keep_alive(head);
    gc_keep_alive(also);
    return r;
}

static const struct scene {
    const char *name;
    void (*set)(void);
} scenes[] = {
    {"global", set_global},
    {"static", set_static},
    {"inside", set_inside},
    {"nothing", set_nothing},
    {"freed", set_freed},
    {"range", set_range},
    {"uncollectable", set_uncollectable},
    {"stack", set_stack},
};

static const struct scene threads[] = {
    {"local", parse_file},   {"tls", thread_local},    {"register", in_register},
    {"jmp_buf", in_jmp_buf}, {"generated", generated},
};

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        if (strcmp(name, threads[i].name) == 0)
            return with_thread(threads[i].set) != 0;
    if (strcmp(name, "own") == 0)
        return own() != 0;
    if (strcmp(name, "own-chain") == 0)
        return own_chain() != 0;
    if (strcmp(name, "chain") == 0)
        set_chain(atol(argv[2]));
    else if (strcmp(name, "foreign") == 0)
        hide(&name);
    else
        for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
            if (strcmp(name, scenes[i].name) == 0)
                scenes[i].set();
    forget();
    return explain() != 0;
}
