/* checkmark.h - the verifying second mark: traces again by other means and aborts when the first missed an object. */
#ifndef MARK_CHECKMARK_H
#define MARK_CHECKMARK_H

#include "base/attr.h"

/* The world is stopped, marking is done, and the root jobs are those that it had. Returns the objects visited; 0 with
 * *skipped set when memory for the tracing could not be had. */
size_t checkmark_run(bool *skipped);

#endif
