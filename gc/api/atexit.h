/* atexit.h - what SPANGC_DEBUG asks for at the end of the program. */
#ifndef API_ATEXIT_H
#define API_ATEXIT_H

#include "base/options.h"

/* Once, at the start. */
void api_atexit_init(const struct options *o);

#endif
