/* unwind_copy.c - frames of a thread that has ended, from a copy of its stack and registers; copies and registers that
 * hold anything. Holds unwind_copy.known, .upward, .owner, unwind_space.copy, .faults, .binary. */
#include "../check_main.h"

#include "world/unwind_copy.h"
#include "world/unwind_space.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined __x86_64__

enum { RAX = 0, RBX = 3, RBP = 6, RSP = 7, R12 = 12, RIP = 16 };
enum { STACK = 256 << 10, ALTERNATE = 64 << 10, RED = 16 };

/* ---- the thread: outer, in C, calls middle, which calls inner, which spins until it is let go ---- */

#define IN_RBX   0xb0b0b0b0b0b
#define IN_R12   0x120120120120
#define IN_RED   0x4ed4ed4ed4ed
#define IN_LOCAL 0x10ca110ca1
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

void middle(void);
extern const char middle_end[], inner[], inner_end[];
extern const char __start_outer_text[], __stop_outer_text[];
volatile int spin;
volatile uintptr_t middle_sp, inner_sp;
static volatile uintptr_t *outer_local;

/* middle has a word of its own, and keeps rbx and r12; inner saves rbx, uses it and its red zone, and leaves r12. */
__asm__(".text\n.type middle, @function\n"
        "middle:\n.cfi_startproc\n"
        "    pushq %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "    pushq %r12\n.cfi_def_cfa_offset 24\n.cfi_offset r12, -24\n"
        "    subq $24, %rsp\n.cfi_def_cfa_offset 48\n"
        "    movabsq $" TEXT(
            IN_LOCAL) ", %rax\n    movq %rax, 8(%rsp)\n"
                      "    movq %rsp, middle_sp(%rip)\n"
                      "    movabsq $" TEXT(
                          IN_RBX) ", %rbx\n"
                                  "    movabsq $" TEXT(
                                      IN_R12) ", %r12\n"
                                              "    call inner\n"
                                              "    addq $24, %rsp\n.cfi_def_cfa_offset 24\n"
                                              "    popq %r12\n.cfi_def_cfa_offset 16\n"
                                              "    popq %rbx\n.cfi_def_cfa_offset 8\n"
                                              "    ret\n.cfi_endproc\n"
                                              ".globl middle_end\nmiddle_end:\n.size middle, .-middle\n"
                                              ".globl inner\n.type inner, @function\n"
                                              "inner:\n.cfi_startproc\n"
                                              "    pushq %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
                                              "    xorl %ebx, %ebx\n"
                                              "    movabsq $" TEXT(
                                                  IN_RED) ", %rax\n    movq %rax, -16(%rsp)\n"
                                                          "    movq %rsp, inner_sp(%rip)\n"
                                                          "    movl $1, spin(%rip)\n"
                                                          "1:  pause\n"
                                                          "    cmpl $2, spin(%rip)\n"
                                                          "    jne 1b\n"
                                                          "    popq %rbx\n.cfi_def_cfa_offset 8\n"
                                                          "    ret\n.cfi_endproc\n"
                                                          ".globl inner_end\ninner_end:\n.size inner, .-inner\n");

__attribute__((noinline, section("outer_text"))) static void outer(void)
{
    volatile uintptr_t local[4] = {IN_LOCAL};
    outer_local = local;
    middle();
    if (local[0] != IN_LOCAL)
        abort();
}

/* Where the handler runs: on the same stack, on one that lies between the thread's frames, on one apart, where in the
 * last case another handler calls outer. */
static enum { SAME, BETWEEN, APART, NESTED } alternate;
static void *alternate_stack;
static volatile uintptr_t *thread_word;

static void nesting_handler(int sig)
{
    (void)sig;
    outer();
    spin++; /* no tail call */
}

static void nest(void)
{
    struct sigaction sa = {.sa_handler = nesting_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR2, &sa, NULL);
    pthread_kill(pthread_self(), SIGUSR2);
}

static void *thread(void *unused)
{
    (void)unused;
    volatile uintptr_t local[1] = {IN_LOCAL};
    thread_word = local;
    if (alternate == BETWEEN)
        alternate_stack = __builtin_alloca(ALTERNATE);
    stack_t ss = {.ss_sp = alternate_stack, .ss_size = ALTERNATE};
    if (alternate)
        sigaltstack(&ss, NULL);
    if (alternate == NESTED)
        nest();
    else
        outer();
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
    return NULL;
}

/* ---- taking the copy ---- */

struct taken {
    struct unwind_copy copy;   /* of the thread as the signal interrupted it */
    struct unwind_copy within; /* of its handler; of another stack, if that runs on one */
    ucontext_t *uc;            /* where the kernel put it */
    struct taken_stack {
        void *p;
        size_t size;
    } own, other;
};

static struct taken taken;
static sem_t reached, go_on;

static void handler(int sig, siginfo_t *info, void *uc)
{
    (void)sig;
    (void)info;
    ucontext_t here;
    getcontext(&here);
    taken.uc = uc;
    unwind_registers_of(uc, taken.copy.registers);
    unwind_registers_of(&here, taken.within.registers);
    sem_post(&reached);
    sem_wait(&go_on);
}

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

/* As an AddressSanitizer does not see it: there are words between a function's variables that it has poisoned. */
__attribute__((no_sanitize_address)) static void copy_words(volatile uintptr_t *to, const uintptr_t *from, size_t n)
{
    while (n-- > 0)
        to[n] = from[n];
}

static void copy(struct unwind_copy *c, uintptr_t lo, uintptr_t hi)
{
    c->lo = lo & -sizeof lo;
    c->hi = hi;
    void *bytes = malloc(c->hi - c->lo);
    copy_words(bytes, (const uintptr_t *)c->lo, (c->hi - c->lo) / sizeof(uintptr_t));
    c->bytes = bytes;
}

static void interrupt(pthread_t id)
{
    sem_init(&reached, 0, 0);
    sem_init(&go_on, 0, 0);
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | (alternate ? SA_ONSTACK : 0)};
    sigaction(SIGUSR1, &sa, NULL);
    while (spin != 1)
        sched_yield();
    pthread_kill(id, SIGUSR1);
    while (sem_wait(&reached) != 0)
        ;
}

static void let_go(pthread_t id)
{
    spin = 2;
    sem_post(&go_on);
    pthread_join(id, NULL);
}

/* Its stacks are gone afterwards. */
static void take(int where)
{
    pthread_t id;
    pthread_attr_t attr;
    char *stack = map(STACK);
    void *apart = map(ALTERNATE);
    alternate = where;
    alternate_stack = apart;
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, STACK);
    ck_assert_int_eq(pthread_create(&id, &attr, thread, NULL), 0);
    interrupt(id);
    uintptr_t top = (uintptr_t)stack + STACK;
    uintptr_t alternate_top = (uintptr_t)alternate_stack + ALTERNATE;
    copy(&taken.copy, taken.copy.registers[RSP] - 128, alternate == NESTED ? alternate_top : top);
    copy(&taken.within, taken.within.registers[RSP], alternate ? alternate_top : top);
    let_go(id);
    ck_assert_int_eq(munmap(stack, STACK), 0);
    ck_assert_int_eq(munmap(apart, ALTERNATE), 0);
}

/* ---- asking ---- */

enum { MAX = 64 };
struct list {
    struct unwind_frame f[MAX];
    unsigned n, most;
};

static bool add(const struct unwind_frame *f, void *arg)
{
    struct list *l = arg;
    ck_assert_uint_eq(f->number, l->n);
    ck_assert_uint_le(f->sp, f->cfa);
    ck_assert_ptr_null(f->reg);
    l->f[l->n++] = *f;
    return l->n < l->most;
}

static struct list frames_of(const struct unwind_copy *c)
{
    struct list l = {.most = MAX};
    unwind_copy_each(c, add, &l);
    return l;
}

static bool in(const struct unwind_frame *f, const void *lo, const void *hi)
{
    return f->ip >= (uintptr_t)lo && f->ip < (uintptr_t)hi;
}

static bool in_inner(const struct unwind_frame *f) { return in(f, inner, inner_end); }
static bool in_middle(const struct unwind_frame *f) { return in(f, (void *)(uintptr_t)middle, middle_end); }
static bool in_outer(const struct unwind_frame *f) { return in(f, __start_outer_text, __stop_outer_text); }

static void expect(bool found, const struct unwind_frame *f, bool (*where)(const struct unwind_frame *),
                   unsigned number, const char *reg)
{
    ck_assert(found);
    ck_assert_uint_eq(f->number, number);
    ck_assert(where(f));
    if (reg)
        ck_assert_str_eq(f->reg, reg);
    else
        ck_assert_ptr_null(f->reg);
}

#define SLOT(c, at, where, number, name)                                                                               \
    do {                                                                                                               \
        struct unwind_frame f_;                                                                                        \
        expect(unwind_copy_find_slot(c, at, &f_), &f_, where, number, name);                                           \
    } while (0)
#define REGISTER(c, r, where, number)                                                                                  \
    do {                                                                                                               \
        struct unwind_frame f_;                                                                                        \
        expect(unwind_copy_find_register(c, r, &f_), &f_, where, number, unwind_register_name(r));                     \
    } while (0)

static bool no_slot(const struct unwind_copy *c, uintptr_t at)
{
    struct unwind_frame f;
    return !unwind_copy_find_slot(c, at, &f);
}

static bool no_register(const struct unwind_copy *c, unsigned r)
{
    struct unwind_frame f;
    return !unwind_copy_find_register(c, r, &f);
}

static uintptr_t word_at(const struct unwind_copy *c, uintptr_t at)
{
    uintptr_t v;
    ck_assert(at >= c->lo && at <= c->hi - sizeof v);
    memcpy(&v, (const char *)c->bytes + (at - c->lo), sizeof v);
    return v;
}

/* ---- tests ---- */

/* All of them to the start of the thread, one above the other. */
START_TEST(frames)
{
    take(SAME);
    struct list l = frames_of(&taken.copy);
    ck_assert_uint_ge(l.n, 4);
    ck_assert(in_inner(&l.f[0]) && in_middle(&l.f[1]) && in_outer(&l.f[2]));
    ck_assert_uint_eq(l.f[0].ip, taken.copy.registers[RIP]);
    ck_assert_uint_eq(l.f[0].sp, inner_sp);
    ck_assert_uint_eq(l.f[1].sp, middle_sp);
    ck_assert_uint_eq(l.f[1].ip + 1, word_at(&taken.copy, l.f[0].cfa - sizeof(uintptr_t)));
    for (unsigned i = 0; i + 1 < l.n; i++)
        ck_assert_uint_eq(l.f[i].cfa, l.f[i + 1].sp);
    Dl_info last;
    ck_assert(dladdr((void *)l.f[l.n - 1].ip, &last));
    ck_assert_ptr_nonnull(strstr(last.dli_fname, "libc.so"));
    l = (struct list){.most = 2};
    unwind_copy_each(&taken.copy, add, &l);
    ck_assert_uint_eq(l.n, 2);
}
END_TEST

START_TEST(slots)
{
    take(SAME);
    const struct unwind_copy *c = &taken.copy;
    ck_assert_uint_eq(word_at(c, (uintptr_t)outer_local), IN_LOCAL);
    SLOT(c, (uintptr_t)outer_local, in_outer, 2, NULL);
    ck_assert_uint_eq(word_at(c, middle_sp + 8), IN_LOCAL);
    SLOT(c, middle_sp + 8, in_middle, 1, NULL);
    SLOT(c, inner_sp + 8, in_inner, 0, NULL);
    ck_assert_uint_eq(word_at(c, inner_sp - RED), IN_RED);
    SLOT(c, inner_sp - RED, in_inner, 0, NULL);
    ck_assert(no_slot(c, inner_sp - 129));
    ck_assert(no_slot(c, c->hi));
    ck_assert(no_slot(c, 0));
    ck_assert(no_slot(c, UINTPTR_MAX));
}
END_TEST

/* inner saved rbx for middle, middle saved both for whoever calls it. */
START_TEST(saved)
{
    take(SAME);
    const struct unwind_copy *c = &taken.copy;
    struct unwind_frame f;
    ck_assert_uint_eq(c->registers[R12], IN_R12);
    REGISTER(c, R12, in_middle, 1);
    ck_assert_uint_eq(c->registers[RBX], 0);
    REGISTER(c, RBX, in_inner, 0);
    REGISTER(c, RAX, in_inner, 0);
    REGISTER(c, RSP, in_inner, 0);
    ck_assert_uint_eq(word_at(c, inner_sp), IN_RBX);
    SLOT(c, inner_sp, in_middle, 1, "rbx");
    ck_assert(unwind_copy_find_slot(c, middle_sp + 24, &f));
    ck_assert_uint_ge(f.number, 2);
    ck_assert_str_eq(f.reg, "r12");
    ck_assert(no_register(c, UNWIND_REGISTERS));
    ck_assert_ptr_null(unwind_register_name(UNWIND_REGISTERS));
    ck_assert_str_eq(unwind_register_name(RIP), "rip");
}
END_TEST

/* At the end of the stack, what nobody saved is the innermost frame's. */
START_TEST(outermost)
{
    take(SAME);
    struct unwind_copy c = taken.copy;
    struct list l = frames_of(&c);
    struct unwind_frame last = l.f[l.n - 1], f;
    c.registers[RIP] = last.ip + 1;
    c.registers[RSP] = last.sp;
    ck_assert_uint_eq(frames_of(&c).n, 1);
    for (unsigned r = 0; r < UNWIND_REGISTERS; r++) {
        ck_assert(unwind_copy_find_register(&c, r, &f));
        ck_assert_uint_eq(f.number, 0);
        ck_assert_str_eq(f.reg, unwind_register_name(r));
    }
}
END_TEST

static uintptr_t greg(int r) { return (uintptr_t)&taken.uc->uc_mcontext.gregs[r]; }

/* A walk from the handler: the kernel's frame is the second, and the one that it interrupted did not call. */
START_TEST(signal_frame)
{
    take(SAME);
    const struct unwind_copy *c = &taken.within;
    struct list l = frames_of(c);
    ck_assert_uint_ge(l.n, 6);
    ck_assert(in_inner(&l.f[2]) && in_middle(&l.f[3]) && in_outer(&l.f[4]));
    ck_assert_uint_eq(l.f[2].ip, taken.copy.registers[RIP]);
    ck_assert_uint_eq(l.f[1].sp, (uintptr_t)taken.uc);
    SLOT(c, (uintptr_t)outer_local, in_outer, 4, NULL);
    SLOT(c, inner_sp - RED, in_inner, 2, NULL);
    SLOT(c, inner_sp, in_middle, 3, "rbx");
    SLOT(c, greg(REG_R12), in_middle, 3, "r12");
    SLOT(c, greg(REG_RBX), in_inner, 2, "rbx");
    SLOT(c, greg(REG_RAX), in_inner, 2, "rax");
    struct unwind_frame f;
    ck_assert(unwind_copy_find_slot(c, greg(REG_RIP), &f));
    ck_assert(f.number == 1 && !f.reg);
    ck_assert(unwind_copy_find_register(c, R12, &f));
    ck_assert(f.number == 0 || f.number == 3);
}
END_TEST

/* Where the handler runs on a stack of its own, and only that was copied, the walk ends there. */
START_TEST(alternate_stack_alone)
{
    take(APART);
    struct list l = frames_of(&taken.within);
    struct unwind_frame f;
    ck_assert_uint_eq(l.n, 2);
    ck_assert_uint_eq(l.f[1].sp, (uintptr_t)taken.uc);
    ck_assert_uint_eq(l.f[1].cfa, taken.within.hi);
    ck_assert(unwind_copy_find_slot(&taken.within, greg(REG_R12), &f));
    ck_assert(f.number == 1 && !f.reg);
    l = frames_of(&taken.copy);
    ck_assert(l.n >= 4 && in_outer(&l.f[2]));
}
END_TEST

/* What the signal interrupted is found on the way out also where it lies below. */
START_TEST(alternate_stack_between)
{
    take(BETWEEN);
    struct unwind_copy c = taken.copy;
    memcpy(c.registers, taken.within.registers, sizeof c.registers);
    struct list l = frames_of(&c);
    ck_assert_uint_ge(l.n, 6);
    ck_assert(in_inner(&l.f[2]) && in_middle(&l.f[3]) && in_outer(&l.f[4]));
    ck_assert_uint_gt(l.f[1].sp, l.f[4].cfa);
    ck_assert_uint_eq(l.f[1].cfa, (uintptr_t)alternate_stack + ALTERNATE);
    SLOT(&c, (uintptr_t)outer_local, in_outer, 4, NULL);
    SLOT(&c, inner_sp - RED, in_inner, 2, NULL);
    SLOT(&c, greg(REG_R12), in_middle, 3, "r12");
    struct unwind_frame f;
    ck_assert(unwind_copy_find_slot(&c, (uintptr_t)thread_word, &f));
    ck_assert_uint_eq(f.number, 5);
}
END_TEST

/* A handler that interrupted another on the same alternate stack: the walk ends at the first one's. */
START_TEST(alternate_stack_nested)
{
    take(NESTED);
    struct list l = frames_of(&taken.within);
    ck_assert_uint_eq(l.n, 7);
    ck_assert(in_inner(&l.f[2]) && in_middle(&l.f[3]) && in_outer(&l.f[4]));
    ck_assert_uint_lt(l.f[1].cfa, l.f[2].sp);
    ck_assert_uint_eq(l.f[6].cfa, taken.within.hi);
    SLOT(&taken.within, (uintptr_t)outer_local, in_outer, 4, NULL);
}
END_TEST

/* The frames that are found are the first of `all`, within the copy. */
static unsigned first_of(const struct list *all, const struct unwind_copy *c)
{
    struct list l = frames_of(c);
    for (unsigned i = 0; i < l.n; i++)
        if (l.f[i].ip != all->f[i].ip || l.f[i].sp >= c->hi || l.f[i].cfa > c->hi)
            ck_abort_msg("cut off at %#lx: frame %u at %#lx", (unsigned long)c->hi, i, (unsigned long)l.f[i].ip);
    return l.n;
}

/* .known: what was cut off is not guessed at. */
START_TEST(truncated)
{
    take(SAME);
    for (int within = 0; within < 2; within++) {
        struct unwind_copy c = within ? taken.within : taken.copy;
        struct list all = frames_of(&c);
        unsigned n = first_of(&all, &c);
        for (; c.hi > c.lo; c.hi -= c.hi > inner_sp + 4096 ? 512 : 1) {
            unsigned fewer = first_of(&all, &c);
            ck_assert_uint_le(fewer, n);
            n = fewer;
        }
    }
    struct unwind_copy c = taken.copy;
    c.hi = middle_sp + 16;
    ck_assert_uint_eq(frames_of(&c).n, 2);
    ck_assert(no_register(&c, R12));
    ck_assert(no_slot(&c, middle_sp + 8));
    SLOT(&c, inner_sp, in_inner, 0, NULL);
    REGISTER(&c, RBX, in_inner, 0);
    c.hi = inner_sp;
    ck_assert(no_register(&c, RAX));
    ck_assert(no_slot(&c, inner_sp - RED));
}
END_TEST

static bool can_read(struct unwind_space *s, uintptr_t p)
{
    uintptr_t word;
    s->failed = false;
    bool r = unwind_space_read(s, p, &word);
    ck_assert(r != s->failed);
    return r;
}

static char guarded[2 * 4096] __attribute__((aligned(4096)));

/* .copy, .faults. */
START_TEST(reading)
{
    uintptr_t in_copy[4] = {1, 2, 3, 4}, lo = (uintptr_t)map(4096) + 1024, word;
    struct unwind_copy c = {.lo = lo, .hi = lo + sizeof in_copy, .bytes = in_copy};
    struct unwind_space s = {.copy = &c};
    ck_assert(unwind_space_read(&s, lo, &word) && word == 1);
    ck_assert(unwind_space_read(&s, lo + 24, &word) && word == 4);
    ck_assert(unwind_space_read(&s, lo + 4, &word) && word == (uint64_t)2 << 32);
    for (uintptr_t p = lo - 16; p < lo + sizeof in_copy + 16; p++)
        ck_assert(can_read(&s, p) == (p >= lo && p <= lo + 24));
    ck_assert(!can_read(&s, 0) && !can_read(&s, 8) && !can_read(&s, UINTPTR_MAX) && !can_read(&s, UINTPTR_MAX - 7));
    ck_assert(!can_read(&s, (uintptr_t)&word));
    ck_assert(can_read(&s, (uintptr_t)__start_outer_text));
    ck_assert(can_read(&s, (uintptr_t)guarded + 4096 - 3));
    mprotect(guarded + 4096, 4096, PROT_NONE);
    s.page = 0;
    ck_assert(!can_read(&s, (uintptr_t)guarded + 4096));
    ck_assert(!can_read(&s, (uintptr_t)guarded + 4096 - 3));
    ck_assert(can_read(&s, (uintptr_t)guarded + 4096 - 8));
}
END_TEST

static void ask_all(const struct unwind_copy *c)
{
    struct unwind_frame f;
    struct list l = {.most = MAX};
    unwind_copy_each(c, add, &l);
    for (unsigned r = 0; r < UNWIND_REGISTERS; r++)
        unwind_copy_find_register(c, r, &f);
    for (uintptr_t at = c->lo; at < c->lo + 1024; at += 64)
        unwind_copy_find_slot(c, at, &f);
}

static uint64_t seed;
static uint64_t random_word(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 11 << (seed & 15);
}

/* Addresses that look right: of code, of data, of the stack. */
static uintptr_t likely_word(const struct unwind_copy *c)
{
    const uintptr_t near[] = {(uintptr_t)inner,
                              (uintptr_t)__start_outer_text,
                              (uintptr_t)getcontext,
                              (uintptr_t)&spin,
                              c->lo,
                              c->hi,
                              (uintptr_t)inner + (random_word() << 12 & 0xfffff),
                              random_word(),
                              0};
    return near[random_word() % (sizeof near / sizeof *near)] + random_word() % 256;
}

/* .faults, .upward. */
START_TEST(garbage)
{
    seed = check_env("STRESS_SEED", 1);
    fprintf(stderr, "STRESS_SEED=%lu\n", (unsigned long)seed);
    take(SAME);
    struct unwind_copy c = taken.copy;
    uintptr_t *words = malloc(c.hi - c.lo);
    memcpy(words, c.bytes, c.hi - c.lo);
    c.bytes = words;
    for (int i = 0; i < 300; i++) {
        for (int r = 0; r < UNWIND_REGISTERS; r++)
            if (random_word() % 3 == 0)
                c.registers[r] = likely_word(&c);
        if (i % 2)
            words[random_word() % ((c.hi - c.lo) / sizeof *words)] = likely_word(&c);
        ask_all(&c);
        if (i % 10 == 9)
            memcpy(c.registers, taken.copy.registers, sizeof c.registers);
    }
}
END_TEST

START_TEST(nothing_there)
{
    uintptr_t page = (uintptr_t)map(4096); /* afterwards it might come to lie where the thread's stack was */
    take(SAME);
    struct unwind_copy c = taken.copy;
    struct unwind_frame f;
    /* Code without unwind information: the frame is there, but not where it ends, nor what it saved. */
    for (int i = 0; i < 3; i++) {
        c.registers[RIP] = i == 0 ? page + 100 : i == 1 ? (uintptr_t)&spin : 8;
        ck_assert_uint_eq(frames_of(&c).n, 1);
        ck_assert(no_slot(&c, (uintptr_t)outer_local));
        ck_assert(no_register(&c, R12));
        ck_assert(unwind_copy_find_register(&c, RAX, &f) && f.number == 0 && f.ip == c.registers[RIP]);
    }
    c = taken.copy;
    for (int i = 0; i < 5; i++) {
        c.registers[RSP] = i == 0 ? 0 : i == 1 ? c.hi : i == 2 ? page : i == 3 ? UINTPTR_MAX - 3 : c.lo - 8;
        ck_assert_msg(frames_of(&c).n == 0, "%d: %u frames from %#lx, of %#lx-%#lx", i, frames_of(&c).n,
                      c.registers[RSP], c.lo, c.hi);
        ck_assert(no_register(&c, RAX));
        ck_assert(no_slot(&c, (uintptr_t)outer_local));
    }
    c = taken.copy;
    c.hi = c.lo;
    ck_assert_uint_eq(frames_of(&c).n, 0);
}
END_TEST

/* What an ordinary frame leads to is above it: here a thread's stack that has been made into a ring. */
START_TEST(ring)
{
    take(SAME);
    struct unwind_copy c = taken.copy;
    struct list l = frames_of(&c);
    char *bytes = malloc(c.hi - c.lo);
    memcpy(bytes, c.bytes, c.hi - c.lo);
    c.bytes = bytes;
    uintptr_t back = l.f[0].ip;
    memcpy(bytes + (l.f[1].cfa - sizeof back - c.lo), &back, sizeof back);
    l = frames_of(&c);
    ck_assert_uint_lt(l.n, MAX);
    ck_assert(in_inner(&l.f[0]) && in_middle(&l.f[1]) && in_inner(&l.f[2]));
}
END_TEST

static bool count(const struct unwind_frame *f, void *n)
{
    ck_assert(f->sp < f->cfa);
    return ++*(unsigned *)n < 1000000;
}

/* Frames of signals alone may lead down again: here two, on a stack each, that interrupted each other. */
START_TEST(signal_ring)
{
    enum { EACH = 4096 };
    take(SAME);
    struct unwind_frame trampoline = frames_of(&taken.within).f[1];
    struct unwind_copy c = taken.copy;
    char *bytes = calloc(2, EACH);
    c.hi = c.lo + 2 * EACH;
    c.bytes = bytes;
    for (unsigned i = 0; i < 2; i++) {
        ucontext_t *uc = (void *)(bytes + i * EACH);
        uc->uc_stack.ss_sp = (void *)(c.lo + i * EACH);
        uc->uc_stack.ss_size = EACH;
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)trampoline.ip;
        uc->uc_mcontext.gregs[REG_RSP] = (greg_t)(c.lo + (1 - i) * EACH);
    }
    c.registers[RIP] = trampoline.ip;
    c.registers[RSP] = c.lo;
    unsigned n = 0;
    unwind_copy_each(&c, count, &n);
    ck_assert_uint_eq(n, 100000);
}
END_TEST

START_TEST(leaves_nothing)
{
    take(SAME);
    ask_all(&taken.copy);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 20; i++)
        ask_all(&taken.copy);
    ck_assert_uint_eq(mallinfo2().uordblks, before);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, frames);
    tcase_add_test(tc, slots);
    tcase_add_test(tc, saved);
    tcase_add_test(tc, outermost);
    tcase_add_test(tc, signal_frame);
    tcase_add_test(tc, alternate_stack_alone);
    tcase_add_test(tc, alternate_stack_between);
    tcase_add_test(tc, alternate_stack_nested);
    tcase_add_test(tc, reading);
    tcase_add_test(tc, signal_ring);
    tcase_add_test(tc, truncated);
    tcase_add_test(tc, garbage);
    tcase_add_test(tc, nothing_there);
    tcase_add_test(tc, ring);
    tcase_add_test(tc, leaves_nothing);
}

#else

START_TEST(knows_nothing)
{
    struct unwind_copy c = {0};
    struct unwind_frame f;
    ck_assert(!unwind_copy_find_slot(&c, 0, &f) && !unwind_copy_find_register(&c, 0, &f));
    ck_assert_ptr_null(unwind_register_name(0));
}
END_TEST

static void tests(TCase *tc) { tcase_add_test(tc, knows_nothing); }

#endif

CHECK_MAIN("unit/unwind_copy", tests)
