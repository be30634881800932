/* trace.c - the gctrace line.
 * Owns: nothing. Locks: none: called when the world runs again. Below: report, cycle. Above: api/init.c. */
#include "watch/trace.h"

#include "base/report.h"
#include "os/os.h"

#include <stdio.h>

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
                 "%llu -> %llu goal B, %u threads%s\n",
                 r->number, (double)r->start / 1e9, cpu_percent(), ms(r->stop), ms(r->mark), ms(r->restart),
                 ms(r->pause), ms(r->cpu), (unsigned long long)r->before, (unsigned long long)r->live,
                 (unsigned long long)r->goal, r->threads, r->forced ? " (forced)" : "");
    report_text(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}
