/* chrometrace.c - the file of SPANGC_DEBUG=trace=FILE.json.
 * Owns:   the file.
 * Locks:  TRACE, taken with no other held and all signals blocked: who holds it is neither stopped nor interrupted.
 * Keeps:  .whole   after each write the file is one JSON array: an event goes where the closing bracket was, and brings
 *                  another, in one write of less than a page. (Should the process be killed while the kernel is between
 *                  two pages of that write, the bracket is missing, which the viewers accept.)
 *         .once    a write that fails ends the trace, what was whole before stays, and the program is told once
 * Below:  cycle, pageheap.   Above: api.
 *
 * The format is the array form of "Trace Event Format" (Chromium's catapult project): X is a stretch of time, C a counter,
 * M names a track; ts and dur are microseconds, here since the library started. */
#include "watch/chrometrace.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/report.h"
#include "heap/heaplive.h"
#include "heap/pageheap.h"
#include "os/os.h"
#include "os/os_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 4096, TRACKS = 64 }; /* a cycle with all helpers, all new, and every number at its longest: 2900 bytes */

static const char closing[] = "\n]\n";
enum { CLOSING = sizeof closing - 1 };

static struct lock lock = LOCK_INIT(RANK_TRACE);
static int fd = -1;
static uint64_t at;       /* where the closing bracket's line begins */
static int named[TRACKS]; /* threads whose track has a name */
static unsigned n_named;

struct batch {
    char text[BATCH];
    size_t n;
};

PRINTF(2, 3) static void add(struct batch *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(b->text + b->n, BATCH - b->n, format, ap);
    va_end(ap);
    CHECK_ALWAYS(n >= 0 && (size_t)n < BATCH - b->n, "chrometrace.whole");
    b->n += (size_t)n;
}

/* The head of an event. */
static void begin(struct batch *b, const char *name, char phase, int tid, uint64_t ns)
{
    add(b, "%s\n{\"name\":\"%s\",\"cat\":\"gc\",\"ph\":\"%c\",\"pid\":%d,\"tid\":%d,\"ts\":%llu.%03u",
        at || b->n > 1 ? "," : "", name, phase, os_pid(), tid, (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

/* One that has a length; its end is the caller's. */
static void begin_stretch(struct batch *b, const char *name, int tid, uint64_t ns, uint64_t dur)
{
    begin(b, name, 'X', tid, ns);
    add(b, ",\"dur\":%llu.%03u", (unsigned long long)(dur / 1000), (unsigned)(dur % 1000));
}

static void stretch(struct batch *b, const char *name, int tid, uint64_t ns, uint64_t dur)
{
    begin_stretch(b, name, tid, ns, dur);
    add(b, "}");
}

/* Within another, and before the next. It ends a nanosecond early: viewers add ts and dur up as floating point, and where
 * the sum is above what follows by 2e-13 they nest the one in the other (seen in speedscope). */
static void phase(struct batch *b, const char *name, int tid, uint64_t ns, uint64_t dur)
{
    stretch(b, name, tid, ns, dur > 0 ? dur - 1 : 0);
}

static void name_track(struct batch *b, const char *event, int tid, const char *name)
{
    begin(b, event, 'M', tid, 0);
    add(b, ",\"args\":{\"name\":\"%s\"}}", name);
}

static void name_thread(struct batch *b, int tid, const char *what)
{
    char name[48];
    for (unsigned i = 0; i < n_named; i++)
        if (named[i] == tid)
            return;
    if (n_named == TRACKS)
        return;
    named[n_named++] = tid;
    snprintf(name, sizeof name, "%s %d", what, tid);
    name_track(b, "thread_name", tid, name);
}

static void counters(struct batch *b, uint64_t ns, uint64_t live, uint64_t goal, uint64_t footprint)
{
    begin(b, "heap", 'C', 0, ns);
    add(b, ",\"args\":{\"live\":%llu,\"goal\":%llu,\"footprint\":%llu}}", (unsigned long long)live,
        (unsigned long long)goal, (unsigned long long)footprint);
}

/* Lock held. */
static void write_batch(struct batch *b)
{
    size_t events = b->n;
    add(b, "%s", closing);
    long n = os_file_write_at(fd, b->text, b->n, at);
    if (n == (long)b->n) {
        at += events;
        return;
    }
    if (at > 0 && n > 0)
        os_file_write_at(fd, closing, CLOSING, at);
    if (at > 0)
        os_file_cut(fd, at + CLOSING);
    os_file_close(fd);
    fd = -1;
    report_line("SPANGC_DEBUG=trace: the file cannot be written (%s); it ends here",
                n < 0 ? strerror((int)-n) : "full");
}

bool chrometrace_open(const char *path)
{
    struct batch b = {.n = 0};
    fd = os_file_create(path);
    if (fd < 0) {
        report_line("SPANGC_DEBUG=trace=%s: cannot be written (%s); there is no trace", path, strerror(-fd));
        return false;
    }
    add(&b, "[");
    name_track(&b, "process_name", 0, "spangc");
    write_batch(&b);
    return fd >= 0;
}

static uint64_t now(void) { return os_now_ns() - cycle_totals()->start_ns; }

static void add_cycle(struct batch *b, const struct cycle_report *r)
{
    int tid = os_tid();
    name_thread(b, tid, "collecting thread");
    begin_stretch(b, "pause", tid, r->stop_start, r->pause);
    add(b, ",\"args\":{\"cycle\":%u,\"threads\":%u,\"roots\":%llu,\"forced\":%s}}", r->number, r->threads,
        (unsigned long long)r->roots_scanned, r->forced ? "true" : "false");
    phase(b, "stop", tid, r->stop_start, r->stop);
    phase(b, "mark", tid, r->stop_start + r->stop, r->mark);
    phase(b, "restart", tid, r->stop_start + r->stop + r->mark, r->restart);
    for (uint32_t i = 0; i < r->nhelpers; i++) {
        const struct marker_time *h = &r->helpers[i];
        name_thread(b, h->tid, "marker");
        stretch(b, "mark", h->tid, h->from - cycle_totals()->start_ns, h->to - h->from);
    }
    counters(b, r->stop_start, r->before, r->goal_before, r->footprint);
    counters(b, r->stop_start + r->pause, r->live, r->goal, r->footprint);
}

static void acquire(sigset_t *old)
{
    os_block_signals(old);
    lock_acquire(&lock);
}

static void release(const sigset_t *old)
{
    lock_release(&lock);
    os_restore_signals(old);
}

void chrometrace_cycle(const struct cycle_report *r)
{
    struct batch b = {.n = 0};
    sigset_t old;
    acquire(&old);
    if (fd >= 0) {
        add_cycle(&b, r);
        write_batch(&b);
    }
    release(&old);
}

void chrometrace_scavenged(uint64_t bytes, uint64_t ns)
{
    struct batch b = {.n = 0};
    sigset_t old;
    if (bytes == 0)
        return;
    acquire(&old);
    if (fd >= 0) {
        int tid = os_tid();
        name_thread(&b, tid, "sysmon");
        begin_stretch(&b, "scavenge", tid, now() - ns, ns);
        add(&b, ",\"args\":{\"bytes\":%llu}}", (unsigned long long)bytes);
        counters(&b, now(), atomic_load_explicit(&heap_live, memory_order_relaxed),
                 atomic_load_explicit(&heap_trigger, memory_order_relaxed), pageheap_footprint());
        write_batch(&b);
    }
    release(&old);
}

void chrometrace_fork_child(void)
{
    lock_init(&lock, RANK_TRACE);
    if (fd >= 0)
        os_file_close(fd);
    fd = -1;
}
