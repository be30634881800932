/* os_exception.h - the C++ runtime's memory for exceptions, behind the wrappers; no C++ library need be there. */
#ifndef OS_OS_EXCEPTION_H
#define OS_OS_EXCEPTION_H

#include "base/attr.h"

/* What the runtime's own functions do. `caller` is the code that called the wrapper: where several runtimes are in the
 * process, or one that only a library opened with dlopen sees, it tells which is meant. *freed_here: the exception will
 * be freed by way of the wrapper too, also when the runtime itself frees it. */
void *os_exception_allocate(size_t size, const void *caller, bool *freed_here);
void os_exception_free(void *p, const void *caller);

#endif
