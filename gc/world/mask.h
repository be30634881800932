/* mask.h - signals around a stop. */
#ifndef WORLD_MASK_H
#define WORLD_MASK_H

#include "world/thread.h"

#include <signal.h>

/* While a thread has the world stopped, or is stopped elsewhere than in the handler: no handler of the program runs on
 * it. What the program blocks is noted in its record. */
void mask_block(sigset_t *old);
void mask_restore(const sigset_t *old);

/* The stopper, before it starts the world: signals have come for the process. World lock. */
void mask_note_pending(int stop_sig);

/* A thread that was stopped, before it takes signals again. */
void mask_let_main_first(const struct thread *t);

#endif
