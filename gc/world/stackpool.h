/* stackpool.h - stacks for coroutines, from the operating system, with a guard below each. */
#ifndef WORLD_STACKPOOL_H
#define WORLD_STACKPOOL_H

#include "world/stacks.h"

/* The least holds a signal frame, vector registers and all, and some calls. */
enum { STACKPOOL_LEAST = 16 * 1024, STACKPOOL_MOST = 1 << 30 };

/* A stack of at least `size` bytes, which lies between the two; NULL when memory cannot be had. In a region. */
struct stack *stackpool_alloc(size_t size);

/* Take a STACK_ALLOCATED back, stacks_lock held. True: give its pages back with stackpool_release, outside any lock, and
 * then call stackpool_put. False: it is in the pool, with its pages, since it is soon needed again. */
bool stackpool_take_back(struct stack *s);
void stackpool_release(struct stack *s);
void stackpool_put(struct stack *s);

/* One of those that the pool holds with their pages, in no list any longer; or NULL. For stackpool_release and
 * stackpool_put. stacks_lock held. */
struct stack *stackpool_take_warm(void);

/* Whether stacks are made that have no guard, since neither the kernel nor the number of mappings allows more. In a
 * region. */
bool stackpool_guards_used_up(void);

/* Bytes of stacks that are handed out. The world is stopped. */
uint64_t stackpool_inuse(void);

#endif
