/* idle.c - memory goes back to the system when a program no longer uses it, and an idle program is left alone: each scene
 * is a process of its own, with the scavenger's period set to a second. Times only bound the wait. Holds sysmon.quiet,
 * sysmon.told, scavenge.released. */
#include "helpers.h"

#include <dirent.h>

enum { MIB = 1 << 20, WAIT_S = 40 };

static void nap_ms(unsigned ms) { usleep(ms * 1000); }

enum { CHUNKS = 2048 };
static void *held[CHUNKS];

/* Some of it small, some of it large, all of it touched. */
static NOINLINE void peak(size_t bytes)
{
    size_t each = bytes / CHUNKS;
    for (size_t i = 0; i < CHUNKS; i++) {
        held[i] = i % 2 ? gc_malloc(each) : gc_malloc_noscan(each);
        memset(held[i], 1, each);
    }
}

/* A collection may have come since the peak: the next one is due only when something was allocated after it. */
static NOINLINE void drop(void)
{
    memset(held, 0, sizeof held);
    launder(gc_malloc_noscan(100000));
    gc_clear_stack(64 * 1024);
}

/* 0 when RSS falls to `most` in time. */
static int falls_to(uint64_t most)
{
    for (int i = 0; i < WAIT_S * 20; i++) {
        if (resident() <= most)
            return 0;
        nap_ms(50);
    }
    dprintf(STDERR_FILENO, "[still %llu bytes, not %llu]\n", (unsigned long long)resident(), (unsigned long long)most);
    return 1;
}

static int give_back(void)
{
    uint64_t start = resident();
    peak(64 * MIB);
    if (resident() < start + 56 * MIB)
        return 2;
    drop();
    return falls_to(start + 8 * MIB);
}

/* Large objects that the program frees itself go back too, with no collection in between. */
static int give_back_freed(void)
{
    uint64_t start = resident();
    peak(128 * MIB);
    gc_disable();
    for (size_t i = 0; i < CHUNKS; i++)
        gc_free(held[i]);
    drop();
    return falls_to(start + 12 * MIB);
}

/* Not while collections are forbidden; then at once. */
static int wait_for_leave(void)
{
    uint64_t start = resident();
    struct gc_memstats st;
    peak(64 * MIB);
    gc_disable(); /* first: the next collection is due a second after the last one */
    uint64_t cycles = read_stats(&st)->num_gc;
    drop();
    nap_ms(2000);
    if (read_stats(&st)->num_gc != cycles || resident() < start + 60 * MIB)
        return 3;
    gc_enable();
    return falls_to(start + 8 * MIB);
}

static unsigned threads(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Wake-ups of all threads but the first. */
static unsigned long wakeups(void)
{
    unsigned long sum = 0;
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e; d && (e = readdir(d));) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", e->d_name);
        FILE *f = e->d_name[0] != '.' && atoi(e->d_name) != getpid() ? fopen(path, "r") : NULL;
        while (f && fgets(line, sizeof line, f)) {
            unsigned long n;
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
                sum += n;
        }
        if (f)
            fclose(f);
    }
    closedir(d);
    return sum;
}

/* .quiet: when all is given back, the threads of the library sleep. */
static int sleep_well(void)
{
    int late = give_back();
    if (late)
        return late;
    unsigned long before, after;
    for (int tries = 0; tries < 10; tries++) {
        before = wakeups();
        nap_ms(3000);
        after = wakeups();
        if (before == after)
            return threads() > 1 ? 0 : 4;
    }
    return 5;
}

/* And wake up again when there is something to do. */
static int wake_again(void)
{
    int failed = sleep_well();
    return failed ? failed : give_back();
}

static int stay_small(void)
{
    for (int i = 0; i < 100; i++)
        launder(gc_malloc(1000));
    return threads() == 1 ? 0 : 6;
}

static int keep(void)
{
    uint64_t start = resident();
    peak(64 * MIB);
    drop();
    nap_ms(2500);
    return resident() >= start + 60 * MIB && threads() <= 3 ? 0 : 7;
}

/* The child has no threads but its own, and starts those that it needs. */
static int child_too(void)
{
    peak(32 * MIB);
    drop();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(WAIT_S * 2);
        gc_release_memory();
        _exit(give_back());
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

/* MADV_FREE: the memory counts as released, though the system has not taken it. */
static int offer(void)
{
    struct gc_memstats st;
    peak(64 * MIB);
    drop();
    for (int i = 0; i < WAIT_S * 20; i++) {
        if (read_stats(&st)->heap_released >= 60 * MIB)
            break;
        nap_ms(50);
    }
    peak(64 * MIB); /* and is used again: zeros, whatever is there */
    for (size_t i = 1; i < CHUNKS; i += 2)
        check_zero(gc_malloc(32 * 1024), 32 * 1024);
    return st.heap_released >= 60 * MIB ? 0 : 9;
}

static int release_by_hand(void)
{
    uint64_t start = resident();
    peak(64 * MIB);
    drop();
    if (gc_release_memory() < 60 * MIB)
        return 10;
    return resident() <= start + 8 * MIB ? 0 : 11;
}

static const struct {
    const char *name, *debug;
    int (*play)(void);
} scenes[] = {
    {"give_back_freed", "scavenge=1", give_back_freed},
    {"wait_for_leave", "scavenge=1", wait_for_leave},
    {"wake_again", "scavenge=1", wake_again},
    {"stay_small", "scavenge=1", stay_small},
    {"keep", "scavenge=0", keep},
    {"child_too", "scavenge=1", child_too},
    {"offer", "scavenge=1,madvfree=1", offer},
    {"release_by_hand", "scavtrace=1,footprint=1", release_by_hand},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static int play(const char *scene)
{
    for (size_t i = 0; i < SCENES; i++)
        if (strcmp(scene, scenes[i].name) == 0)
            return scenes[i].play();
    return 99;
}

static void run(size_t i, struct outcome *o)
{
    char debug[80];
    snprintf(debug, sizeof debug, "SPANGC_DEBUG=%s", scenes[i].debug);
    const char *const env[] = {debug, NULL};
    run_scene(scenes[i].name, env, o);
    must_exit_0(o);
}

/* They mostly sleep: all at once. What they say goes to standard error. */
START_TEST(all)
{
    static char debug[SCENES][80];
    static pid_t pids[SCENES];
    char wrong[400] = "";
    for (size_t i = 0; i < SCENES; i++) {
        snprintf(debug[i], sizeof debug[i], "SPANGC_DEBUG=%s", scenes[i].debug);
        const char *const env[] = {debug[i], NULL};
        pids[i] = fork();
        if (pids[i] == 0) {
            alarm(3 * WAIT_S);
            exec_scene(&(struct scene){scenes[i].name, env});
        }
    }
    for (size_t i = 0; i < SCENES; i++) {
        int status = -1;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (status != 0)
            snprintf(wrong + strlen(wrong), sizeof wrong - strlen(wrong), " %s: status %#x", scenes[i].name, status);
    }
    if (wrong[0])
        ck_abort_msg("%s", wrong + 1);
}
END_TEST

/* A line for each look at free memory, and for each 16 MiB of footprint on the way up and down. */
START_TEST(lines)
{
    struct outcome o;
    run(SCENES - 1, &o);
    double at, ms;
    unsigned long long released, footprint, last = 0;
    const char *scav = strstr(o.text, "scav @");
    ck_assert_ptr_nonnull(scav);
    ck_assert_int_eq(
        sscanf(scav, "scav @%lfs: released %llu B in %lf ms, footprint %llu B", &at, &released, &ms, &footprint), 4);
    ck_assert_uint_ge(released, 60 * MIB);
    ck_assert_uint_lt(footprint, 16 * MIB);
    int up = 0, down = 0;
    for (char *line = strtok(o.text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long holds, objects;
        if (sscanf(line, "footprint @%lfs: %llu B held for %llu B of objects", &at, &holds, &objects) != 3)
            continue;
        up += holds / (16 * MIB) > last / (16 * MIB);
        down += holds / (16 * MIB) < last / (16 * MIB);
        last = holds;
    }
    ck_assert_int_ge(up, 4);
    ck_assert_int_ge(down, 1);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, all);
    tcase_add_test(tc, lines);
}

int main(int argc, char **argv) { return argc > 1 ? play(argv[1]) : check_main("api/idle", tests); }
