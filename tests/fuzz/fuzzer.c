/* fuzzer.c - the way in for -fsanitize=fuzzer; replay.c is the other one. */
#include "api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    api_fuzz_play(data, n);
    return 0;
}
