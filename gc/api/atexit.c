/* atexit.c - SPANGC_DEBUG=heapprofile=FILE and leaks=1: written as the program exits.
 * Owns:   what was asked for.
 * Locks:  none.
 * Keeps:  .last   registered by the library's constructor, so it runs after the program's own handlers of atexit
 *         .alone  the child of a fork writes nothing: the file, and the program that was asked about, are its parent's
 * Below:  profile.c, leaks.   Above: exit. */
#include "api/atexit.h"

#include "api/api.h"
#include "base/report.h"
#include "os/os.h"
#include "os/os_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_LEAKED = 23 };

static struct {
    char profile[OPTIONS_TEXT]; /* a file's name, or "" */
    bool leaks, fail;
    int pid;
} asked; /* written once */

static void write_profile(void)
{
    int fd = os_file_create(asked.profile);
    if (fd < 0) {
        report_line("SPANGC_DEBUG=heapprofile: %s cannot be written (%s)", asked.profile, strerror(-fd));
        return;
    }
    if (gc_write_heap_profile(fd, GC_SPAN_PROFILE_PPROF) != 0) {
        report_line("SPANGC_DEBUG=heapprofile: %s could not be written wholly (%m), and is empty now", asked.profile);
        os_file_cut(fd, 0);
    }
    os_file_close(fd);
}

/* Streams are flushed, which exit would do after this. */
static void report_leaks(void)
{
    if (gc_report_leaks(STDERR_FILENO) > 0 && asked.fail) {
        fflush(NULL);
        _exit(STATUS_LEAKED);
    }
}

static void at_exit(void)
{
    if (os_pid() != asked.pid)
        return;
    if (asked.profile[0]) {
        gc_collect();
        write_profile();
    }
    if (asked.leaks)
        report_leaks();
}

static void read_leaks(const char *text)
{
    asked.fail = strcmp(text, "exit") == 0;
    asked.leaks = asked.fail || strcmp(text, "1") == 0;
    if (!asked.leaks && text[0] && strcmp(text, "0") != 0)
        report_warn("SPANGC_DEBUG: \"leaks=%.60s\" is neither 1 nor exit; ignored", text);
}

void api_atexit_init(const struct options *o)
{
    memcpy(asked.profile, o->heapprofile, sizeof asked.profile);
    read_leaks(o->leaks);
    if (asked.leaks && o->profilerate == GC_SPAN_PROFILE_RATE)
        sampler_set_rate(1);
    asked.pid = os_pid();
    if (asked.profile[0] || asked.leaks)
        atexit(at_exit);
}
