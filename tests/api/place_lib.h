/* place_lib.h - the libraries that images.c looks into. */
#ifndef API_PLACE_LIB_H
#define API_PLACE_LIB_H

/* The loader keeps some 1.5 KiB of the static block for libraries that come later. */
#ifdef PLACE_INITIAL_EXEC
enum { PLACES = 50 };
#else
enum { PLACES = 1000 };
#endif

enum place_kind { PLACE_DATA, PLACE_BSS, PLACE_TLS_DATA, PLACE_TLS_BSS, PLACE_KINDS };

typedef void **(*place_fn)(enum place_kind kind);

#ifndef PLACE_FUNCTION
#define PLACE_FUNCTION place_of
#endif

#define PLACE_API __attribute__((visibility("default")))

/* The calling thread's variable of that kind. */
PLACE_API void **PLACE_FUNCTION(enum place_kind kind);
PLACE_API void **place_of_linked(enum place_kind kind);

#endif
