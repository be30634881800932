/* unwind_copy.c - the frames of a copied stack on x86-64, and what belongs to which.
 * Owns:   nothing. Locks: none around the caller's function; see unwind_space.
 * Keeps:  .known   a frame is left by its unwind information, all of which could be read, or not at all: libunwind goes on
 *                  by guesses where there is none
 *         .upward  each frame lies above the one before, in the copy; so a walk ends. Only what a signal interrupted may
 *                  run on another stack
 *         .owner   a register's word is named as the frame's that put it there, or as no frame's
 * Below:  libunwind, unwind_space.   Above: api. */
#include "world/unwind_copy.h"

#include "world/unwind_space.h"

#include <string.h>
#include <ucontext.h>

enum { FRAMES_MAX = 100000, RED_ZONE = 128, GENERAL = UNWIND_REGISTERS - 1 /* without the instruction pointer */ };

_Static_assert(UNW_X86_64_RIP == UNWIND_REGISTERS - 1, "the numbers of registers are libunwind's");

/* ---- registers ---- */

static const struct {
    const char *name;
    unsigned greg;
    bool preserved; /* by a function, for its caller */
} general[UNWIND_REGISTERS] = {
    [UNW_X86_64_RAX] = {"rax", REG_RAX, false}, [UNW_X86_64_RDX] = {"rdx", REG_RDX, false},
    [UNW_X86_64_RCX] = {"rcx", REG_RCX, false}, [UNW_X86_64_RBX] = {"rbx", REG_RBX, true},
    [UNW_X86_64_RSI] = {"rsi", REG_RSI, false}, [UNW_X86_64_RDI] = {"rdi", REG_RDI, false},
    [UNW_X86_64_RBP] = {"rbp", REG_RBP, true},  [UNW_X86_64_RSP] = {"rsp", REG_RSP, false},
    [UNW_X86_64_R8] = {"r8", REG_R8, false},    [UNW_X86_64_R9] = {"r9", REG_R9, false},
    [UNW_X86_64_R10] = {"r10", REG_R10, false}, [UNW_X86_64_R11] = {"r11", REG_R11, false},
    [UNW_X86_64_R12] = {"r12", REG_R12, true},  [UNW_X86_64_R13] = {"r13", REG_R13, true},
    [UNW_X86_64_R14] = {"r14", REG_R14, true},  [UNW_X86_64_R15] = {"r15", REG_R15, true},
    [UNW_X86_64_RIP] = {"rip", REG_RIP, false},
};

unsigned unwind_register_at(const void *ucontext, uintptr_t address)
{
    const ucontext_t *uc = ucontext;
    unsigned r = 0;
    while (r < UNWIND_REGISTERS && (uintptr_t)&uc->uc_mcontext.gregs[general[r].greg] != address)
        r++;
    return r;
}

const char *unwind_register_name(unsigned r) { return r < UNWIND_REGISTERS ? general[r].name : NULL; }

void unwind_registers_of(const void *ucontext, uintptr_t registers[UNWIND_REGISTERS])
{
    const ucontext_t *uc = ucontext;
    for (unsigned r = 0; r < UNWIND_REGISTERS; r++)
        registers[r] = (uintptr_t)uc->uc_mcontext.gregs[general[r].greg];
}

/* ---- a walk from frame to frame ---- */

enum state { GOES_ON, ENDED, UNKNOWN };

struct walk {
    struct unwind_calls calls;
    struct unwind_space space;
    unw_addr_space_t as;
    unw_cursor_t cursor;               /* in the next frame */
    uintptr_t seen[UNWIND_REGISTERS];  /* where that finds its caller's registers in memory, or 0 */
    enum state state;                  /* of what is beyond the current frame */
    struct unwind_frame frame;         /* the current one, and */
    uintptr_t saved[UNWIND_REGISTERS]; /* where it itself saved its caller's registers */
    bool signal;                       /* it is the kernel's, for a signal */
    bool interrupted;                  /* it called nobody */
    unsigned frames;
};

static bool begin(struct walk *w, const struct unwind_copy *c)
{
    *w = (struct walk){.space = {.copy = c, .calls = &w->calls}};
    if (!unwind_calls_find(&w->calls))
        return false;
    w->as = unwind_space_create(&w->calls);
    if (!w->as)
        return false;
    if (w->calls.init_remote(&w->cursor, w->as, &w->space) == 0)
        return true;
    w->calls.destroy_addr_space(w->as);
    return false;
}

static void end(struct walk *w) { w->calls.destroy_addr_space(w->as); }

static uintptr_t value_of(struct walk *w, int r)
{
    unw_word_t v = 0;
    return w->calls.get_reg(&w->cursor, r, &v) == 0 ? v : 0;
}

static uintptr_t place_of(struct walk *w, int r)
{
    unw_save_loc_t at;
    return w->calls.get_save_loc(&w->cursor, r, &at) == 0 && at.type == UNW_SLT_MEMORY ? at.u.addr : 0;
}

static uintptr_t greg_at(const struct walk *w, unsigned r)
{
    return w->frame.sp + offsetof(ucontext_t, uc_mcontext.gregs) + general[r].greg * sizeof(greg_t);
}

/* SP is a caller's by CFA alone. The kernel saves all, and SP is at its ucontext. */
static void look_for_saved(struct walk *w)
{
    for (unsigned r = 0; r < GENERAL; r++) {
        uintptr_t at = r == UNW_REG_SP ? 0 : place_of(w, (int)r);
        w->saved[r] = w->signal ? greg_at(w, r) : at != w->seen[r] ? at : 0;
        w->seen[r] = at;
    }
}

/* mov $15, %rax; syscall: where a handler returns to. unw_is_signal_frame means this frame or the one that it
 * interrupted, by libunwind's version. Other code may end before so many bytes have been read. */
static bool returns_to_kernel(struct walk *w, uintptr_t ip)
{
    const uintptr_t first = 0x0f0000000fc0c748, second = 0x05;
    uintptr_t words[2];
    return unwind_space_read(&w->space, ip, &words[0]) && words[0] == first &&
           unwind_space_read(&w->space, ip + sizeof *words, &words[1]) && (words[1] & 0xff) == second;
}

/* A signal frame ends below the red zone of what was interrupted. Where that ran on another stack, it ends with its own,
 * of which the kernel wrote down the bounds. */
static uintptr_t signal_end(struct walk *w, uintptr_t interrupted)
{
    const struct unwind_copy *c = w->space.copy;
    uintptr_t sp = w->frame.sp, lo, size;
    if (!unwind_space_read(&w->space, sp + offsetof(ucontext_t, uc_stack.ss_sp), &lo) ||
        !unwind_space_read(&w->space, sp + offsetof(ucontext_t, uc_stack.ss_size), &size))
        return sp;
    bool on_it = sp >= lo && sp - lo < size, left_it = interrupted < lo || interrupted - lo >= size;
    if (on_it && left_it)
        return least_of(lo + size, c->hi);
    return interrupted - RED_ZONE;
}

/* The frame ends at cfa, unless that cannot be; not even its caller is known then. */
static bool ends_at(struct walk *w, uintptr_t cfa)
{
    if (cfa <= w->frame.sp || cfa > w->space.copy->hi)
        return false;
    w->frame.cfa = cfa;
    return true;
}

static void step(void *arg)
{
    struct walk *w = arg;
    w->signal = returns_to_kernel(w, w->frame.ip);
    w->space.failed = false;
    int r = w->calls.step(&w->cursor);
    uintptr_t sp = value_of(w, UNW_X86_64_CFA), cfa = w->signal ? signal_end(w, sp) : sp;
    w->state = UNKNOWN;
    memset(w->saved, 0, sizeof w->saved);
    if (r < 0 || w->space.failed)
        return;
    bool ends = ends_at(w, cfa);
    w->state = r == 0 ? ENDED : ends ? GOES_ON : UNKNOWN;
    if (w->state != UNKNOWN)
        look_for_saved(w);
}

/* A caller's ip may be the first byte of another function, its call having been the last thing it did. */
static bool next(struct walk *w)
{
    const struct unwind_copy *c = w->space.copy;
    uintptr_t ip = value_of(w, UNW_REG_IP), sp = value_of(w, UNW_X86_64_CFA);
    if (w->state != GOES_ON || w->frames == FRAMES_MAX || sp < c->lo || sp >= c->hi)
        return false;
    w->interrupted = w->frames == 0 || w->signal;
    w->frame = (struct unwind_frame){.number = w->frames++, .ip = ip, .sp = sp, .cfa = sp};
    unwind_space_still(&w->space, step, w);
    if (!w->interrupted && !w->signal)
        w->frame.ip--;
    return true;
}

void unwind_copy_each(const struct unwind_copy *c, bool (*fn)(const struct unwind_frame *f, void *arg), void *arg)
{
    struct walk w;
    if (!begin(&w, c))
        return;
    while (next(&w) && fn(&w.frame, arg))
        ;
    end(&w);
}

/* ---- whose it is ---- */

/* The frame from the next one on that uses r. */
static bool find_owner(struct walk *w, unsigned r, struct unwind_frame *f)
{
    for (bool first = true; next(w); first = false) {
        if (first)
            *f = w->frame;
        bool its = general[r].preserved && w->saved[r] && !w->signal;
        if (its)
            *f = w->frame;
        if (its || !general[r].preserved || w->state == ENDED)
            return true;
    }
    return false;
}

bool unwind_copy_find_register(const struct unwind_copy *c, unsigned r, struct unwind_frame *f)
{
    struct walk w;
    if (r >= UNWIND_REGISTERS || !begin(&w, c))
        return false;
    bool found = find_owner(&w, r, f);
    end(&w);
    if (found)
        f->reg = unwind_register_name(r);
    return found;
}

static bool holds(const struct walk *w, uintptr_t slot)
{
    uintptr_t below = w->interrupted && !w->signal ? RED_ZONE : 0;
    return slot >= w->frame.sp - below && slot < w->frame.cfa;
}

static void name_saved(struct walk *w, uintptr_t slot, struct unwind_frame *f)
{
    struct unwind_frame owner;
    unsigned r = 0;
    while (r < GENERAL && w->saved[r] != slot)
        r++;
    if (r == GENERAL || !find_owner(w, r, &owner))
        return;
    *f = owner;
    f->reg = unwind_register_name(r);
}

bool unwind_copy_find_slot(const struct unwind_copy *c, uintptr_t slot, struct unwind_frame *f)
{
    struct walk w;
    if (!begin(&w, c))
        return false;
    bool found = false;
    while (!found && next(&w))
        found = holds(&w, slot);
    if (found) {
        *f = w.frame;
        name_saved(&w, slot, f);
    }
    end(&w);
    return found;
}
