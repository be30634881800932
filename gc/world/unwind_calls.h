/* unwind_calls.h - libunwind's functions for the stacks of others, found while the program runs.
 *
 * <libunwind.h> without UNW_LOCAL_ONLY: the names stand for another library's than in boundary_generic.c. */
#ifndef WORLD_UNWIND_CALLS_H
#define WORLD_UNWIND_CALLS_H

#include "base/attr.h"

#include <libunwind.h>

/* In no header of libunwind, but exported for such uses: what find_proc_info is made with in Linux perf. */
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *table, unw_proc_info_t *pi,
                                       int need_unwind_info, void *arg);

#define UNWIND_CALLS(CALL)                                                                                             \
    CALL(create_addr_space)                                                                                            \
    CALL(destroy_addr_space)                                                                                           \
    CALL(dwarf_search_unwind_table)                                                                                    \
    CALL(get_reg)                                                                                                      \
    CALL(get_save_loc)                                                                                                 \
    CALL(init_remote)                                                                                                  \
    CALL(step)

struct unwind_calls {
#define CALL(name) __typeof__(UNW_OBJ(name)) *name;
    UNWIND_CALLS(CALL)
#undef CALL
};

/* False where they are not there. May call malloc, and takes locks of the dynamic linker. */
bool unwind_calls_find(struct unwind_calls *c);

#endif
