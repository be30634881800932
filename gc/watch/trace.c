/* trace.c - the lines of gctrace, scavtrace and footprint.
 * Owns: the footprint that was told last. Locks: none: called when the world runs. Below: report, cycle. Above: api. */
#include "watch/trace.h"

#include "base/report.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "os/os.h"
#include "watch/events.h"

#include <stdio.h>

bool trace_footprint_on;

static void print(const char *line, int n, size_t size) { report_text(line, (size_t)n < size ? (size_t)n : size - 1); }

static double seconds(uint64_t ns) { return (double)ns / 1e9; }
static double seconds_so_far(void) { return seconds(os_now_ns() - cycle_totals()->start_ns); }
static double ms(uint64_t ns) { return (double)ns / 1e6; }

/* Share of the process's CPU time that collections took so far, in percent. */
static double cpu_percent(void)
{
    uint64_t all = os_process_cpu_ns();
    return all ? 100.0 * (double)cycle_totals()->cpu_ns / (double)all : 0;
}

void trace_cycle(const struct cycle_report *r)
{
    char line[320];
    int n =
        snprintf(line, sizeof line,
                 "gc %u @%.3fs %.0f%%: stop %.3f mark %.3f restart %.3f ms pause %.3f ms, cpu %.3f ms, heap %llu -> "
                 "%llu -> %llu goal B, footprint %llu B, %u threads%s\n",
                 r->number, seconds(r->start), cpu_percent(), ms(r->stop), ms(r->mark), ms(r->restart), ms(r->pause),
                 ms(r->cpu), (unsigned long long)r->before, (unsigned long long)r->live, (unsigned long long)r->goal,
                 (unsigned long long)r->footprint, r->threads, r->forced ? " (forced)" : "");
    print(line, n, sizeof line);
}

void trace_scavenged(uint64_t bytes, uint64_t ns)
{
    char line[160];
    int n = snprintf(line, sizeof line, "scav @%.3fs: released %llu B in %.3f ms, footprint %llu B\n", seconds_so_far(),
                     (unsigned long long)bytes, ms(ns), (unsigned long long)pageheap_footprint());
    print(line, n, sizeof line);
    events_scavenged(bytes, ns);
    trace_footprint();
}

void trace_footprint_step(void)
{
    enum { STEP = 16 << 20 };
    static _Atomic uint64_t told;
    uint64_t held = pageheap_footprint(), step = held / STEP, last = atomic_load_explicit(&told, memory_order_relaxed);
    char line[160];
    if (step == last ||
        !atomic_compare_exchange_strong_explicit(&told, &last, step, memory_order_relaxed, memory_order_relaxed))
        return;
    int n =
        snprintf(line, sizeof line, "footprint @%.3fs: %llu B held for %llu B of objects\n", seconds_so_far(),
                 (unsigned long long)held, (unsigned long long)atomic_load_explicit(&heap_live, memory_order_relaxed));
    print(line, n, sizeof line);
}
