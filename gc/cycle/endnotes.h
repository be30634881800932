/* endnotes.h - with finalizers=1: calls that are never made since what is registered leads to the object itself. */
#ifndef CYCLE_ENDNOTES_H
#define CYCLE_ENDNOTES_H

#include "heap/endcalls.h"
#include "mark/markers.h"

/* Once, at the start. */
void endnotes_enable(bool on);
bool endnotes_on(void);

/* The finalizer e of slot i of s waits for itself: the object leads to itself. Each is noted once. The world is stopped. */
void endnotes_add_cycle(struct endcall *e, const struct mspan *s, size_t i);

/* Everything is marked that the roots reach but for what is registered: mark what that refers to, and note whose argument
 * leads to its object. Adds to *n what was marked by it. The world is stopped. */
void endnotes_mark_arguments(struct mark_counts *n);

/* Report what was noted: after the cycle, no lock held. */
void endnotes_tell(void);

#endif
