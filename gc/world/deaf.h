/* deaf.h - threads that keep the stop signal blocked. */
#ifndef WORLD_DEAF_H
#define WORLD_DEAF_H

#include "world/thread.h"

/* Whether threads may be held by a tracer: it is an option. Before the first stop. */
void deaf_enable(bool on);
bool deaf_enabled(void);

/* Whether the thread has a signal waiting that it did not take, and can be held instead: it gets no other. */
bool deaf_needs_no_signal(const struct thread *t);

/* Hold the threads that were asked in the stop `e` and do not answer because they block the signal `sig`. Those that are
 * held have `held` set, until deaf_release. World lock. */
void deaf_hold(uint32_t e, int sig);
void deaf_release(void);

#endif
