/* spangc.h - the whole public interface of spangc, a conservative garbage collector for C and C++.
 *
 * Replace malloc with gc_malloc, link with `pkg-config --libs spangc`, stop calling free. An object lives as long as
 * a pointer to it, or into it, can be found in a register, on a stack, in a thread-local variable, in writable data of
 * the program or of a loaded library, in a registered range, or in another living object that is scanned.
 *
 * Read this for every declaration unless it says otherwise:
 *   sizes      are bytes.
 *   alignment  is malloc's: 16 for objects of 16 bytes and more, else the largest power of two not above the size.
 *   failure    is NULL with errno = ENOMEM (memory) or EINVAL (arguments), after a collection and after the
 *              out-of-memory handler was asked. On success errno is left as it was.
 *   threads    every function may be called from any thread at any time.
 *   signals    no function may be called from a signal handler that interrupted the library: it ends the program with
 *              one line. From one that interrupted other code every function may be called.
 *   start      no call is needed first: the library starts by itself.
 */
#ifndef SPANGC_H
#define SPANGC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define GC_SPAN_VERSION_MAJOR 0
#define GC_SPAN_VERSION_MINOR 1
#define GC_SPAN_VERSION_PATCH 0

#if defined __GNUC__
#define GC_SPAN_MALLOC       __attribute__((__malloc__, __warn_unused_result__))
#define GC_SPAN_SIZE(...)    __attribute__((__alloc_size__(__VA_ARGS__)))
#define GC_SPAN_PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))
#define GC_SPAN_API          __attribute__((__visibility__("default")))
#else
#define GC_SPAN_MALLOC
#define GC_SPAN_SIZE(...)
#define GC_SPAN_PRINTF(f, a)
#define GC_SPAN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- allocate ------------------------------------------------------------------------------------------------ */

/* Starts the library if nothing else has. Never needed; useful to pay for the start at a chosen moment. Returns 0, or
 * -1 with errno = ENOMEM when no address space could be reserved. (bdwgc: GC_INIT.) */
GC_SPAN_API int gc_init(void);

/* Returns `size` bytes, zeroed, that the collector scans for pointers. Size 0 returns one address, the same for every
 * call, that holds no byte and that every function here accepts. Cost: no lock and no atomic instruction while the
 * thread's cached span has a free slot. (bdwgc: GC_MALLOC; Go: mallocgc.) */
GC_SPAN_API void *gc_malloc(size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1);

/* Returns `size` bytes that are never scanned and not zeroed: for text, numbers, pixels. A pointer stored in it keeps
 * nothing alive. Under 16 bytes, several such objects share one 16-byte block: see gc_usable_size and gc_free.
 * (bdwgc: GC_MALLOC_ATOMIC; Go: a noscan span.) */
GC_SPAN_API void *gc_malloc_noscan(size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1);

/* Return n * size zeroed bytes, scanned or never scanned. ENOMEM when the product overflows. */
GC_SPAN_API void *gc_calloc(size_t n, size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1, 2);
GC_SPAN_API void *gc_calloc_noscan(size_t n, size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1, 2);

/* Returns an object of `size` bytes with the contents of `p` up to the smaller of both sizes; it may be `p` itself.
 * The new object is scanned if and only if `p` was; bytes beyond the old contents are zero if it is scanned, else
 * undefined. A NULL `p` makes this gc_malloc; size 0 returns the size-0 address and frees `p`. The old object is
 * freed when it was moved, as by gc_free; on failure it is untouched. A part of a shared 16-byte block is always
 * moved, as scanned-never memory. `p` must be what an allocation returned: anything else is reported and aborts.
 * (bdwgc: GC_REALLOC.) */
GC_SPAN_API void *gc_realloc(void *p, size_t size) __attribute__((__warn_unused_result__)) GC_SPAN_SIZE(2);

/* gc_realloc to n * size bytes; ENOMEM, and `p` untouched, when the product overflows. */
GC_SPAN_API void *gc_reallocarray(void *p, size_t n, size_t size) __attribute__((__warn_unused_result__))
GC_SPAN_SIZE(2, 3);

/* Return `size` bytes at a multiple of `align`, scanned and zeroed, or never scanned and not zeroed. `align` is any
 * power of two (else EINVAL); `size` need not be a multiple of it. */
GC_SPAN_API void *gc_aligned_alloc(size_t align, size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(2);
GC_SPAN_API void *gc_aligned_alloc_noscan(size_t align, size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(2);

/* Stores such an object (scanned, zeroed) in *out and returns 0, or returns EINVAL (align is not a power of two
 * multiple of sizeof(void *)) or ENOMEM and leaves *out alone. errno is untouched, as POSIX says of posix_memalign. */
GC_SPAN_API int gc_posix_memalign(void **out, size_t align, size_t size);

/* Return a never-scanned copy of the string `s`, or of at most its first n bytes, with the final NUL. */
GC_SPAN_API char *gc_strdup(const char *s) GC_SPAN_MALLOC;
GC_SPAN_API char *gc_strndup(const char *s, size_t n) GC_SPAN_MALLOC;

/* Format into a new never-scanned string stored in *out; return its length without the NUL, or -1 with errno set and
 * *out = NULL. */
GC_SPAN_API int gc_asprintf(char **out, const char *format, ...) GC_SPAN_PRINTF(2, 3);
GC_SPAN_API int gc_vasprintf(char **out, const char *format, va_list args) GC_SPAN_PRINTF(2, 0);

/* Return zeroed memory that is never collected, only gc_free lets it go. The scanned kind is a root: what it points
 * to stays. Takes a lock; not for hot paths. (bdwgc: GC_MALLOC_UNCOLLECTABLE.) */
GC_SPAN_API void *gc_malloc_uncollectable(size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1);
GC_SPAN_API void *gc_malloc_uncollectable_noscan(size_t size) GC_SPAN_MALLOC GC_SPAN_SIZE(1);

/* ---- layouts -------------------------------------------------------------------------------------------------- */

/* A layout says which words of an element may hold pointers. An object that is allocated by it is scanned at these words
 * and nowhere else: numbers in the others, which may look like addresses, keep nothing alive, and are not read. It has no
 * byte more than another object, and its size class. What is written here of a pointer in another word: it holds nothing.
 *
 * Returns the layout of elements of `size` bytes, of which word i (bytes 8*i to 8*i + 7) may hold a pointer where bit i%64
 * of bitmap[i/64] is set. The bitmap is copied. Equal sizes and bitmaps give the same layout. If no word or every word
 * holds pointers, its objects are like those of gc_malloc_noscan, but zeroed, and of gc_malloc. EINVAL: size 0 or above
 * GC_SPAN_LAYOUT_MAX; bitmap NULL; a bit set beyond the size; a bit set and a size that is no multiple of 8 (the words of
 * the second element of an array would not be found). ENOMEM: no memory, or 65,534 pairs of layout and size class are in
 * use. A layout is never freed, and takes some 100 bytes and 2 for each pointer, and 256 for each size class that it is
 * used with. Takes a lock: make layouts once. (bdwgc: GC_make_descriptor; Go: the type of an allocation.) */
struct gc_layout;
#define GC_SPAN_LAYOUT_MAX 524288
GC_SPAN_API struct gc_layout *gc_layout_new(size_t size, const uint64_t *bitmap);

/* The same of a struct of `size` bytes, by n of its members: all words that a member covers may hold pointers. EINVAL also
 * when a member does not consist of whole words of the struct, or lies beyond it: a pointer that is not at a multiple of 8,
 * as in a packed struct, is not found by any scan. */
struct gc_layout_field {
    size_t offset, bytes;
};
GC_SPAN_API struct gc_layout *gc_layout_fields(size_t size, const struct gc_layout_field *fields, size_t n);

/* GC_SPAN_LAYOUT(struct node, left, right): the layout of the type whose named members, 1 to 16, hold pointers. A member may
 * be an array or a struct, and be named as `a.b` or `a[1]`. With GCC and clang the layout is looked up once for each place
 * in the program; without them, each time. NULL as above. In functions only. */
#define GC_SPAN_LAYOUT(type, ...) GC_SPAN_LAYOUT_OF_(type, GC_SPAN_FIELDS_(type, __VA_ARGS__))

/* Returns one element of the layout, zeroed; NULL with errno = EINVAL when the layout is NULL, as it is when it could not be
 * made. gc_realloc and gc_reallocarray keep the layout: what the object grows by holds further elements. Cost: that of
 * gc_malloc and some instructions while the thread has a cached span of the layout. It has at most 32 of such spans;
 * objects of a layout that it uses less come from a span that all threads share, under a lock. (bdwgc:
 * GC_malloc_explicitly_typed.) */
GC_SPAN_API void *gc_malloc_typed(const struct gc_layout *layout) GC_SPAN_MALLOC;

/* Returns n elements, zeroed; ENOMEM when the product overflows; n 0 is size 0. (bdwgc: GC_calloc_explicitly_typed.) */
GC_SPAN_API void *gc_calloc_typed(const struct gc_layout *layout, size_t n) GC_SPAN_MALLOC;

/* What GC_SPAN_LAYOUT is made of, and not for programs. */
#if defined __GNUC__
static inline struct gc_layout *gc_layout_once_(struct gc_layout **once, size_t size,
                                                const struct gc_layout_field *fields, size_t n)
{
    struct gc_layout *layout = __atomic_load_n(once, __ATOMIC_ACQUIRE);
    if (__builtin_expect(!layout, 0) && (layout = gc_layout_fields(size, fields, n)))
        __atomic_store_n(once, layout, __ATOMIC_RELEASE);
    return layout;
}

#define GC_SPAN_LAYOUT_OF_(type, ...)                                                                                  \
    __extension__({                                                                                                    \
        static struct gc_layout *gc_once_;                                                                             \
        static const struct gc_layout_field gc_fields_[] = {__VA_ARGS__};                                              \
        gc_layout_once_(&gc_once_, sizeof(type), gc_fields_, sizeof gc_fields_ / sizeof *gc_fields_);                  \
    })
#else
#define GC_SPAN_LAYOUT_OF_(type, ...)                                                                                  \
    gc_layout_fields(sizeof(type), (const struct gc_layout_field[]){__VA_ARGS__},                                      \
                     sizeof((const struct gc_layout_field[]){__VA_ARGS__}) / sizeof(struct gc_layout_field))
#endif

/* clang-format off */
#define GC_SPAN_FIELD_(t, f) {offsetof(t, f), sizeof(((t *)0)->f)}
#define GC_SPAN_FIELDS_1_(t, f) GC_SPAN_FIELD_(t, f)
#define GC_SPAN_FIELDS_2_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_1_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_3_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_2_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_4_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_3_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_5_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_4_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_6_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_5_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_7_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_6_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_8_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_7_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_9_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_8_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_10_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_9_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_11_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_10_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_12_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_11_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_13_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_12_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_14_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_13_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_15_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_14_(t, __VA_ARGS__)
#define GC_SPAN_FIELDS_16_(t, f, ...) GC_SPAN_FIELD_(t, f), GC_SPAN_FIELDS_15_(t, __VA_ARGS__)
#define GC_SPAN_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, pick, ...) pick
#define GC_SPAN_FIELDS_(t, ...) \
    GC_SPAN_PICK_(__VA_ARGS__, GC_SPAN_FIELDS_16_, GC_SPAN_FIELDS_15_, GC_SPAN_FIELDS_14_, GC_SPAN_FIELDS_13_, GC_SPAN_FIELDS_12_, \
                  GC_SPAN_FIELDS_11_, GC_SPAN_FIELDS_10_, GC_SPAN_FIELDS_9_, GC_SPAN_FIELDS_8_, GC_SPAN_FIELDS_7_, GC_SPAN_FIELDS_6_, \
                  GC_SPAN_FIELDS_5_, GC_SPAN_FIELDS_4_, GC_SPAN_FIELDS_3_, GC_SPAN_FIELDS_2_, GC_SPAN_FIELDS_1_, 0)(t, __VA_ARGS__)
/* clang-format on */

/* ---- let go -------------------------------------------------------------------------------------------------- */

/* Frees the object that starts at `p`; its memory may be handed out again at once. Never needed, always allowed. NULL,
 * the size-0 address and a part of a shared 16-byte block are ignored. Anything else that is not the start of a live
 * object (an interior pointer, foreign memory, an object freed before) is reported on standard error in one line and
 * the program aborts. Cost: no lock for an object in a span that was swept. (bdwgc: GC_FREE; Go has none.) */
GC_SPAN_API void gc_free(void *p);

/* Keeps the object that `p` points into alive up to this call, whatever the compiler made of the last use before. No
 * code is executed for it. (bdwgc: GC_reachable_here; Go: runtime.KeepAlive.) */
static inline void gc_keep_alive(const void *p)
{
#if defined __GNUC__
    __asm__ volatile("" : : "g"(p) : "memory");
#else
    static const void *volatile keep;
    keep = p;
#endif
}

/* ---- ask ----------------------------------------------------------------------------------------------------- */

/* Returns the start of the live object that `p` points to or into, or NULL: also for NULL, foreign memory and freed
 * objects. For a part of a shared 16-byte block, the block's start. Cost: a few loads. (bdwgc: GC_base.) */
GC_SPAN_API void *gc_base(const void *p);

/* Returns how many bytes the object that starts at `p` may use, at least what was asked for. 0 for NULL, the size-0
 * address, a part of a shared 16-byte block (its size is not recorded), and what is not the start of a live object.
 * (bdwgc: GC_size.) */
GC_SPAN_API size_t gc_usable_size(const void *p);

/* Returns 1 when the live object at or around `p` is never scanned, 0 when it is scanned, -1 when there is none. */
GC_SPAN_API int gc_is_noscan(const void *p);

/* Would the object that `p` points to or into survive a collection that began now? Marks as a collection does, stopping
 * all threads, then looks, and frees nothing. Returns 1 when the object was reached, 0 when it was not, -1 with errno =
 * EINVAL when there is no live object at `p` (any more: it may have been collected already, and its memory may be
 * another object by now), -1 with EAGAIN when the world could not be stopped.
 *     Everything counts that a collection looks at (see the top of this file), other copies of `p` on the caller's
 * stack among them; the argument itself does not. So a test keeps the pointer hidden, and reveals it in the call only:
 *         uintptr_t hidden = ~(uintptr_t)p;  p = NULL;  ...  gc_is_reachable((void *)~hidden)
 * A compiler may still leave copies in dead slots of a frame, and in registers of a caller: make the object and drop it
 * in a function of its own that is not inlined, and call gc_clear_stack after it. The second form leaves all stacks and
 * registers out, of all threads, and so depends on no such copy: it asks whether data, thread-local variables,
 * registered ranges or other objects lead there. An uncollectable object, and the size-0 address, are always reached.
 * Of a shared 16-byte block the answer is the block's. For tests: each call costs a whole mark. (bdwgc: GC_is_marked.) */
GC_SPAN_API int gc_is_reachable(const void *p);
GC_SPAN_API int gc_is_reachable_without_stacks(const void *p);

/* Returns the version of the library that is running, as "0.1.0". The string is static. */
GC_SPAN_API const char *gc_version(void);

/* Returns what this build on this machine does, as words "name=value" separated by spaces: checks, stop, mark, arch
 * and reserve are among them. The string is static. */
GC_SPAN_API const char *gc_features(void);

/* ---- collect ------------------------------------------------------------------------------------------------- */

/* Collects now, also while collections are disabled: when it returns, everything unreachable at the call has been
 * swept and is counted in memstats. When the world cannot be stopped (a thread keeps the stop signal blocked, and may
 * not be held by ptrace) nothing is freed and the warn handler is told once. (bdwgc: GC_gcollect; Go: runtime.GC.) */
GC_SPAN_API void gc_collect(void);

/* The same without looking at any stack or register: the caller vouches that no thread holds a pointer there that it
 * will use again. For tests of "is this collected?". */
GC_SPAN_API void gc_collect_without_stacks(void);

/* Overwrites `bytes` of the calling thread's stack below its current frame with zeros, or as much as there is, so that
 * dead pointers left by calls that have returned are not found there. (bdwgc: GC_clear_stack.) */
GC_SPAN_API void gc_clear_stack(size_t bytes);

/* Forbid and allow collections that the library starts by itself, the one before an allocation fails included. They
 * nest: collections run while gc_enable was called as often as gc_disable; gc_enable without a gc_disable is ignored.
 * Return the depth after the call. gc_disabled_depth reads it. (bdwgc: GC_enable, GC_disable.) */
GC_SPAN_API int gc_enable(void);
GC_SPAN_API int gc_disable(void);
GC_SPAN_API int gc_disabled_depth(void);

/* While set (non-zero), the heap takes no memory from the operating system: an allocation that would need some
 * collects, asks the out-of-memory handler, and fails. To prove that a section stays within what the heap has. The
 * setter returns the old value. */
GC_SPAN_API int gc_set_frozen(int frozen);
GC_SPAN_API int gc_get_frozen(void);

/* The heap may grow by this percentage of what the last collection left before the next one, where long objects that are
 * not scanned count less (spangc(7), MEMORY); 100 at start, or SPANGC_PERCENT. GC_SPAN_PERCENT_OFF collects only for the
 * memory limit, or when asked. The setter returns the old value; a value that is negative and not _OFF, or above
 * GC_SPAN_PERCENT_MAX, is EINVAL and changes nothing, and GC_SPAN_PERCENT_INVALID is returned. (Go:
 * debug.SetGCPercent.) */
#define GC_SPAN_PERCENT_OFF     (-1)
#define GC_SPAN_PERCENT_INVALID (-2)
#define GC_SPAN_PERCENT_MAX     1000000
GC_SPAN_API int gc_set_percent(int percent);
GC_SPAN_API int gc_get_percent(void);

/* A soft limit in bytes for all that the library holds: objects, its own data, free pages. The nearer it is, the sooner a
 * collection; free pages go back to the system before it is passed. It is a goal and not a wall: what is live is kept
 * even beyond it, and collections then take about half of the CPU time. GC_SPAN_LIMIT_NONE, or 0, is none. The setter
 * returns the old value, and ends SPANGC_MEMLIMIT=auto, under which the getter returns what the control group allows at
 * present. (Go: debug.SetMemoryLimit.) */
#define GC_SPAN_LIMIT_NONE UINT64_MAX
GC_SPAN_API uint64_t gc_set_memory_limit(uint64_t bytes);
GC_SPAN_API uint64_t gc_get_memory_limit(void);

/* Collects, then gives all free pages of the heap back to the operating system, without waiting until they have been
 * free for long (spangc(7), MEMORY). Returns the bytes released by this call. (bdwgc: GC_gcollect_and_unmap; Go:
 * debug.FreeOSMemory.) */
GC_SPAN_API size_t gc_release_memory(void);

/* Called, outside every lock of the library, when an allocation of `bytes` failed after a collection. What it returns
 * is what the allocation returns: NULL, or memory of its own. It may allocate, free, or not return at all. The default
 * (also set by NULL) writes one line to standard error and returns NULL. The setter returns the old one. */
typedef void *(*gc_oom_fn)(size_t bytes);
GC_SPAN_API gc_oom_fn gc_set_oom_handler(gc_oom_fn fn);
GC_SPAN_API gc_oom_fn gc_get_oom_handler(void);

/* Called with one line of text, no newline, when the library has something to tell that is no error of the caller:
 * a wrong environment value, a stop that was given up. The default (also set by NULL) writes it to standard error
 * after "spangc: ". It must not call the library. The setter returns the old one. */
typedef void (*gc_warn_fn)(const char *message);
GC_SPAN_API gc_warn_fn gc_set_warn_handler(gc_warn_fn fn);
GC_SPAN_API gc_warn_fn gc_get_warn_handler(void);

/* Called as a collection goes through its phases, in the thread that collects, which may be one of the library's own: what
 * only a local variable of the handler refers to is not held there. It must not call the library, and from
 * GC_SPAN_EVENT_STOP_REQUEST to GC_SPAN_EVENT_RESTARTED, while other threads are stopped, perhaps inside malloc or
 * stdio, it must not allocate, lock or print either, only store. NULL is none. The setter returns the old one; the
 * getter stores its argument in *arg unless arg is NULL. */
enum gc_event_kind {
    GC_SPAN_EVENT_CYCLE_START,  /* value: heap bytes in use */
    GC_SPAN_EVENT_STOP_REQUEST, /* value: threads known */
    GC_SPAN_EVENT_STOPPED,      /* value: threads stopped */
    GC_SPAN_EVENT_ROOTS_DONE,   /* value: bytes of roots scanned */
    GC_SPAN_EVENT_MARK_DONE,    /* value: bytes found live */
    GC_SPAN_EVENT_RESTARTED,    /* value: pause in nanoseconds */
    GC_SPAN_EVENT_SWEEP_DONE,   /* value: heap bytes in use. Only where the collection sweeps at once, because it was
                                   asked for or memory ran out; else spans are swept as they are needed */
    GC_SPAN_EVENT_SCAVENGED,    /* value: bytes released */
    GC_SPAN_EVENT_HEAP_GROWN    /* value: heap bytes mapped */
};
struct gc_event {
    enum gc_event_kind kind;
    uint32_t cycle;   /* number of the collection, from 1; 0 outside one */
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t value;   /* as said above */
};
typedef void (*gc_event_fn)(const struct gc_event *event, void *arg);
GC_SPAN_API gc_event_fn gc_set_event_handler(gc_event_fn fn, void *arg);
GC_SPAN_API gc_event_fn gc_get_event_handler(void **arg);

/* ---- the end of objects -------------------------------------------------------------------------------------- */

/* A reference that does not keep its object. Returns one to `obj`, an address in a live object, its start or not; or NULL
 * with errno = EINVAL (there is no object: NULL, foreign memory, the size-0 address; or it is a part of a shared 16-byte
 * block, which ends with the block) or ENOMEM. The reference lies outside the heap: it may be kept anywhere, and stays
 * until gc_weak_free. For the same address of the same object it is the same one, counted, so that two may be compared.
 * Cost: a lock, some 80 ns; 24 bytes, and 8 for each slot of the span. (Go: weak.Make; bdwgc:
 * GC_general_register_disappearing_link.) */
struct gc_weak;
GC_SPAN_API struct gc_weak *gc_weak_new(void *obj);

/* Returns the address, which now holds the object like any pointer, or NULL once a collection has found that nothing else
 * held it, or gc_free was called on it: also when a finalizer then brings it back. It is NULL before any finalizer or
 * cleanup of the object is called. Safe beside a collection. Never fails in a thread that the library knows; in another one
 * it is also NULL, with errno = ENOMEM, when the thread could not be made known. NULL for NULL. Cost: a few loads and
 * stores, no lock and no atomic instruction. (Go: weak.Pointer.Value.) */
GC_SPAN_API void *gc_weak_get(struct gc_weak *weak);

/* Gives back what one gc_weak_new returned; as many calls, and the reference is no more. NULL is ignored. One that was
 * given back as often already is reported in one line, and the program aborts. Cost: a lock. (Go has none: its weak
 * pointers are collected.) */
GC_SPAN_API void gc_weak_free(struct gc_weak *weak);

/* Makes the word at `slot`, in a live object, a link to the object that it points to or into: the word becomes 0 when that
 * is no more, in the collection that finds it, before any finalizer or cleanup is called, or in gc_free; unless it points
 * into another object by then, and is left alone. The word must not itself hold the object: it lies in an object from
 * gc_malloc_noscan, or is one that the object's layout does not name. It is read and written like any other: what was read
 * before a collection is held by it. Until this returns something else must hold the object (gc_keep_alive): a word that is
 * no link yet is not cleared. A word is a link to one object, the last it was made one to. It is none any more when
 * either object is no more. Returns 0, or -1 with errno = EINVAL (slot is no multiple of 8, or in no live object; *slot
 * points to none, or into the same; or one of them is a part of a shared 16-byte block) or ENOMEM, and nothing is changed.
 * Cost: a lock, some 100 ns, and with many links in one object of less than 4096 bytes a walk through these; 40 bytes, and 8
 * for each slot of the spans of both objects. A link that stays costs a collection nothing.
 * (bdwgc: GC_general_register_disappearing_link; Go: weak.Pointer.) */
GC_SPAN_API int gc_weak_link(void **slot);

/* The word at `slot`, in a live object, is no link any more; it keeps its value. Returns 0, or -1 with errno = ENOENT (it
 * was none) or EINVAL (slot is no multiple of 8, or in no live object). Cost as above.
 * (bdwgc: GC_unregister_disappearing_link.) */
GC_SPAN_API int gc_weak_unlink(void **slot);

/* A value that is held as long as the ephemeron and the key are: an entry of a table with weak keys. Neither holds the key;
 * that `value` leads to the key does not either, and chains, in which one value leads to the key of the next, are resolved.
 * `key` is an address in a live object, its start or not; `value` is any pointer, and where it points to an object, or into
 * one, that object is held. The ephemeron is itself a collected object of 32 bytes: what is not reachable goes, and holds
 * nothing. gc_free of it is allowed; it must not be written, or given to gc_realloc. Returns it, or NULL with errno = EINVAL
 * (key is in no live object: NULL, foreign memory, the size-0 address; or is a part of a shared 16-byte block) or ENOMEM;
 * the out-of-memory handler is not asked. Cost: a lock, some 60 ns; 32 bytes, and 8 for each slot of the span that the key
 * is in; for each that stays, some 20 ns of each collection. (Neither Go nor bdwgc has it; Java: WeakHashMap's entries,
 * if their values were weak too; Lua, Racket: ephemeron tables.) */
struct gc_ephemeron;
GC_SPAN_API struct gc_ephemeron *gc_ephemeron_new(void *key, void *value);

/* Returns the value, which the caller now holds like any pointer, if `key` is the address that the ephemeron was made with
 * and its object is still that one; else NULL. From the collection that found the key held by nothing but finalizers and
 * such values it is NULL for ever, and the value let go, also when a finalizer brings the key back: before any finalizer or
 * cleanup is called. After gc_free of the key too. NULL for NULL. Safe beside a collection. In a thread that cannot be made
 * known it is NULL with errno = ENOMEM. Cost: a few loads and stores, no lock and no atomic instruction. */
GC_SPAN_API void *gc_ephemeron_value(struct gc_ephemeron *ephemeron, void *key);

/* Any number of calls to be made when `obj` is no more: fn(arg), once, after a collection found it dead or gc_free was
 * called on it. `obj` points into a live object; its memory is free by then, or about to be, so no order is needed among
 * cleanups and none is promised, and objects that refer to each other are no problem. `arg` is held until fn has returned,
 * so no way may lead from it to the object, which would live for ever: pointing into it is EINVAL. The calls are made where
 * gc_finalizer_mode says. fn may do what the program may: allocate, collect, lock, register more; it must not throw, or
 * jump out of itself. Returns 0, or -1 with errno = EINVAL (also: no live object, a part of a shared 16-byte block, fn is
 * NULL) or ENOMEM, and nothing is changed. There is no way to take one back but not to let go of the object. Cost: a
 * lock, some 100 ns; 40 bytes, and 8 for each slot of the span. (Go: runtime.AddCleanup.) */
typedef void (*gc_cleanup_fn)(void *arg);
GC_SPAN_API int gc_add_cleanup(void *obj, gc_cleanup_fn fn, void *arg);

/* fn(obj, arg) is to be called when nothing else holds the object that starts at `obj`: once, with the object and all that
 * it refers to still there. It may bring the object back by storing obj somewhere, and may set a finalizer anew. Objects
 * that the object refers to are finalized later: each collection calls those that no other object with a finalizer leads
 * to; so of objects that lead to each other, or to themselves, none is ever called, and they stay (SPANGC_DEBUG=
 * finalizers=1 reports them). `arg` is held until fn has returned. For what fn may do, and where, see gc_add_cleanup.
 *     Replaces what was set before, stores that in *old_fn and *old_arg unless they are NULL, or NULL if there was none;
 * fn NULL removes. gc_free of the object drops it, and it is not called. Returns 0, or -1 with errno = EINVAL (obj is not
 * the start of a live object, or a part of a shared 16-byte block; arg points into the object, which it would hold) or
 * ENOMEM; nothing is changed then. Cost as above. (bdwgc: GC_register_finalizer; Go: runtime.SetFinalizer.) */
typedef void (*gc_finalizer_fn)(void *obj, void *arg);
GC_SPAN_API int gc_set_finalizer(void *obj, gc_finalizer_fn fn, void *arg, gc_finalizer_fn *old_fn, void **old_arg);

/* Where finalizers and cleanups are called: on a thread of the library's, which the first registration starts, with all
 * signals blocked (at start); only in gc_run_finalizers; or in any thread of the program as it allocates, now and then,
 * which may hold any lock of the program: not inside another such call. Returns the old mode, or -1 with errno = EINVAL.
 * A call that is being made goes on. (bdwgc: GC_set_finalize_on_demand.) */
enum gc_finalize_mode { GC_SPAN_FINALIZE_THREAD, GC_SPAN_FINALIZE_ON_DEMAND, GC_SPAN_FINALIZE_AT_ALLOC };
GC_SPAN_API int gc_finalizer_mode(int mode);

/* Calls what is due, in the calling thread and in any mode, until nothing is. Returns how many calls it made, or -1 with
 * errno = ENOMEM when the thread could not be made known. (bdwgc: GC_invoke_finalizers.) */
GC_SPAN_API long gc_run_finalizers(void);

/* With GC_SPAN_FINALIZE_ON_DEMAND, fn(arg) is called when something becomes due and nothing was: in a thread of the program,
 * as it collects, allocates or frees, outside every lock of the library; it may do what the program may. NULL is none. The
 * setter returns the old one; what it returns in a thread that cannot be made known is NULL.
 * (bdwgc: GC_set_finalizer_notifier.) */
typedef void (*gc_finalizer_notify_fn)(void *arg);
GC_SPAN_API gc_finalizer_notify_fn gc_set_finalizer_notify(gc_finalizer_notify_fn fn, void *arg);

/* Returns how many calls are due and were not begun. Cost: a load. (bdwgc: GC_should_invoke_finalizers.) */
GC_SPAN_API size_t gc_finalizers_pending(void);

/* Calls, in the calling thread, what is due and all that is registered, whether its object is reachable or not: for the end
 * of a program, at which nothing is called by itself. In no order; what is registered meanwhile stays. A finalizer must not
 * gc_free another object that has one. A call that another thread is in may still go on. Returns how many calls it made,
 * or -1 with errno = EAGAIN (the world could not be stopped) or ENOMEM. (bdwgc: GC_finalize_all.) */
GC_SPAN_API long gc_finalize_all(void);

/* ---- roots --------------------------------------------------------------------------------------------------- */

/* Scan [lo, hi) at every collection: for mmap'd, shared or malloc'd memory that holds the only pointers to objects.
 * Whole aligned words are scanned. Ranges may overlap and nest; each gc_add_roots is undone by one gc_remove_roots of
 * the same range. What of a range cannot be read any more is skipped, and the warn handler told once. Return 0, or -1
 * with errno = EINVAL (hi before lo; no such range registered) or ENOMEM. Cost in each collection, beside the reading:
 * about a microsecond a range, up to what it takes to read /proc/self/maps once; none for a range in data of the
 * program or of a library. (bdwgc: GC_add_roots, GC_remove_roots.) */
GC_SPAN_API int gc_add_roots(const void *lo, const void *hi);
GC_SPAN_API int gc_remove_roots(const void *lo, const void *hi);

/* Never scan [lo, hi) as data of the program or of a library: for large tables without pointers. Registered ranges and
 * stacks are scanned all the same. Return 0 or -1 as above. (bdwgc: GC_exclude_static_roots.) */
GC_SPAN_API int gc_exclude_roots(const void *lo, const void *hi);

/* Call fn(report, arg) at every collection, to be told of more roots: for memory that moves or changes too often to be
 * registered, for handles, for compressed or encoded pointers. It calls
 *     report->range(report, lo, hi)   to have the aligned words of [lo, hi) scanned; the range must stay readable and
 *                                     unchanged until the collection is over, so it may not be on the callback's stack
 *     report->pointer(report, p)      to say that the object which p points to or into is live
 * as often as it likes. It runs in the thread that collects, while all others are stopped, perhaps inside malloc, stdio
 * or with any lock held: it may read memory and call `report`, and must not allocate, lock, print, wait, throw or jump
 * out. A call of this library in it that needs the heap is reported in one line and aborts. The memory of its own that
 * it reads, such as a table that says what to report, may be half changed by a thread that was stopped doing so: keep it
 * such that it can be read at any time.
 *     Callbacks are called in the order in which they were added; each gc_add_root_callback is undone by one
 * gc_remove_root_callback of the same two, after whose return it is not running and will not be called. A library that
 * is unloaded removes its own first. Return 0, or -1 with errno = EINVAL (fn is NULL; no such callback) or ENOMEM.
 * (bdwgc: GC_set_push_other_roots.) */
struct gc_root_report {
    void (*range)(struct gc_root_report *report, const void *lo, const void *hi);
    void (*pointer)(struct gc_root_report *report, const void *p);
};
typedef void (*gc_root_fn)(struct gc_root_report *report, void *arg);
GC_SPAN_API int gc_add_root_callback(gc_root_fn fn, void *arg);
GC_SPAN_API int gc_remove_root_callback(gc_root_fn fn, void *arg);

/* Make the calling thread known, or forget it. Threads that neither pthread_create of this program made nor ever call the
 * library are found at each collection; only where /proc is not mounted must they attach before they hold a pointer. It
 * saves the search. A thread may attach as often as it detaches. A thread that
 * ends is forgotten by itself. Return 0; attach -1 with ENOMEM; detach -1 with EINVAL when the thread is not
 * attached. (bdwgc: GC_register_my_thread.) */
GC_SPAN_API int gc_thread_attach(void);
GC_SPAN_API int gc_thread_detach(void);

/* ---- coroutines ---------------------------------------------------------------------------------------------- */

/* A stack that a thread may run on beside its own: a coroutine's, a fiber's, a generator's. The program reads lo and hi
 * and writes sp, each time it leaves the stack or once and for all, see below; the rest is the library's.
 *
 * A stack is a root until gc_stack_free or gc_stack_unregister. While a thread runs on it, which the collector sees by
 * that thread's stack pointer, it is scanned from there; else from where it was left:
 *   - in the ucontext_t that gc_stack_set_context named, if one was: swapcontext and makecontext put it there;
 *   - else in sp, which a switch in assembly stores as the only word (mov %rsp,(%rdi) with the handle in rdi), or
 *     gc_stack_switch;
 *   - sp is NULL, or an address outside [lo, hi]: it is not known, and all of the stack that is in memory is scanned;
 *   - sp == hi: there is nothing on it, it is not scanned. gc_stack_finish stores that.
 * A switch may be interrupted at any moment: what decides is which stack the thread's stack pointer lies on. */
struct gc_stack {
    void *sp; /* its stack pointer while no thread runs on it */
    void *lo; /* its bytes are [lo, hi). For ucontext_t: uc_stack.ss_sp = lo, ss_size = hi - lo */
    void *hi;
};

/* Returns a stack of at least `size` bytes (0: 64 KiB), from the operating system, with a page below lo that faults; or
 * NULL with errno = EINVAL (size below GC_SPAN_STACK_MIN, above GC_SPAN_STACK_MAX) or ENOMEM. The size is rounded up to a
 * power of two; pages take memory only once they are used. Nothing frees it but gc_stack_free: a handle that nobody
 * holds any longer is still a root. Cost: some 50 ns from the pool, 4 us for a new one. (Go: stackalloc.) */
#define GC_SPAN_STACK_MIN 16384
#define GC_SPAN_STACK_MAX 1073741824
GC_SPAN_API struct gc_stack *gc_stack_alloc(size_t size);

/* Takes a stack of gc_stack_alloc back, into a pool that gives its pages to the operating system. NULL is ignored. What
 * is no such stack, and one that the calling thread runs on, is reported on standard error in one line and the program
 * aborts; so does the next collection when it finds another thread on a stack that was freed. */
GC_SPAN_API void gc_stack_free(struct gc_stack *stack);

/* Makes memory of the program's, [lo, hi), known as a stack, with regs as gc_stack_set_registers has it (NULL, 0: none).
 * Returns its handle, or NULL with errno = EINVAL (bounds or regs not at multiples of 8, hi - lo below 1024, overlapping
 * another stack) or ENOMEM. It must stay mapped until gc_stack_unregister, which takes NULL and anything else as
 * gc_stack_free does. (bdwgc: GC_set_stackbottom, at each switch.) */
GC_SPAN_API struct gc_stack *gc_stack_register(const void *lo, const void *hi, const void *regs, size_t regs_size);
GC_SPAN_API void gc_stack_unregister(struct gc_stack *stack);

/* Returns the handle of the calling thread's own stack, the same each time, valid until the thread ends; NULL with
 * errno = ENOMEM. Not needed: while a thread is on another stack, all of its own that is in memory is scanned. A thread
 * that has asked for it stores sp, or names a context, whenever it leaves its own stack for another. */
GC_SPAN_API struct gc_stack *gc_stack_self(void);

/* Names the memory where the registers of the stack are kept while it is suspended, to be scanned with it, unless it is
 * scanned anyway; NULL, 0: none. Replaces what was named before, a context too. It must stay readable as long; if it is
 * part of an object, that object is kept. Returns 0, or -1 with errno = EINVAL (not at multiples of 8). A stack that is
 * not one aborts as above. */
GC_SPAN_API int gc_stack_set_registers(struct gc_stack *stack, const void *regs, size_t regs_size);

/* Names the ucontext_t that swapcontext saves the stack's registers and stack pointer in: both are found there, and a
 * switch needs no store for the collector. Every switch away from this stack must save in this one, also one that resumes
 * another coroutine. Before or after makecontext. NULL: none. Sets sp to NULL. */
GC_SPAN_API int gc_stack_set_context(struct gc_stack *stack, const void *ucontext);

/* About to leave `from`, in the function that calls the switch (swapcontext, longjmp, a library's): one store. What this
 * function's frame holds, and 128 bytes below for a switch that pushes registers, is scanned. Where the compiler cannot
 * tell the stack pointer it stores NULL. */
#if defined __GNUC__ && defined __x86_64__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
static inline __attribute__((__always_inline__)) void gc_stack_switch(struct gc_stack *from)
{
    register char *rsp __asm__("rsp"); /* an operand, so that the frame is complete before it */
    char *sp;
    __asm__ volatile("leaq -128(%1), %0" : "=r"(sp) : "r"(rsp) : "memory");
    *(void *volatile *)&from->sp = sp;
}
#pragma GCC diagnostic pop
#else
static inline void gc_stack_switch(struct gc_stack *from) { *(void *volatile *)&from->sp = NULL; }
#endif

/* There is nothing on the stack any longer: its coroutine ended. May be called on the stack itself, as the last thing;
 * until the thread is on another one, what is there is scanned. sp = NULL, gc_stack_set_context or gc_stack_free make it
 * ready for another coroutine. */
static inline void gc_stack_finish(struct gc_stack *stack) { *(void *volatile *)&stack->sp = stack->hi; }

/* ---- watch --------------------------------------------------------------------------------------------------- */

/* Go's MemStats, in bytes, objects and nanoseconds. Bytes of objects are sizes of their class; a shared 16-byte block
 * is one object. heap_inuse + heap_idle == heap_sys; the *_sys fields sum to sys; mallocs - frees == heap_objects. */
struct gc_memstats {
    uint64_t alloc;          /* bytes of objects allocated and not yet freed; == heap_alloc */
    uint64_t total_alloc;    /* bytes of objects ever allocated */
    uint64_t sys;            /* bytes obtained from the operating system, all kinds */
    uint64_t lookups;        /* pointers looked up by gc_base, gc_usable_size, gc_is_noscan, gc_free, gc_realloc */
    uint64_t mallocs;        /* objects ever allocated */
    uint64_t frees;          /* objects ever freed, by the sweep or gc_free */
    uint64_t heap_alloc;     /* bytes of objects allocated and not yet freed */
    uint64_t heap_sys;       /* bytes mapped for the heap, in use or not */
    uint64_t heap_idle;      /* of these, in free pages */
    uint64_t heap_inuse;     /* of these, in spans that hold objects */
    uint64_t heap_released;  /* of the idle, with the operating system: given back, or never used */
    uint64_t heap_objects;   /* objects allocated and not yet freed */
    uint64_t stack_inuse;    /* bytes of stacks that the library allocated and that are in use */
    uint64_t stack_sys;      /* bytes obtained for such stacks */
    uint64_t mspan_inuse;    /* bytes of span records in use */
    uint64_t mspan_sys;      /* bytes obtained for them */
    uint64_t mcache_inuse;   /* bytes of thread records, each with its cache */
    uint64_t mcache_sys;     /* bytes obtained for them */
    uint64_t buckhash_sys;   /* bytes obtained for the profile's table */
    uint64_t gc_sys;         /* bytes obtained for the collector: page table, mark bits, work buffers */
    uint64_t other_sys;      /* bytes obtained for the rest */
    uint64_t next_gc;        /* heap size at which the next collection starts */
    uint64_t last_gc;        /* when the last one ended, nanoseconds since 1970 */
    uint64_t pause_total_ns; /* nanoseconds for which the world was stopped */
    uint64_t pause_ns[256];  /* the last 256 pauses, the newest at [(num_gc + 255) % 256] */
    uint64_t pause_end[256]; /* when each ended, nanoseconds since 1970 */
    uint64_t num_gc;         /* collections */
    uint64_t num_forced_gc;  /* of these, asked for by the program */
    double gc_cpu_fraction;  /* share of the program's CPU time that collections took since it started */
    struct gc_by_size {
        uint64_t size; /* bytes of an object; 0 at [0], which counts the objects above 32768 bytes */
        uint64_t mallocs;
        uint64_t frees;
    } by_size[68];
};

/* Fill *st: exact, by stopping the world for as long as it takes to add counters up. The inline form lets the struct
 * grow: a library newer than the header fills only the bytes the caller has. (Go: runtime.ReadMemStats.) */
GC_SPAN_API void gc_read_memstats_sized(struct gc_memstats *st, size_t size);
static inline void gc_read_memstats(struct gc_memstats *st) { gc_read_memstats_sized(st, sizeof *st); }

/* One byte of each `bytes` allocated, on average and at random, is noted with the stack that allocated it; at start
 * GC_SPAN_PROFILE_RATE, or SPANGC_DEBUG=profilerate=BYTES. 1 notes every object (a shared 16-byte block is one), 0 none.
 * Holds for what is allocated from now on; best set once, at the start. Stops the world for a moment. Returns the old
 * rate. Cost of a sample, in the allocation that it falls on: a walk of the stack, a quarter of a microsecond a frame, or
 * less where the same stack was walked not long ago.
 * (Go: runtime.MemProfileRate.) */
#define GC_SPAN_PROFILE_RATE 524288
GC_SPAN_API size_t gc_set_profile_rate(size_t bytes);
GC_SPAN_API size_t gc_get_profile_rate(void);

/* Write to fd what the sampled stacks have allocated in all, and what of it is in use, estimated in objects and bytes:
 * in pprof's format (gzip; `go tool pprof`, github.com/google/pprof), or as text that `google-pprof` and people read. The
 * figures are those of the last collection's mark, or of all since the start when there was none yet: what is garbage is
 * not in use, what was allocated since is not yet counted. Call gc_collect first for figures up to now. Stacks all of
 * whose objects are gone are in it. Sweeps what is not swept, and stops the world for a moment. Returns 0, or -1 with
 * errno = EINVAL (format), ENOMEM, or that of write(2): then what was written is not a whole profile.
 * (Go: pprof.WriteHeapProfile.) */
enum gc_profile_format { GC_SPAN_PROFILE_PPROF, GC_SPAN_PROFILE_TEXT };
GC_SPAN_API int gc_write_heap_profile(int fd, enum gc_profile_format format);

/* Write to fd why the object that p points to or into is alive: a shortest way from a root to it, and for each object on
 * the way its size, where in it the next one is referred to, and where it was allocated if that was sampled. The root is
 * told as a thread with its frame and register or stack slot, as a variable with its library, as what was registered.
 * Source lines are told where elfutils' libdw is installed and the program has debugging information. The way that
 * leads over the calling thread's own stack is taken last, and a pointer there to the object itself only when there is
 * no other way: who asks has one.
 *     Stops the world while it traces, ten times as long as a mark, and takes 24 bytes for each object passed meanwhile.
 * Frees nothing. Returns 0 also when nothing keeps the object alive, which it says; -1 with errno = EINVAL when p points
 * to no live object (said in a line as well), EAGAIN when the world could not be stopped, ENOMEM, or that of write(2).
 * Neither Go nor bdwgc has it; see gc_explain(3) for a session. */
GC_SPAN_API int gc_explain(const void *p, int fd);

/* Collects, then writes to fd which of the sampled stacks allocated objects that became unreachable without gc_free, most
 * bytes first, since the start: for programs that mean to free everything. Exact when each object is noted
 * (gc_set_profile_rate(1) before the first allocation, or SPANGC_DEBUG=leaks=1, which also calls this at exit).
 * Returns the number of such objects, or -1 with errno. (bdwgc: GC_find_leak.) */
GC_SPAN_API long gc_report_leaks(int fd);

/* Write a line "LOW-HIGH", two hexadecimal addresses, for each stretch of readable and writable memory that the library
 * has mapped, in no order: the lines that are its own of /proc/PID/smaps, whose Size adds up to `sys` of gc_memstats.
 * Returns 0, or -1 with the errno of write(2). What other threads map meanwhile may be missing. */
GC_SPAN_API int gc_write_mappings(int fd);

#ifdef __cplusplus
}
#endif

#endif
