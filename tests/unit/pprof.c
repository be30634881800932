/* pprof.c - a heap profile for pprof, read back by a decoder of its own. What the library allocates and writes is counted
 * on the way, and refused on request (the linker's --wrap). */
#include "../check_main.h"

#include "base/attr.h"
#include "watch/pprof.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- what can fail: the call of that number, from 1, counted down */

static int memory_left = INT_MAX, writes_left = INT_MAX, calls_after_failure;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_deflateInit2_(z_streamp z, int level, int method, int bits, int mem, int strategy, const char *v, int size);
bool __real_report_write(int fd, const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_deflateInit2_(z_streamp z, int level, int method, int bits, int mem, int strategy, const char *v, int size);
bool __wrap_report_write(int fd, const char *text, size_t n);

static bool no_memory(void) { return memory_left != INT_MAX && --memory_left == 0; }
void *__wrap_malloc(size_t n) { return no_memory() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return no_memory() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return no_memory() ? NULL : __real_realloc(p, n); }

int __wrap_deflateInit2_(z_streamp z, int level, int method, int bits, int mem, int strategy, const char *v, int size)
{
    return no_memory() ? Z_MEM_ERROR : __real_deflateInit2_(z, level, method, bits, mem, strategy, v, size);
}

bool __wrap_report_write(int fd, const char *text, size_t n)
{
    if (n > 0 && writes_left != INT_MAX) {
        calls_after_failure += writes_left <= 0;
        if (--writes_left == 0) {
            errno = EDQUOT;
            return false;
        }
    }
    return __real_report_write(fd, text, n);
}

/* ---- the decoder */

struct span {
    const unsigned char *at, *end;
};

struct value_type {
    uint64_t type, unit;
};

struct sample {
    struct span stack;
    int64_t values[4];
    size_t n_values, n_labels;
    uint64_t key, num, num_unit;
};

struct mapping {
    uint64_t id, start, limit, offset, file, build_id;
};

struct location {
    uint64_t id, mapping, address, function;
};

struct function {
    uint64_t id, name, system_name;
};

enum { MAX_SAMPLES = 40000, MAX_STRINGS = 100, MAX_OTHERS = 50 };
static unsigned char file[4 << 20];
static struct {
    struct value_type types[MAX_OTHERS], period_type;
    struct sample samples[MAX_SAMPLES];
    struct mapping mappings[MAX_OTHERS];
    struct location locations[MAX_SAMPLES];
    struct function functions[MAX_OTHERS];
    char strings[MAX_STRINGS][PATH_MAX];
    size_t n_types, n_samples, n_mappings, n_locations, n_functions, n_strings;
    uint64_t period, time, duration, default_type;
} got;

static uint64_t varint(struct span *s)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (s->at == s->end || shift > 63)
            ck_abort_msg("a number that does not end");
        unsigned char byte = *s->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
}

/* The next field's number; its contents are *v or *bytes. 0 at the end. */
static unsigned next(struct span *s, uint64_t *v, struct span *bytes)
{
    if (s->at == s->end)
        return 0;
    uint64_t tag = varint(s);
    *v = varint(s);
    *bytes = (struct span){NULL, NULL};
    if ((tag & 7) == 2) {
        if (*v > (uint64_t)(s->end - s->at))
            ck_abort_msg("a field longer than its message");
        *bytes = (struct span){s->at, s->at + *v};
        s->at += *v;
    } else if ((tag & 7) != 0) {
        ck_abort_msg("wire type %d", (int)(tag & 7));
    }
    return (unsigned)(tag >> 3);
}

/* A message all of whose fields are numbers: field i to to[i - 1]. */
static void numbers(struct span s, uint64_t *to, unsigned n)
{
    uint64_t v;
    struct span bytes;
    for (unsigned field; (field = next(&s, &v, &bytes)) != 0; to[field - 1] = v)
        if (field > n || bytes.at)
            ck_abort_msg("field %u is not one of %u numbers", field, n);
}

static void read_sample(struct span s, struct sample *to)
{
    uint64_t v, label[4] = {0};
    struct span bytes;
    for (unsigned field; (field = next(&s, &v, &bytes)) != 0;) {
        if (field == 1)
            to->stack = bytes;
        else if (field == 2)
            for (; bytes.at < bytes.end && to->n_values < 4; to->n_values++)
                to->values[to->n_values] = (int64_t)varint(&bytes);
        else if (field == 3 && ++to->n_labels)
            numbers(bytes, label, 4);
        else
            ck_abort_msg("field %u of a sample", field);
    }
    ck_assert(to->n_values == 4 && label[1] == 0);
    to->key = label[0];
    to->num = label[2];
    to->num_unit = label[3];
}

static void read_location(struct span s, struct location *to)
{
    uint64_t v, *fields[] = {&to->id, &to->mapping, &to->address};
    struct span bytes;
    for (unsigned field; (field = next(&s, &v, &bytes)) != 0;)
        if (field == 4)
            numbers(bytes, &to->function, 1);
        else
            *fields[field - 1] = v;
}

#define NEXT(what, max) (got.n_##what < (max) ? &got.what[got.n_##what++] : (ck_abort_msg("too many " #what), NULL))

static void read_field(unsigned field, uint64_t v, struct span bytes)
{
    switch (field) {
    case 1:
        numbers(bytes, (uint64_t *)NEXT(types, MAX_OTHERS), 2);
        break;
    case 2:
        read_sample(bytes, NEXT(samples, MAX_SAMPLES));
        break;
    case 3:
        numbers(bytes, (uint64_t *)NEXT(mappings, MAX_OTHERS), 6);
        break;
    case 4:
        read_location(bytes, NEXT(locations, MAX_SAMPLES));
        break;
    case 5:
        numbers(bytes, (uint64_t *)NEXT(functions, MAX_OTHERS), 3);
        break;
    case 6:
        memcpy(NEXT(strings, MAX_STRINGS), bytes.at, v);
        break;
    case 9:
        got.time = v;
        break;
    case 10:
        got.duration = v;
        break;
    case 11:
        numbers(bytes, &got.period_type.type, 2);
        break;
    case 12:
        got.period = v;
        break;
    case 14:
        got.default_type = v;
        break;
    default:
        ck_abort_msg("field %u of a profile", field);
    }
}

/* Numbers of their order, each thing once. */
static void check_tables(void)
{
    ck_assert_str_eq(got.strings[0], "");
    for (size_t i = 0; i < got.n_strings; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(got.strings[i], got.strings[j]);
    for (size_t i = 0; i < got.n_mappings; i++)
        ck_assert_uint_eq(got.mappings[i].id, i + 1);
    for (size_t i = 0; i < got.n_functions; i++)
        ck_assert_uint_eq(got.functions[i].id, i + 1);
    for (size_t i = 0; i < got.n_locations; i++)
        if (got.locations[i].id != i + 1 || got.locations[i].mapping > got.n_mappings ||
            got.locations[i].function > got.n_functions)
            ck_abort_msg("location %zu", i);
}

static int temporary(void)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    return fileno(f);
}

static void read_profile(int fd)
{
    unsigned char magic[2];
    ck_assert_int_eq(pread(fd, magic, 2, 0), 2);
    ck_assert(magic[0] == 0x1f && magic[1] == 0x8b);
    lseek(fd, 0, SEEK_SET);
    gzFile z = gzdopen(fd, "rb");
    int n = gzread(z, file, sizeof file);
    ck_assert(n > 0 && n < (int)sizeof file);
    ck_assert_int_eq(gzclose(z), Z_OK);
    struct span all = {file, file + n}, bytes;
    uint64_t v;
    for (unsigned field; (field = next(&all, &v, &bytes)) != 0;)
        read_field(field, v, bytes);
    check_tables();
}

/* The address of a sample's i-th location, 0 being the innermost. */
static const struct location *place(size_t sample, size_t i)
{
    struct span stack = got.samples[sample].stack;
    uint64_t id = varint(&stack);
    while (i-- > 0)
        id = varint(&stack);
    ck_assert(id >= 1 && id <= got.n_locations);
    return &got.locations[id - 1];
}

static size_t depth(size_t sample)
{
    struct span stack = got.samples[sample].stack;
    size_t n = 0;
    for (; stack.at < stack.end; n++)
        varint(&stack);
    return n;
}

/* ---- the tests */

static void in_the_program(void) {}
static uintptr_t of_program(void) { return (uintptr_t)in_the_program; }
static uintptr_t of_libc(void) { return (uintptr_t)dlsym(RTLD_DEFAULT, "getenv"); }

static void write_records(int fd, const struct pprof_record *r, size_t n)
{
    struct pprof *p = pprof_begin(fd, 4096, 5, 6);
    for (size_t i = 0; i < n; i++)
        pprof_record(p, &r[i]);
    ck_assert_int_eq(pprof_end(p), 0);
    read_profile(fd);
    ck_assert_uint_eq(got.n_samples, n);
}

static void check_type(struct value_type t, const char *type, const char *unit)
{
    ck_assert_str_eq(got.strings[t.type], type);
    ck_assert_str_eq(got.strings[t.unit], unit);
}

START_TEST(head)
{
    write_records(temporary(), NULL, 0);
    ck_assert_uint_eq(got.n_types, 4);
    check_type(got.types[0], "alloc_objects", "count");
    check_type(got.types[1], "alloc_space", "bytes");
    check_type(got.types[2], "inuse_objects", "count");
    check_type(got.types[3], "inuse_space", "bytes");
    check_type(got.period_type, "space", "bytes");
    ck_assert_str_eq(got.strings[got.default_type], "inuse_space");
    ck_assert(got.period == 4096 && got.time == 5 && got.duration == 6);
    ck_assert_uint_eq(got.n_mappings, 1);
    ck_assert_uint_eq(got.n_locations + got.n_functions, 0);
}
END_TEST

START_TEST(records)
{
    const uintptr_t stack[] = {0x1001, 0x2001, of_program() + 1}, other[] = {0x2001, 0};
    const struct pprof_record r[] = {{stack, 3, 300, 4800, 200, 3200, 16},
                                     {other, 2, 1, UINT64_C(1) << 40, 0, 0, UINT64_C(1) << 40},
                                     {stack, 1, UINT64_MAX, UINT64_MAX, 0, 0, 0}};
    const int64_t values[3][4] = {{300, 4800, 200, 3200}, {1, INT64_C(1) << 40, 0, 0}, {INT64_MAX, INT64_MAX, 0, 0}};
    write_records(temporary(), r, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_mem_eq(got.samples[i].values, values[i], sizeof values[i]);
        ck_assert_uint_eq(depth(i), r[i].depth);
        ck_assert_uint_eq(got.samples[i].n_labels, r[i].object_bytes != 0);
        for (size_t j = 0; j < r[i].depth; j++)
            ck_assert_uint_eq(place(i, j)->address, r[i].stack[j] ? r[i].stack[j] - 1 : 0);
    }
    ck_assert_uint_eq(got.samples[0].num, 16);
    ck_assert_uint_eq(got.samples[1].num, UINT64_C(1) << 40);
    ck_assert_str_eq(got.strings[got.samples[0].key], "bytes");
    ck_assert_str_eq(got.strings[got.samples[0].num_unit], "bytes");
    ck_assert_uint_eq(got.n_locations, 4);
}
END_TEST

/* pprof does not show a sample without any location. */
START_TEST(no_stack)
{
    const struct pprof_record r = {NULL, 0, 1, 16, 1, 16, 16};
    write_records(temporary(), &r, 1);
    ck_assert_uint_eq(depth(0), 1);
    ck_assert_uint_eq(place(0, 0)->address + place(0, 0)->mapping + place(0, 0)->function, 0);
}
END_TEST

/* The build id of the first image, the program, in hex; "" without one. */
static int read_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
    char *to = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        const unsigned char *note = (const unsigned char *)(info->dlpi_addr + ph->p_vaddr);
        for (size_t at = 0; ph->p_type == PT_NOTE && ph->p_align == 4 && at + 16 <= ph->p_memsz;) {
            ElfW(Nhdr) n;
            memcpy(&n, note + at, sizeof n);
            if (n.n_type == NT_GNU_BUILD_ID && memcmp(note + at + sizeof n, "GNU", 4) == 0)
                for (size_t b = 0; b < n.n_descsz; b++)
                    to += sprintf(to, "%02x", note[at + sizeof n + 4 + b]);
            at += sizeof n + round_up(n.n_namesz, 4) + round_up(n.n_descsz, 4);
        }
    }
    return 1;
}

static bool covers(const struct mapping *m, uintptr_t address)
{
    return m->start <= address && address < m->limit && m->offset < m->limit;
}

START_TEST(mappings)
{
    char exe[PATH_MAX] = "", build_id[200] = "";
    const uintptr_t stack[] = {of_libc() + 2, of_libc() + 3, of_program() + 1, 0x10};
    const struct pprof_record r[] = {{stack, 4, 1, 1, 1, 1, 1}};
    ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof exe - 1), 0);
    dl_iterate_phdr(read_build_id, build_id);
    write_records(temporary(), r, 1);

    ck_assert_uint_eq(got.n_mappings, 2); /* and not those of libz and libunwind */
    ck_assert(covers(&got.mappings[0], of_program()) && covers(&got.mappings[1], of_libc()));
    ck_assert_str_eq(got.strings[got.mappings[0].file], exe);
    ck_assert_str_eq(got.strings[got.mappings[0].build_id], build_id);
    ck_assert_ptr_nonnull(strstr(got.strings[got.mappings[1].file], "libc"));
    ck_assert_uint_eq(place(0, 0)->mapping, 2);
    ck_assert_uint_eq(place(0, 1)->mapping, 2);
    ck_assert_uint_eq(place(0, 2)->mapping, 1);
    ck_assert_uint_eq(place(0, 3)->mapping, 0);
}
END_TEST

START_TEST(functions)
{
    const uintptr_t stack[] = {of_libc() + 2, of_libc() + 3, of_program() + 1};
    const struct pprof_record r[] = {{stack, 3, 1, 1, 1, 1, 1}};
    write_records(temporary(), r, 1);
    ck_assert_uint_eq(got.n_functions, 1);
    ck_assert_str_eq(got.strings[got.functions[0].name], "getenv");
    ck_assert_uint_eq(got.functions[0].system_name, got.functions[0].name);
    ck_assert_uint_eq(place(0, 0)->function, 1);
    ck_assert_uint_eq(place(0, 1)->function, 1);
    ck_assert_uint_eq(place(0, 2)->function, 0); /* it is not exported */
}
END_TEST

enum { MANY = 30000, SOME = 4000 };

static int write_many(int fd, size_t n)
{
    struct pprof *p = pprof_begin(fd, 1, 1, 1);
    for (size_t i = 0; i < n; i++) {
        const uintptr_t stack[] = {(i + 1) * 48271 * 48271 % 2147483647 * 64 + 1, (i % 7) * 4096 + 1};
        const struct pprof_record r = {stack, 2, i, 1, 1, 1, 1};
        pprof_record(p, &r);
    }
    return pprof_end(p);
}

START_TEST(many)
{
    int fd = temporary();
    ck_assert_int_eq(write_many(fd, MANY), 0);
    read_profile(fd);
    ck_assert_uint_eq(got.n_samples, MANY);
    ck_assert_uint_eq(got.n_locations, MANY + 7);
    for (size_t i = 0; i < MANY; i++)
        if (got.samples[i].values[0] != (int64_t)i || place(i, 1)->address != (i % 7) * 4096 ||
            place(i, 0)->address != (i + 1) * 48271 * 48271 % 2147483647 * 64)
            ck_abort_msg("sample %zu", i);
}
END_TEST

static void check_error(int fd, int error, size_t n)
{
    errno = 0;
    ck_assert_int_eq(write_many(fd, n), -1);
    ck_assert_int_eq(errno, error);
}

START_TEST(cannot_be_written)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    for (size_t n = 0; n <= SOME; n += SOME) {
        check_error(open("/dev/full", O_WRONLY), ENOSPC, n);
        check_error(-1, EBADF, n);
        check_error(ends[1], EPIPE, n);
    }
}
END_TEST

/* pprof.fails, gzip.first: each write in turn, and none after it. */
START_TEST(each_write_fails)
{
    int writes = 0;
    for (;; writes++) {
        writes_left = writes + 1;
        if (write_many(temporary(), SOME) == 0)
            break;
        ck_assert_int_eq(errno, EDQUOT);
    }
    ck_assert_int_eq(calls_after_failure, 0);
    ck_assert_int_gt(writes, 3);
}
END_TEST

/* protobuf.whole: each allocation in turn. */
START_TEST(each_allocation_fails)
{
    int fd = temporary(), calls = 0, result;
    do {
        memory_left = ++calls;
        result = write_many(fd, 100);
        bool refused = memory_left <= 0;
        memory_left = INT_MAX;
        if ((result != 0) != refused || (refused && errno != ENOMEM))
            ck_abort_msg("allocation %d: %d, errno %d", calls, result, errno);
    } while (result != 0);
    ck_assert_int_gt(calls, 10);
    errno = 0;
    ck_assert_int_eq(pprof_end(NULL), -1);
    ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, head);
    tcase_add_test(tc, records);
    tcase_add_test(tc, no_stack);
    tcase_add_test(tc, mappings);
    tcase_add_test(tc, functions);
    tcase_add_test(tc, many);
    tcase_add_test(tc, cannot_be_written);
    tcase_add_test(tc, each_write_fails);
    tcase_add_test(tc, each_allocation_fails);
}
CHECK_MAIN("unit/pprof", tests)
