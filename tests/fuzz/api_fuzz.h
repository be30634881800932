/* api_fuzz.h - bytes become calls of the interface, and a model knows what each must do. */
#ifndef API_FUZZ_H
#define API_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The words of the program's data that the model has for roots. */
void api_fuzz_roots(const void **lo, const void **hi);

/* Plays one input; aborts with a line on standard error when the library and the model differ. */
void api_fuzz_play(const uint8_t *data, size_t n);

#endif
