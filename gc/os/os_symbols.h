/* os_symbols.h - names for addresses of code and data in this process.
 *
 * What is exported has its name from the dynamic linker. Static functions and variables, thread-local variables, files and
 * lines come from elfutils' libdw, which is opened when it is first wanted, if this machine has it; the library does not
 * depend on it. A fully static program gets images, but no names.
 *
 * Everything here takes the dynamic linker's locks and may call malloc, open files and take a second: only with no lock
 * held and the world running. Never in a region, in a signal handler, or in a callback of dl_iterate_phdr. errno is
 * kept. No call is a point of cancellation. */
#ifndef OS_OS_SYMBOLS_H
#define OS_OS_SYMBOLS_H

#include "base/attr.h"

enum { OS_SYMBOL_TEXT = 256 };

/* What is known of an address of code or data. Strings are "" and numbers 0 where nothing is known; what is too long is
 * cut. */
struct os_symbol {
    char name
        [OS_SYMBOL_TEXT]; /* function or variable that the address lies in, as the linker knows it, not its version */
    uintptr_t offset;     /* of the address from its start */
    char image[OS_SYMBOL_TEXT]; /* path of the program or library; the program's as /proc/self/exe says */
    uintptr_t image_offset; /* of the address from the image's load address, dlpi_addr; 0 for a thread-local variable */
    char file[OS_SYMBOL_TEXT]; /* source file, as the compiler was told, and line: of code with DWARF */
    unsigned line;
};

/* For the return address of a call, ask for the address before it: the call may be the last thing that a function does. */
void os_symbol_of_code(uintptr_t address, struct os_symbol *s);
void os_symbol_of_data(uintptr_t address, struct os_symbol *s);

/* A thread-local variable: of the image whose dlpi_tls_modid is `module`, `offset` bytes into its block. */
void os_symbol_of_tls(size_t module, uintptr_t offset, struct os_symbol *s);

/* The cheap name alone, of what is exported: no file is opened and no lock of ours taken. NULL when not known. It points
 * into the image's string table, and lasts while that is loaded. */
const char *os_symbol_exported(uintptr_t address);

/* A segment of code, for profiles: whole pages, as /proc/self/maps shows it before anybody changes its protection. The
 * strings and the build id last for the call. */
struct os_text {
    uintptr_t lo, hi;
    uint64_t offset; /* of lo in the file */
    const char *path;
    const unsigned char *build_id; /* in the image itself; NULL without one */
    size_t build_id_size;
};

/* For each of every image, while the list of images is held still: fn may not call what is declared above. */
void os_each_text(void (*fn)(const struct os_text *t, void *arg), void *arg);

/* Give up what the look-ups hold. The next one reads it all again. */
void os_symbols_end(void);

/* In the child of a fork: what another thread was changing is forgotten, memory and files of it are not given back. */
void os_symbols_fork_child(void);

#endif
