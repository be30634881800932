/* attr.h - what the compiler is told: branch weights, inlining, visibility, sanitizers. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE      __attribute__((noinline))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))

/* For what programs see beside the functions of spangc.h. */
#define EXPORTED __attribute__((visibility("default")))

/* A conservative scan reads whole stacks and data segments, red zones of the sanitizers included. */
#define NO_SANITIZE __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

/* No stack protector: it reads thread-local storage, which a handler may run without. */
#if defined __has_attribute
#if __has_attribute(no_stack_protector)
#define NO_CANARY __attribute__((no_stack_protector))
#endif
#endif
#ifndef NO_CANARY
#define NO_CANARY
#endif

/* Of the static block of thread-local storage the library takes one pointer and some counters: there is little of it for
 * a library that is loaded late. */
#define INITIAL_EXEC __attribute__((tls_model("initial-exec")))

/* In a loop that waits for another CPU. */
static inline void cpu_relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }
static inline size_t round_down(size_t n, size_t to) { return n & ~(to - 1); }
static inline uint64_t least_of(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t greatest_of(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline bool is_power_of_two(size_t n) { return n && (n & (n - 1)) == 0; }

#endif
