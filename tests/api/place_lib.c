/* place_lib.c - a library with variables of every kind, for images.c: linked into the program, opened with dlopen, and
 * once more with its thread-local variables in the static block. */
#include "place_lib.h"

#ifdef PLACE_INITIAL_EXEC
#define MODEL __attribute__((tls_model("initial-exec")))
#else
#define MODEL
#endif

static void *data[PLACES] = {(void *)1};
static void *bss[PLACES];
static _Thread_local void *tls_data[PLACES] MODEL = {(void *)1};
static _Thread_local void *tls_bss[PLACES] MODEL;

PLACE_API void **PLACE_FUNCTION(enum place_kind kind)
{
    switch (kind) {
    case PLACE_DATA:
        return data;
    case PLACE_BSS:
        return bss;
    case PLACE_TLS_DATA:
        return tls_data;
    case PLACE_TLS_BSS:
        return tls_bss;
    default:
        return 0;
    }
}
