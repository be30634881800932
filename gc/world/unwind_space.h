/* unwind_space.h - what libunwind is shown: a copy of a stack, the registers that go with it, and the images as they are
 * now. */
#ifndef WORLD_UNWIND_SPACE_H
#define WORLD_UNWIND_SPACE_H

#include "world/unwind_calls.h"
#include "world/unwind_copy.h"

struct unwind_space {
    const struct unwind_copy *copy;
    const struct unwind_calls *calls;
    uintptr_t page; /* of an image, and known to be readable, + 1; or 0 */
    bool failed;    /* something was asked for that is not here */
};

/* libunwind's handle; what it asks for then comes from the unwind_space that init_remote is given. Or NULL. */
unw_addr_space_t unwind_space_create(const struct unwind_calls *calls);

/* Images stay until fn returns. The list's lock is held meanwhile, and what was known of images is forgotten first. */
void unwind_space_still(struct unwind_space *s, void (*fn)(void *arg), void *arg);

/* The word at an address, from the copy or an image. False, and `failed`, where there is none. */
bool unwind_space_read(struct unwind_space *s, uintptr_t p, uintptr_t *word);

#endif
