/* unwind_copy_generic.c - a CPU whose registers are not known here: no frame is found.
 * Owns: nothing. Locks: none. Below: nothing. Above: api. */
#include "world/unwind_copy.h"

#include <string.h>

void unwind_registers_of(const void *ucontext, uintptr_t registers[UNWIND_REGISTERS])
{
    (void)ucontext;
    memset(registers, 0, UNWIND_REGISTERS * sizeof *registers);
}

unsigned unwind_register_at(const void *ucontext, uintptr_t address)
{
    (void)ucontext;
    (void)address;
    return UNWIND_REGISTERS;
}

const char *unwind_register_name(unsigned r)
{
    (void)r;
    return NULL;
}

void unwind_copy_each(const struct unwind_copy *c, bool (*fn)(const struct unwind_frame *f, void *arg), void *arg)
{
    (void)c;
    (void)fn;
    (void)arg;
}

bool unwind_copy_find_slot(const struct unwind_copy *c, uintptr_t slot, struct unwind_frame *f)
{
    (void)c;
    (void)slot;
    (void)f;
    return false;
}

bool unwind_copy_find_register(const struct unwind_copy *c, unsigned r, struct unwind_frame *f)
{
    (void)c;
    (void)r;
    (void)f;
    return false;
}
