/* weaklink.h - words inside objects that become 0 when what they point to is no more: bdwgc's disappearing links. */
#ifndef HEAP_WEAKLINK_H
#define HEAP_WEAKLINK_H

#include "heap/specials.h"

/* What a link is between: objects that the caller holds. */
struct weaklink_end {
    struct mspan *span;
    size_t index;
};

enum weaklink_result { WEAKLINK_OK, WEAKLINK_NO_MEMORY, WEAKLINK_NONE };

/* The word at `slot`, a multiple of 8 in the holder, is a link to the target, another object, and to no other any more.
 * NO_MEMORY: nothing is changed. In a region, as is all below but for those of a stopped world. */
enum weaklink_result weaklink_add(struct weaklink_end holder, uintptr_t slot, struct weaklink_end target);

/* It is none any more. NONE: it was none. */
enum weaklink_result weaklink_remove(struct weaklink_end holder, uintptr_t slot);

/* How many there are. */
size_t weaklinks_count(void);

/* The target, the holder, or the holder of many is no more: the hooks, for gc_free. Lock of specials.c. */
void weaklink_end_target(struct special *sp, enum special_end why);
void weaklink_end_holder(struct special *sp, enum special_end why);
void weaklink_end_table(struct special *sp, enum special_end why);

/* The same for all of slot i, which nothing marked, as the target; as the holder, when that will not be marked any more,
 * and weaklinks_settle after the last. The world is stopped. */
void weaklink_clear(struct mspan *s, size_t i);
void weaklink_drop(struct mspan *s, size_t i);
void weaklinks_settle(void);

#endif
