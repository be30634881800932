/* figures.c - what the library says it has from the system is what the kernel says that it has: gc_write_mappings and
 * gc_read_memstats against /proc/self/smaps. Holds mappings.once, sysmem.sum, and of the page heap that pages which were
 * never touched, or given back, count as released. */
#include "helpers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

enum { MOST = 8192, MIB = 1 << 20 };

struct range {
    uintptr_t lo, hi;
};
static struct range ours[MOST];
static size_t nours;

struct kernel_says {
    uint64_t size, rss; /* bytes of what is ours; rss without what may be freed lazily */
};

static void read_mappings(void)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(gc_write_mappings(fileno(f)), 0);
    rewind(f);
    unsigned long lo, hi;
    for (nours = 0; fscanf(f, "%lx-%lx\n", &lo, &hi) == 2; nours++) {
        ck_assert_uint_lt(nours, MOST);
        ck_assert_uint_lt(lo, hi);
        ours[nours] = (struct range){lo, hi};
    }
    ck_assert(feof(f));
    fclose(f);
}

/* Bytes of [lo, hi) that are ours and in memory, page by page: for a mapping that the kernel made one with another's. */
static uint64_t in_memory(uintptr_t lo, uintptr_t hi)
{
    static int fd = -1;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes = 0, word;
    if (fd < 0)
        fd = open("/proc/self/pagemap", O_RDONLY);
    for (uintptr_t at = lo; at < hi; at += page)
        if (pread(fd, &word, sizeof word, (off_t)(at / page * sizeof word)) == sizeof word)
            bytes += word >> 63 ? page : 0;
    return bytes;
}

/* Add what is ours of one mapping; `rss` is all of it. */
static void add_mapping(struct kernel_says *k, uintptr_t lo, uintptr_t hi, uint64_t rss)
{
    uint64_t size = 0, part = 0;
    for (size_t i = 0; i < nours; i++) {
        uintptr_t from = ours[i].lo > lo ? ours[i].lo : lo, to = ours[i].hi < hi ? ours[i].hi : hi;
        if (from >= to)
            continue;
        size += to - from;
        part += size < hi - lo ? in_memory(from, to) : 0;
    }
    k->size += size;
    k->rss += size == hi - lo ? rss : part;
}

static uint64_t bytes_of_ours(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < nours; i++)
        n += ours[i].hi - ours[i].lo;
    return n;
}

static struct kernel_says read_smaps(void)
{
    struct kernel_says k = {0};
    unsigned long lo = 0, hi = 0, kb, rss = 0, from, to;
    char line[512], mode[8] = "";
    FILE *f = fopen("/proc/self/smaps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Rss: %lu kB", &kb) == 1)
            rss = kb * 1024;
        else if (sscanf(line, "LazyFree: %lu kB", &kb) == 1)
            rss -= kb * 1024;
        else if (strncmp(line, "VmFlags:", 8) == 0 && strncmp(mode, "rw", 2) == 0)
            add_mapping(&k, lo, hi, rss);
        else if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3) {
            lo = from;
            hi = to;
        }
    }
    fclose(f);
    return k;
}

/* Before and after what is read takes time are the same figures, or it is read again: threads of the library's own may
 * take or give back memory. */
static struct kernel_says compare(struct gc_memstats *st)
{
    for (int i = 0; i < 100; i++) {
        struct gc_memstats after;
        struct kernel_says k;
        gc_read_memstats(st);
        read_mappings();
        k = read_smaps();
        gc_read_memstats(&after);
        if (st->sys == after.sys && st->heap_released == after.heap_released)
            return k;
    }
    ck_abort_msg("the figures never stand still");
}

/* The allowance is for what the tables between them have mapped and not touched, and the other way round. */
static void check_within(const char *when, unsigned percent)
{
    struct gc_memstats st;
    struct kernel_says k = compare(&st);
    uint64_t used = st.sys - st.heap_released;
    printf("# %s: sys %" PRIu64 ", of it released %" PRIu64 ", resident %" PRIu64 ", %zu mappings\n", when, st.sys,
           st.heap_released, k.rss, nours);
    ck_assert_uint_eq(bytes_of_ours(), st.sys);
    ck_assert_uint_eq(k.size, st.sys);
    ck_assert_uint_le(k.rss, used + MIB);
    ck_assert_uint_ge(k.rss, used - used / 100 * percent);
}

static void check(const char *when) { check_within(when, 100); }
static void check_close(const char *when) { check_within(when, 3); }

static void *volatile head;

static NOINLINE void hold(size_t bytes, size_t size)
{
    for (size_t n = 0; n < bytes; n += size) {
        void **p = gc_malloc(size);
        memset(p + 1, 0x80, size - sizeof *p);
        *p = head;
        head = p;
    }
}

static NOINLINE void drop(void)
{
    head = NULL;
    gc_clear_stack(65536);
}

START_TEST(from_start_to_end)
{
    gc_init();
    check("at the start");
    hold(3 << 20, 64);
    check("3 MiB of small objects");
    hold(300 << 20, 48);
    check_close("300 MiB of them");
    gc_collect();
    check_close("after a collection");
    hold(200 << 20, 300000);
    check_close("and 200 MiB of large ones");
    drop();
    gc_collect();
    check("all dropped");
    hold(20 << 20, 1000);
    check("20 MiB in their place");
    drop();
    gc_release_memory();
    check("all dropped and released");
    hold(100 << 20, 100);
    check_close("and taken again");
}
END_TEST

static void *churn_one(void *arg)
{
    churn(2000, 5000);
    return arg;
}

/* Other kinds: threads and their caches, stacks with guards, registered ranges, uncollectable objects. */
START_TEST(all_kinds)
{
    pthread_t t[8];
    static struct gc_stack *stacks[300];
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, churn_one, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    check("eight threads");
    for (int i = 0; i < 300; i++)
        ck_assert_ptr_nonnull(stacks[i] = gc_stack_alloc((size_t)65536 << i % 3));
    check("300 stacks");
    for (int i = 0; i < 300; i++)
        gc_stack_free(stacks[i]);
    check("none of them");
    char *ranges = malloc(64000); /* the table of ranges is outgrown, and goes back */
    for (size_t i = 0; i < 64000; i += 16)
        ck_assert_int_eq(gc_add_roots(ranges + i, ranges + i + 8), 0);
    for (int i = 0; i < 1000; i++)
        launder(gc_malloc_uncollectable(1000));
    check("ranges, uncollectable objects");
}
END_TEST

START_TEST(not_a_file)
{
    errno = 0;
    ck_assert_int_eq(gc_write_mappings(-1), -1);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, from_start_to_end);
    tcase_add_test(tc, all_kinds);
    tcase_add_test(tc, not_a_file);
}

CHECK_MAIN("api/figures", tests)
