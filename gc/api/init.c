/* init.c - starting the library: environment, heap, signal, tables of calls upwards.
 * Owns:   the order of the start.
 * Locks:  none; pthread_once.
 * Keeps:  .once   everything below is started once, before the first thread is listed
 *         .alone  there is one copy of the library in the process                    (be_alone)
 * Below:  every floor.   Above: the program.
 *
 * The constructor does it in the shared library; the first call does where that call comes earlier (constructors of
 * other objects) or where the archive's constructor has not run yet. */
#include "api/api.h"
#include "base/inside.h"
#include "base/options.h"
#include "cycle/cycle.h"
#include "cycle/endnotes.h"
#include "cycle/finalizers.h"
#include "cycle/sweeper.h"
#include "cycle/sysmon.h"
#include "heap/ephemeron.h"
#include "heap/pageheap.h"
#include "heap/scavenge.h"
#include "heap/weak.h"
#include "heap/weaklink.h"
#include "mark/markers.h"
#include "os/os.h"
#include "os/os_mangle.h"
#include "os/os_memtool.h"
#include "os/os_calls.h"
#include "os/os_real.h"
#include "watch/chrometrace.h"
#include "watch/events.h"
#include "watch/guard.h"
#include "watch/mprof.h"
#include "watch/trace.h"
#include "world/deaf.h"
#include "world/roots.h"
#include "world/stop.h"
#include "api/atexit.h"
#include "api/fork.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_FACTOR = 64 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic bool started;
char api_zero_object[16] __attribute__((aligned(16)));

static void complain(const struct options_error *e) { report_warn("%s", e->text); }

static void read_debug(struct options *o)
{
    struct options_error e;
    const char *rest = secure_getenv("SPANGC_DEBUG");
    while (rest && *rest)
        if (!options_parse_debug(o, &rest, &e))
            complain(&e);
    if (o->help)
        report_text(options_help(), strlen(options_help()));
}

static void read_environment(struct options *o)
{
    struct options_error e;
    options_defaults(o);
    const char *percent = secure_getenv("SPANGC_PERCENT"), *limit = secure_getenv("SPANGC_MEMLIMIT");
    if (percent && !options_parse_percent(o, percent, &e))
        complain(&e);
    if (limit && !options_parse_limit(o, limit, &e))
        complain(&e);
    read_debug(o);
}

/* Valgrind's memcheck takes seconds to note a range of many gigabytes. A quarter of what the address space limit leaves, to begin with: the program needs some too. */
static bool start_heap(void)
{
    uint64_t left = os_address_left(), all = least_of(UINT64_C(1) << 40, RAM_FACTOR * os_ram_bytes());
    if (os_memtool_simulated())
        return pageheap_init(UINT64_C(1) << 30, least_of(UINT64_C(1) << 34, left));
    if (left == UINT64_MAX)
        return pageheap_init(all, all);
    return pageheap_init(least_of(all, left / 4), least_of(all, left));
}

/* Each would free what only the other knows of. */
static void be_alone(void)
{
    const char *in[2];
    if (os_copies(in, 2) == 2)
        report_fatal("two copies of this library are in the process, one in %s and one in %s; link the program and all "
                     "its libraries with the shared one (pkg-config --libs spangc); aborting",
                     in[0], in[1]);
}

/* Our own words that look like pointers into the heap must keep nothing alive. */
static void exclude_own_data(void)
{
    roots_add(ROOTS_EXCLUDED, (uintptr_t)&arena, (uintptr_t)(&arena + 1));
    roots_add(ROOTS_EXCLUDED, (uintptr_t)&mcache_none, (uintptr_t)(&mcache_none + 1));
    roots_add(ROOTS_EXCLUDED, (uintptr_t)&mcache_interrupted, (uintptr_t)(&mcache_interrupted + 1));
}

static struct {
    bool cycles, scavenging, file;
} told; /* what is asked to be told; written once */

static void cycle_done(const struct cycle_report *r)
{
    guard_tell();
    endnotes_tell();
    finalizers_tell_running();
    if (told.cycles)
        trace_cycle(r);
    if (told.file)
        chrometrace_cycle(r);
}

static void scavenged(uint64_t bytes, uint64_t ns)
{
    if (told.scavenging)
        trace_scavenged(bytes, ns);
    else
        events_scavenged(bytes, ns);
    if (told.file)
        chrometrace_scavenged(bytes, ns);
}

static void sample_end(struct special *sp, enum special_end why) { buckets_end((struct sample *)(void *)sp, why); }

static void set_hooks(const struct options *o)
{
    told.cycles = o->gctrace;
    told.scavenging = o->scavtrace;
    told.file = o->trace[0] && chrometrace_open(o->trace);
    cycle_hooks.event = events_emit;
    cycle_hooks.done = cycle_done;
    cycle_hooks.scavenged = scavenged;
    cycle_hooks.enabled = api_collections_enabled;
    trace_footprint_on = o->footprint;
    specials_hooks[SPECIAL_SAMPLE] = sample_end;
    specials_hooks[SPECIAL_WEAK] = weak_end;
    specials_hooks[SPECIAL_EPHEMERON] = ephemeron_end;
    specials_hooks[SPECIAL_LINK_TARGET] = weaklink_end_target;
    specials_hooks[SPECIAL_LINK_HOLDER] = weaklink_end_holder;
    specials_hooks[SPECIAL_LINK_TABLE] = weaklink_end_table;
    specials_hooks[SPECIAL_CLEANUP] = finalizers_end_cleanup;
    specials_hooks[SPECIAL_FINALIZER] = finalizers_end_finalizer;
    finalizers_report_slow(o->finalizers);
    endnotes_enable(o->finalizers);
}

static void start(void)
{
    struct options o;
    int saved = errno;
    be_alone();
    os_calls_init();
    read_environment(&o);
    if (!start_heap())
        return;
    mcentral_init();
    exclude_own_data();
    os_tls_init();
    os_mangling_init();
    uint32_t cpus = (uint32_t)os_cpu_count(); /* reads files: once */
    mprof_init();
    sampler_set_rate((uint64_t)o.profilerate);
    if (o.check)
        guard_start();
    stop_init(cpus);
    deaf_enable(o.ptrace);
    cycle_init(&o, cpus);
    sweeper_enable(o.sweeper && cpus > 1);
    scavenge_lazily(o.madvfree);
    sysmon_enable((uint32_t)o.scavenge);
    set_hooks(&o);
    api_atexit_init(&o);
    fork_init();
    atomic_store_explicit(&started, true, memory_order_release);
    errno = saved;
}

static bool start_once(void)
{
    if (!atomic_load_explicit(&started, memory_order_acquire)) {
        inside_enter();
        pthread_once(&once, start);
        inside_leave();
    }
    return atomic_load_explicit(&started, memory_order_acquire);
}

void api_refuse_interrupted(const char *call)
{
    if (mcache_self == &mcache_interrupted)
        report_fatal("%s was called by a signal handler that interrupted the library (see spangc(7), SIGNALS AND "
                     "SYSTEM CALLS); aborting",
                     call);
}

struct thread *api_thread_for(const char *call)
{
    struct thread *t = thread_self();
    if (likely(t != NULL))
        return t;
    api_refuse_interrupted(call);
    if (roots_in_callback())
        report_fatal("a root callback called the library, which it may not: the world is stopped; aborting");
    if (start_once())
        t = thread_register();
    if (!t)
        errno = ENOMEM;
    return t;
}

int gc_init(void) { return api_thread() ? 0 : -1; }

__attribute__((constructor)) static void construct(void)
{
    int saved = errno;
    api_thread();
    errno = saved;
}

const char *gc_version(void)
{
#define STRING_(x) #x
#define STRING(x)  STRING_(x)
    return STRING(GC_SPAN_VERSION_MAJOR) "." STRING(GC_SPAN_VERSION_MINOR) "." STRING(GC_SPAN_VERSION_PATCH);
}

static char features[256];

static void describe(void)
{
    static const char *const levels[] = {"no", "cheap", "full"};
    snprintf(features, sizeof features,
             "version=%s checks=%s arch=%s os=%s stop=signal:%d mark=stop-the-world markers=%u sweep=%s tls=%s "
             "reserve=%zuMiB",
             gc_version(), levels[GC_CHECKS], os_arch_name(), os_name(), stop_signal(), markers_wanted(),
             sweeper_enabled() ? "background" : "lazy", os_tls_known() ? "all" : "stack", arena.max >> 20);
}

const char *gc_features(void)
{
    static pthread_once_t described = PTHREAD_ONCE_INIT;
    int saved = errno; /* the number of CPUs is read from files that may not be there */
    api_thread();
    pthread_once(&described, describe);
    errno = saved;
    return features;
}
