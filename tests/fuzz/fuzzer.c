/* fuzzer.c - the way in for -fsanitize=fuzzer; replay.c is the other one. */
#include "api_fuzz.h"

#include <spangc.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The program's data, as the linker has it. */
extern char __data_start[], _end[];

/* The fuzzer notes in megabytes of tables what was compared with what, addresses too: they are no roots. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const void *lo, *hi;
    (void)argc;
    (void)argv;
    api_fuzz_roots(&lo, &hi);
    if (gc_exclude_roots(__data_start, _end) != 0 || gc_add_roots(lo, hi) != 0)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    api_fuzz_play(data, n);
    return 0;
}
