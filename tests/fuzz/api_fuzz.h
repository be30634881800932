/* api_fuzz.h - bytes become calls of the interface, and a model knows what each must do. */
#ifndef API_FUZZ_H
#define API_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set before the first input: what cannot be reached must be gone after a collection. A fuzzer's own tables, in which
 * it notes what was compared with what, may hold anything. */
extern bool api_fuzz_exact;

/* Plays one input; aborts with a line on standard error when the library and the model differ. */
void api_fuzz_play(const uint8_t *data, size_t n);

#endif
