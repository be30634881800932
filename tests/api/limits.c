/* limits.c - the memory limit bounds what the library holds while what is live fits, and is not the program's end when it
 * does not; "auto" is nine tenths of the control group's, on a made-up tree and on a real one. Each scene is a process of
 * its own. Holds pacer.half. */
#include "helpers.h"
#undef NOINLINE

#include "os/os.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { MIB = 1 << 20 };

static uint64_t random_state = UINT64_C(88172645463325252);
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

enum { SLOTS = 1 << 16 };
static struct {
    char *p;
    size_t size;
} held[SLOTS];
static size_t live, most_rss;

static NOINLINE void replace(size_t slot, size_t size)
{
    live -= held[slot].size;
    held[slot].p = NULL;
    held[slot].p = slot % 2 ? gc_malloc(size) : gc_malloc_noscan(size);
    if (!held[slot].p)
        abort();
    memset(held[slot].p, 1, size);
    held[slot].size = size;
    live += size;
}

/* Random sizes about `size` in random slots, while about `keep` bytes are live; `all` bytes are allocated. */
static NOINLINE void work(size_t size, size_t keep, size_t all)
{
    size_t slots = keep / size < SLOTS ? keep / size : SLOTS;
    for (size_t done = 0, last = 0; done < all;) {
        size_t n = size / 2 + next_random() % size, slot = next_random() % slots;
        replace(slot, n);
        done += n;
        if (done - last < MIB)
            continue;
        last = done;
        size_t now = resident();
        most_rss = now > most_rss ? now : most_rss;
    }
}

static NOINLINE void drop_all(void)
{
    memset(held, 0, sizeof held);
    live = 0;
}

static const size_t sizes[] = {900, 20000, 100, 300000, 3000, 64};

static int stay_within(void)
{
    size_t start = resident(), limit = gc_get_memory_limit();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        work(sizes[i], limit / 3, limit * (checks_full() || sanitizer_is("") ? 1 : 6));
        drop_all();
    }
    size_t most = limit + limit / 50;
    if (sanitizer_is("address")) /* a byte of shadow for eight */
        most += limit / 8;
    if (most_rss - start <= most)
        return 0;
    dprintf(STDERR_FILENO, "[%zu bytes above the start, limit %zu]\n", most_rss - start, limit);
    return 1;
}

/* What is live is twice the limit: the heap grows, and half of the time is the program's. */
static int outgrow(void)
{
    struct gc_memstats st;
    work(1000, 2 * gc_get_memory_limit(), 40 * gc_get_memory_limit());
    read_stats(&st);
    dprintf(STDERR_FILENO, "[collector's share %.2f, %llu cycles]\n", st.gc_cpu_fraction,
            (unsigned long long)st.num_gc);
    /* With full checks a collection takes so long that even double the heap is not enough. */
    return st.num_gc < 3 ? 2 : st.gc_cpu_fraction > (checks_full() ? 0.9 : 0.6) ? 3 : 0;
}

static int almost_none(void)
{
    work(500, 4 * MIB, 64 * MIB);
    gc_set_memory_limit(1);
    work(500, 4 * MIB, 64 * MIB);
    return gc_get_memory_limit() == 1 ? 0 : 4;
}

/* ---- auto ---- */

static char tree[64];

static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", tree, path);
    for (char *slash = full + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *f = text ? fopen(full, "w") : NULL;
    if (!text) {
        unlink(full);
        return;
    }
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static int is_limit(uint64_t want)
{
    gc_collect();
    if (gc_get_memory_limit() == want)
        return 0;
    dprintf(STDERR_FILENO, "[limit %llu, not %llu]\n", (unsigned long long)gc_get_memory_limit(),
            (unsigned long long)want);
    return 1;
}

/* The limit once the file says that; NULL: once it is gone. */
static int leads_to(const char *path, const char *text, uint64_t want)
{
    put(path, text);
    return is_limit(want);
}

static int follow_v2(void)
{
    static const char file[] = "/sys/fs/cgroup/box/memory.max";
    int wrong = 0;
    put("/proc/self/cgroup", "0::/box\n");
    put(file, "1000000000\n");
    os_cgroup_set_tree(tree);
    wrong += is_limit(900000000);
    wrong += leads_to(file, "2000000000\n", 1800000000);
    wrong += leads_to("/sys/fs/cgroup/memory.max", "500000000\n", 450000000); /* of the group above */
    put("/sys/fs/cgroup/memory.max", "max\n");
    wrong += leads_to(file, "max\n", GC_SPAN_LIMIT_NONE);
    wrong += leads_to(file, "nonsense\n", GC_SPAN_LIMIT_NONE);
    wrong += leads_to(file, "-1\n", GC_SPAN_LIMIT_NONE);
    wrong += leads_to(file, NULL, GC_SPAN_LIMIT_NONE);
    wrong += leads_to("/proc/self/cgroup", NULL, GC_SPAN_LIMIT_NONE);
    return wrong;
}

static int follow_v1(void)
{
    static const char file[] = "/sys/fs/cgroup/memory/box/memory.limit_in_bytes";
    int wrong = 0;
    put("/proc/self/cgroup", "4:memory:/box\n0::/\n");
    put(file, "1000000000\n");
    os_cgroup_set_tree(tree);
    wrong += is_limit(900000000);
    wrong += leads_to(file, "9223372036854771712\n", GC_SPAN_LIMIT_NONE);
    wrong += leads_to(file, "3000000\n", 2700000); /* less than is held: no reason to fail */
    work(500, 4 * MIB, 32 * MIB);
    gc_set_memory_limit(77000000); /* the program's word counts from here on */
    wrong += is_limit(77000000);
    return wrong;
}

/* Reading the group's files is no point of cancellation: the thread would end with the locks of a collection. */
static void *cancelled(void *collected)
{
    pthread_cancel(pthread_self());
    for (int i = 0; i < 10; i++)
        gc_collect();
    *(_Atomic bool *)collected = true;
    pthread_testcancel();
    return NULL;
}

static int collect_cancelled(void)
{
    _Atomic bool collected = false;
    pthread_t t;
    void *result;
    if (pthread_create(&t, NULL, cancelled, (void *)&collected) != 0 || pthread_join(t, &result) != 0)
        abort();
    gc_collect();
    return collected && result == PTHREAD_CANCELED ? 0 : 6;
}

/* Live and garbage in a group that kills who takes too much. */
static int survive(void)
{
    uint64_t limit = gc_get_memory_limit();
    if (limit != UINT64_C(200) * MIB / 10 * 9)
        return 5;
    work(5000, 100 * MIB, (checks_full() ? 500 : 1500) * (size_t)MIB);
    return 0;
}

static const struct {
    const char *name, *limit, *percent;
    int (*play)(void);
} scenes[] = {
    {"stay_within", "96MiB", "100", stay_within},
    {"stay_within_large", "160MiB", "400", stay_within},
    {"stay_within_only", "96MiB", "off", stay_within},
    {"outgrow", "16MiB", "100", outgrow},
    {"outgrow_only", "16MiB", "off", outgrow},
    {"almost_none", "1", "100", almost_none},
    {"follow_v2", "auto", "100", follow_v2},
    {"follow_v1", "auto", "100", follow_v1},
    {"collect_cancelled", "auto", "100", collect_cancelled},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static int play(const char *scene)
{
    const char *dir = getenv("LIMITS_TREE");
    snprintf(tree, sizeof tree, "%s", dir ? dir : "");
    if (strcmp(scene, "survive") == 0)
        return survive();
    for (size_t i = 0; i < SCENES; i++)
        if (strcmp(scene, scenes[i].name) == 0)
            return scenes[i].play();
    return 99;
}

START_TEST(scene)
{
    struct outcome o;
    char limit[64], percent[64], dir[] = "/tmp/spangc-limits-XXXXXX", at[80];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(limit, sizeof limit, "SPANGC_MEMLIMIT=%s", scenes[_i].limit);
    snprintf(percent, sizeof percent, "SPANGC_PERCENT=%s", scenes[_i].percent);
    snprintf(at, sizeof at, "LIMITS_TREE=%s", dir);
    const char *const env[] = {limit, percent, at, NULL};
    run_scene(scenes[_i].name, env, &o);
    char remove[80];
    snprintf(remove, sizeof remove, "rm -rf %s", dir);
    ck_assert_int_eq(system(remove), 0);
    must_exit_0(&o);
}
END_TEST

/* ---- a real control group ---- */

/* The group of this process, version 1 or 2, as a directory. */
static bool own_group(char *dir, size_t size, bool *v1)
{
    char line[512];
    bool found = false;
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *path = strchr(line, ':') ? strchr(strchr(line, ':') + 1, ':') : NULL;
        if (!path)
            continue;
        *v1 = strstr(line, ":memory:") != NULL;
        bool v2 = strncmp(line, "0::", 3) == 0 && access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0;
        snprintf(dir, size, "/sys/fs/cgroup%s%s", *v1 ? "/memory" : "", path + 1);
        found = *v1 || v2;
    }
    if (f)
        fclose(f);
    return found;
}

static bool write_to(const char *dir, const char *file, const char *text)
{
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    bool ok = fputs(text, f) >= 0;
    return fclose(f) == 0 && ok;
}

static char group[700];

static void enter_and_survive(void *unused)
{
    (void)unused;
    char pid[32];
    snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (!write_to(group, "cgroup.procs", pid))
        _exit(98);
    exec_scene(&(struct scene){"survive", (const char *const[]){"SPANGC_MEMLIMIT=auto", "SPANGC_PERCENT=1000", NULL}});
}

/* Where the test may make one: as root, and not where the tree is read-only. */
START_TEST(real_group)
{
    char own[512];
    bool v1 = false;
    struct outcome o;
    if (!own_group(own, sizeof own, &v1))
        return;
    snprintf(group, sizeof group, "%s/spangc-test-%d", own, (int)getpid());
    if (mkdir(group, 0755) != 0)
        return;
    if (write_to(group, v1 ? "memory.limit_in_bytes" : "memory.max", "209715200\n"))
        run_child(enter_and_survive, NULL, &o);
    else
        o = (struct outcome){0};
    for (int i = 0; i < 100 && rmdir(group) != 0; i++)
        usleep(20000);
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 98)
        return;
    must_exit_0(&o);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_loop_test(tc, scene, 0, SCENES);
    tcase_add_test(tc, real_group);
}

int main(int argc, char **argv) { return argc > 1 ? play(argv[1]) : check_main("api/limits", tests); }
