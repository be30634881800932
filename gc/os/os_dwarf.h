/* os_dwarf.h - what debug information says of an address; for os_symbols_linux.c. Each fills fields that are still empty,
 * and none where nothing is known. `in_image` is where the first segment of the image is, which an address in its .bss
 * cannot tell: that is no part of the file's mappings. The rules of os_symbols.h hold. */
#ifndef OS_OS_DWARF_H
#define OS_OS_DWARF_H

#include "os/os_symbols.h"

#include <string.h>

/* Its name, offset, file and line. */
void os_dwarf_code(uintptr_t in_image, uintptr_t address, struct os_symbol *s);

/* Its name and offset. */
void os_dwarf_data(uintptr_t in_image, uintptr_t address, struct os_symbol *s);

/* The same of the thread-local variable that is `offset` bytes into the image's block. */
void os_dwarf_tls(uintptr_t in_image, uintptr_t offset, struct os_symbol *s);

void os_dwarf_end(void);
void os_dwarf_fork_child(void);

/* Where the kernel shows what is true of the process, also when its main thread has ended. */
#define OS_DWARF_PROC "/proc/thread-self/"

/* Cut when it is too long. */
static inline void os_dwarf_set(char to[OS_SYMBOL_TEXT], const char *from)
{
    size_t n = strnlen(from, OS_SYMBOL_TEXT - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

#endif
