/* os.h - the rest of what the kernel and the C library give: machine, clocks, futexes, threads, signals, images. */
#ifndef OS_OS_H
#define OS_OS_H

#include "base/attr.h"

#include <signal.h>
#include <stdatomic.h>

/* ---- machine (os_machine_linux.c) ---- */

const char *os_name(void);
const char *os_arch_name(void); /* in os_cpu_*.c */

int os_cpu_count(void);           /* CPUs that the affinity mask and the control groups allow, at least 1 */
uint64_t os_ram_bytes(void);      /* physical memory */
uint64_t os_address_left(void);   /* what RLIMIT_AS leaves, or UINT64_MAX */
uint64_t os_max_mappings(void);   /* how many the kernel lets a process have */
uint64_t os_now_ns(void);         /* CLOCK_MONOTONIC */
uint64_t os_wall_ns(void);        /* since 1970 */
uint64_t os_process_cpu_ns(void); /* CPU time of the whole process */
uint64_t os_thread_cpu_ns(void);  /* CPU time of the calling thread */

/* ---- control groups (os_cgroup_linux.c). Each reads files anew; no memory is allocated ---- */

uint64_t os_cgroup_memory_limit(void); /* bytes, or UINT64_MAX */
int os_cgroup_cpus(void);              /* CPUs' worth of time, rounded up, at least 1; INT32_MAX without a limit */
void os_cgroup_set_tree(const char *prefix); /* for tests: before /proc and /sys. Kept, not copied */

/* ---- threads (os_thread_linux.c) ---- */

int os_tid(void);
int os_pid(void);

/* The calling thread's stack, [*lo, *hi): static thread-local storage above it included for threads that the C
 * library made. May call malloc: never while the world is stopped or a lock of ours is held. */
bool os_stack_bounds(uintptr_t *lo, uintptr_t *hi);

/* An address on the main thread's stack, or 0. */
uintptr_t os_main_stack_address(void);

/* How far the main thread's stack [lo, hi) may grow now: RLIMIT_STACK may have been lowered, or there is none. */
uintptr_t os_main_stack_begin(uintptr_t lo, uintptr_t hi);

/* Sleep while *word == seen, for at most timeout_ns (UINT64_MAX: for ever); may return early. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns);
void os_futex_wake(_Atomic uint32_t *word, uint32_t sleepers);
void os_futex_wake_all(_Atomic uint32_t *word);

/* A real-time signal of our own, taken out of SIGRTMIN..SIGRTMAX where the C library can, else SIGRTMAX - 3. */
int os_take_signal(void);

enum os_sent { OS_SENT, OS_GONE, OS_RETRY };

/* Queue `sig` with a pointer to one thread of this process. OS_RETRY: RLIMIT_SIGPENDING is used up for now. */
enum os_sent os_signal_thread(int tid, int sig, void *value);

/* Whether a thread of this process still exists and has not ended. */
bool os_thread_alive(int tid);

/* Every signal there is, also those that the C library keeps for itself (cancellation, set*id) and sigfillset leaves
 * out: a thread that is cancelled in a blocking call would run its cleanup in a stopped world. */
void os_fill_signals(sigset_t *set);

/* Block all of them in the calling thread; the old mask goes to *old. Not through the program's wrappers. The second
 * leaves one open, and the C library's own, for a thread that stays. */
void os_block_signals(sigset_t *old);
void os_block_signals_but(int sig, sigset_t *old);
void os_restore_signals(const sigset_t *old);
void os_unblock_signal(int sig);

/* Sets of signals as bits: those that wait for the calling thread or the process, a set's, those that were blocked in
 * the thread that a handler interrupted. */
uint64_t os_pending_signals(void);
uint64_t os_signal_bits(const sigset_t *set);
uint64_t os_context_blocked(const void *ucontext);
static inline uint64_t os_signal_bit(int sig) { return UINT64_C(1) << (sig - 1); }

/* A timer that sends `sig` (si_code SI_TIMER) to the calling thread, once each time it is set. All three may be called
 * by signal handlers. */
bool os_timer_create(int sig, int *id);
void os_timer_set(int id, uint64_t ns);
void os_timer_delete(int id);

struct os_range {
    uintptr_t lo, hi;
};

/* The calling thread's alternate signal stack; empty without one. */
struct os_range os_own_altstack(void);

/* Of the pages [p, p + n) sets resident[i] = 1 for those in memory; false where they are not all mapped. */
bool os_resident(uintptr_t p, size_t n, unsigned char *resident);

/* The same for pages that may have contents: in memory, or swapped out. A guard page may count as one. */
bool os_in_use(uintptr_t p, size_t n, unsigned char *used);

/* ---- what memory can be read (os_readable_linux.c) ---- */

enum os_read { OS_READS, OS_FAULTS, OS_READ_UNKNOWN };

/* What reading [lo, hi) would do, found out without reading. The pages are brought in as by reading. OS_READ_UNKNOWN:
 * it is protected, or is of a kind that this does not work with, or this kernel cannot tell. */
enum os_read os_try_read(uintptr_t lo, uintptr_t hi);
bool os_try_read_works(void);

/* Whether the word at p can be read now, on every kernel. */
bool os_readable(uintptr_t p);

/* The process's mappings in rising order, until fn returns false. Returns false when that was not all. */
struct os_mapping {
    uintptr_t lo, hi;
    bool readable, file;
};
bool os_each_mapping(bool (*fn)(const struct os_mapping *m, void *arg), void *arg);

/* ---- libraries that are opened when they are needed (os_library.c) ---- */

/* Sets found[i] to the address of names[i] in the library with that file name, which then stays; false unless all are
 * there. In the archive always false. May call malloc, and takes locks of the dynamic linker. */
bool os_library_find(const char *file, const char *const names[], void *found[], size_t n);

/* ---- what /proc knows of the threads of this process (os_task_linux.c): no malloc, no stdio, no cancellation ---- */

/* How many there are, a main thread that ended before the others included; 0 where /proc does not say. */
int os_task_count(void);

/* False where /proc shows the process as another namespace of ids sees it, or does not say. */
bool os_task_ids_are_ours(void);

/* Calls fn for each. The list may lack threads when others end meanwhile. False where it cannot be read. */
bool os_each_task(void (*fn)(int tid, void *arg), void *arg);

/* OS_TASK_ENDED: it will run no line of the program again. OS_TASK_KERNEL: a worker of the kernel's, such as io_uring's,
 * that counts as a thread of the process and never runs any. OS_TASK_RUNS where /proc does not say. */
enum os_task { OS_TASK_RUNS, OS_TASK_ENDED, OS_TASK_KERNEL };
enum os_task os_task_state(int tid);

/* Whether it has the signal blocked: 1, 0, or -1 where /proc does not say. */
int os_task_blocks(int tid, int sig);

/* ---- holding threads that no signal reaches, by a tracer (os_ptrace_linux.c) ---- */

enum os_held_state { OS_HELD_ASKED, OS_HELD_STOPPED, OS_HELD_GONE, OS_HELD_REFUSED };

/* One of them. The caller writes tid before os_hold, and reads the others after it. */
struct os_held {
    int tid;
    enum os_held_state state;
    int sig;                /* that it was about to take */
    char *area;             /* its registers, of os_held_area() bytes: */
    size_t general, vector; /* bytes of each kind */
};

struct os_holder;

/* Memory for n of them, 0 where this cannot be done; and laid out, for one os_hold. */
size_t os_hold_bytes(size_t n);
struct os_holder *os_hold_layout(void *memory, size_t n);
struct os_held *os_hold_at(struct os_holder *h, size_t i);

/* OS_HOLD_DONE: each is STOPPED or GONE, until os_hold_end. OS_HOLD_REFUSED: by the kernel, a sandbox, or because another
 * traces one; OS_HOLD_LATE: one did not stop in time. Then none is held. */
enum os_hold { OS_HOLD_DONE, OS_HOLD_REFUSED, OS_HOLD_LATE };
enum os_hold os_hold(struct os_holder *h, uint64_t end_ns);
void os_hold_end(struct os_holder *h);

/* ---- images: the program and every library that is loaded (os_image_linux.c) ---- */

/* Calls fn with the list of images held still: until it returns, dlopen and dlclose of other threads wait. */
void os_with_images_still(void (*fn)(void *arg), void *arg);

/* For each writable segment, less what becomes read-only after relocation; only inside os_with_images_still. */
void os_each_segment(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

/* The library's code, where it is a library of its own; empty where it is part of the program. */
struct os_range os_own_text(void);

/* Where a copy of this library is, as names that last while it is loaded; returns how many, at most max. */
size_t os_copies(const char **names, size_t max);

/* ---- thread-local storage of stopped threads (os_tls_glibc.c) ----
 * `self` is a thread's pthread_t. A range given may be of memory that is mapped no longer: the caller tests. */

void os_tls_init(void);
bool os_tls_known(void);

/* The calling thread's id; only of one that the C library made and that has just begun. */
int os_tls_tid(uintptr_t self);

/* Bytes of a thread's record, which its pthread_t points to; 0 when not known. */
size_t os_tls_record_size(void);

/* For each image with thread-local variables; only inside os_with_images_still. */
void os_each_tls_module(void (*fn)(size_t module, size_t size, void *arg), void *arg);

/* The thread's variables of one image; empty if it has not touched them. */
struct os_range os_tls_block(uintptr_t self, size_t module, size_t size);

/* The thread's static block with its record; for threads that the C library made it lies in their stack's mapping. */
struct os_range os_tls_static(uintptr_t self);

/* Whether `self`, of which nothing is known, is where the C library keeps the thread of this id. */
bool os_tls_is_thread(uintptr_t self, int tid);

/* The memory of the thread's pthread_setspecific values. */
void os_each_specific(uintptr_t self, void (*fn)(struct os_range r, void *arg), void *arg);

/* Whether the calling thread has any pthread_setspecific value but NULL; true where that is not known. */
bool os_any_specific(uintptr_t self);

/* The C library's lock of its list of files, which fork takes after all handlers of pthread_atfork. In the child that lock
 * is free again. */
void os_stdio_lock(void);
void os_stdio_unlock(void);
void os_stdio_reset(void);

/* ---- the CPU: what an interrupted thread's context holds (os_cpu_*.c) ---- */

/* The most that an ABI lets a function use below SP. */
enum { OS_RED_ZONE = 512 };

/* A system call that returns -errno and leaves errno alone: a handler may run in a thread whose thread-local storage is
 * another's, or is none. */
long os_syscall(long n, long a, long b, long c, long d, long e, long f);

/* fn(arg), with nothing of its caller's in the registers that a function keeps for its caller: a thread that fn makes
 * inherits them. */
void os_call_clean(void (*fn)(void *arg), void *arg);

/* The calling thread's pthread_t, if the C library made it; whatever the thread pointer holds, it is not followed. */
uintptr_t os_thread_pointer(void);

/* Where the scan of an interrupted stack starts: SP less the red zone. And an address that lies on that stack for
 * certain, which what is below SP need not do. */
uintptr_t os_context_stack(const void *ucontext);
uintptr_t os_context_sp(const void *ucontext);

/* SP in a ucontext_t that getcontext, makecontext or swapcontext filled; 0 where it is not known how to find it. */
uintptr_t os_saved_sp(const void *ucontext);

/* The saved general registers, as a range of words; then the x87 and vector registers, as several. Returns how many. */
enum { OS_VECTOR_RANGES = 8 };
struct os_range os_context_registers(const void *ucontext);
size_t os_context_vectors(const void *ucontext, struct os_range r[OS_VECTOR_RANGES]);

/* The interrupted thread's SP lay on the alternate signal stack: its bounds; else empty. */
struct os_range os_context_altstack(const void *ucontext);

/* SP of what a handler interrupted that runs on an alternate stack, used from lo up and ending at or below hi, out of the
 * signal frame there; 0 where there is none. It may be a word that only looks like one. */
uintptr_t os_interrupted_sp(uintptr_t lo, uintptr_t hi);

/* The same of a thread that is held, and its thread pointer. Bytes for its registers, 0: not known how; and reading them,
 * by the tracer. */
size_t os_held_area(void);
bool os_held_read(struct os_held *t);
uintptr_t os_held_stack(const struct os_held *t);
uintptr_t os_held_sp(const struct os_held *t);
uintptr_t os_held_thread_pointer(const struct os_held *t);
struct os_range os_held_registers(const struct os_held *t);
struct os_range os_held_vectors(const struct os_held *t);
/* The interrupted thread was in a system call that waits, and the kernel will begin it again when the handler returns,
 * for the sake of SA_RESTART: where. Else zeros. Known on x86-64 alone. */
struct os_restarted {
    uintptr_t ip, sp;
};
struct os_restarted os_context_restarted(const void *ucontext);

/* That system call is to fail with EINTR instead. */
void os_context_interrupt(void *ucontext);

#endif
