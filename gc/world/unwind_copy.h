/* unwind_copy.h - which frame a word of a stack or a register belongs to, found out from a copy.
 *
 * The copy was taken while the thread was stopped. By now it runs on, or has ended: its stack is not read. Nothing here
 * fails but by not knowing: where code has no unwind information, where a stack was cut off, where libunwind's library
 * for the stacks of others is not there, or on a CPU that has no file of its own. All but unwind_registers_of and
 * unwind_register_name may call malloc, and take locks of the dynamic linker: never while the world is stopped. */
#ifndef WORLD_UNWIND_COPY_H
#define WORLD_UNWIND_COPY_H

#include "base/attr.h"

/* General registers by libunwind's numbers for x86-64: UNW_X86_64_RAX, 0, to UNW_X86_64_RIP, 16. */
enum { UNWIND_REGISTERS = 17 };

struct unwind_copy {
    uintptr_t lo, hi;  /* addresses of the stack that were copied */
    const void *bytes; /* the copy of [lo, hi) */
    uintptr_t registers[UNWIND_REGISTERS];
};

/* Those of a thread that a signal interrupted, or that getcontext stored. May run while the world is stopped. */
void unwind_registers_of(const void *ucontext, uintptr_t registers[UNWIND_REGISTERS]);
const char *unwind_register_name(unsigned r); /* "rbx", or NULL */

/* Which of them is kept at this address within the ucontext; UNWIND_REGISTERS when none is. The world may be stopped. */
unsigned unwind_register_at(const void *ucontext, uintptr_t address);

struct unwind_frame {
    unsigned number; /* 0 is the innermost */
    uintptr_t ip;    /* to look names up with: in a frame that called, 1 less than the return address */
    uintptr_t sp;  /* its stack is [sp, cfa). It is not known of the last frame that is found, unless the stack ends */
    uintptr_t cfa; /* there: then cfa is sp */
    const char *reg; /* what this register holds in the frame is the word; NULL: a slot of its stack */
};

/* Calls fn for each frame, innermost first, until it returns false or no more is known. What the kernel puts on the stack
 * for a signal is a frame too. No lock is held around fn. */
void unwind_copy_each(const struct unwind_copy *c, bool (*fn)(const struct unwind_frame *f, void *arg), void *arg);

/* The frame that the word at `slot` belongs to; below the innermost SP that is the red zone. Where a frame saved a
 * register there for its caller, or the kernel for a signal, it is the frame that uses that register, with reg set; if
 * that cannot be known, the one that saved it. */
bool unwind_copy_find_slot(const struct unwind_copy *c, uintptr_t slot, struct unwind_frame *f);

/* The frame that uses register r of c->registers: the innermost that saved what its caller had in it. One that a call does
 * not preserve, or that no frame saved, is the innermost frame's. */
bool unwind_copy_find_register(const struct unwind_copy *c, unsigned r, struct unwind_frame *f);

#endif
