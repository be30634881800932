/* stacks.h - coroutine stacks: which there are, which one a stack pointer lies on, how much of each is in use. */
#ifndef WORLD_STACKS_H
#define WORLD_STACKS_H

#include "base/lock.h"

#include <spangc.h>

enum stack_kind {
    STACK_NONE,       /* the record stands for nothing */
    STACK_IDLE,       /* in the pool: memory of ours that nobody may run on */
    STACK_ALLOCATED,  /* gc_stack_alloc */
    STACK_REGISTERED, /* gc_stack_register */
    STACK_OWN         /* a thread's own, gc_stack_self */
};

/* Records are type-stable. All but pub.sp and what the collector notes: the lock below. */
struct stack {
    struct gc_stack pub;        /* first: the program's handle. It stores sp at any time, and reads lo and hi */
    uintptr_t lo, hi;           /* bytes of the stack are [lo, hi) */
    struct stack *left, *right; /* in the tree by address; not STACK_OWN */
    struct stack *next;         /* in a list of idle stacks or free records */
    uintptr_t regs_lo, regs_hi; /* where the registers are kept while it is suspended */
    const void *context;        /* the ucontext_t that the saved SP is read from, or NULL: pub.sp is it */
    uintptr_t low;              /* the lowest SP on it at this stop. The collector */
    uint32_t noted;             /* the stop that low is of. The collector */
    bool doubtful;              /* low may be no SP: only a word that looks like one. The collector */
    uint8_t kind;               /* enum stack_kind */
    uint8_t size_class;         /* of the pool */
};

/* Protects the table, and the pool of stackpool.c. Held in a region, or under the world lock. */
extern struct lock stacks_lock;

/* ---- the table; stacks_lock held ---- */

/* A record for [lo, hi) of a kind; NULL with *error EINVAL when it overlaps another, ENOMEM. A thread's own stack is
 * not found by address, and may overlap: a program may have a coroutine's stack in a local array. */
struct stack *stacks_add(uintptr_t lo, uintptr_t hi, enum stack_kind kind, int *error);
void stacks_remove(struct stack *s);

/* Forget what was said of its registers, and that it was used. */
void stacks_reset(struct stack *s, enum stack_kind kind);

/* The record behind a handle, STACK_NONE and STACK_IDLE ones too; NULL for what is no handle, whatever it is. */
struct stack *stacks_of(const struct gc_stack *handle);

/* The stack around an address, or NULL. */
struct stack *stacks_around(uintptr_t p);

/* ---- a collection; the world is stopped ---- */

/* Forget what was noted. */
void stacks_begin_notes(void);

/* A thread's SP is sp, and what it uses there begins at `from`: below sp, where there is a red zone. False when no
 * stack is there. */
bool stacks_note_sp(uintptr_t sp, uintptr_t from);
void stacks_note_own(struct stack *own, uintptr_t from);

/* A thread runs on an alternate signal stack, used in [lo, hi): the SP that was interrupted is one of the words there,
 * on one of the stacks, or on its own if that is listed. */
void stacks_note_words(struct stack *own, uintptr_t lo, uintptr_t hi);

struct stack_use {
    uintptr_t lo, hi;           /* what to read of the stack; may be empty */
    bool untouched;             /* there may be pages in it that were never touched: where its use begins is unknown */
    uintptr_t regs_lo, regs_hi; /* and of its registers */
    const uintptr_t *ref;       /* refers to what the registers' memory is part of: that is looked at again */
};

/* Calls fn for each stack. With all_in_doubt, of a stack that no SP was noted on, it is not known whether it runs. */
void stacks_each_use(bool all_in_doubt, void (*fn)(const struct stack_use *use, void *arg), void *arg);

void stacks_fork_acquire(void);
void stacks_fork_release(void);

#endif
