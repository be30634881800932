/* os_symbols.c - names for addresses of every kind, and what is said of addresses that have none. What needs libdw is
 * asked for where it can be opened, and lines where the program was compiled with them. */
#include "../api/place_lib.h"
#include "../check_main.h"

#include "config.h"

#include "os/os.h"
#include "os/os_real.h"
#include "os/os_symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct os_symbol s;

static bool have_libdw(void)
{
#ifdef HAVE_ELFUTILS_LIBDWFL_H
    void *lib = dlopen("libdw.so.1", RTLD_NOW);
    return lib && dlclose(lib) == 0;
#else
    return false;
#endif
}

static char *own_path(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    ck_assert_int_gt(n, 0);
    path[n] = '\0';
    return path;
}

/* The contents of a section of a file, of at most `max` bytes; and its size, or -1. */
static long section_of(const char *path, const char *name, unsigned char *contents, size_t max)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(fstat(fd, &st), 0);
    const char *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne((void *)(uintptr_t)file, MAP_FAILED);
    close(fd);
    const ElfW(Ehdr) *head = (const void *)file;
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    const char *names = file + sections[head->e_shstrndx].sh_offset;
    long size = -1;
    for (int i = 0; i < head->e_shnum; i++)
        if (strcmp(names + sections[i].sh_name, name) == 0) {
            size = (long)sections[i].sh_size;
            if (max > 0)
                memcpy(contents, file + sections[i].sh_offset, (size_t)size < max ? (size_t)size : max);
        }
    munmap((void *)(uintptr_t)file, (size_t)st.st_size);
    return size;
}

static bool has_lines(void) { return section_of(own_path(), ".debug_line", NULL, 0) > 0; }

static const char *end_of(const char *text, size_t n)
{
    size_t length = strlen(text);
    return length < n ? text : text + length - n;
}

static void *object_at(uintptr_t p, Dl_info *info)
{
    ck_assert_int_ne(dladdr((void *)p, info), 0);
    return info->dli_fbase;
}

/* What is looked for. */
static int static_function(int n) { return n * 3; }
enum { STATIC_FUNCTION_LINE = __LINE__ - 1 };

static int static_array[100] = {1};
static int static_bss[100];
static _Thread_local int thread_before[7];
static _Thread_local int thread_array[10] = {1};
_Thread_local int thread_after;
int exported_by_none[3] = {1};
static int elsewhere(int n);

/* As in assembler: names without sizes; a name with one, and nothing after it; a number that is no address. */
extern char sizeless_data[], sizeless_code[], sized_data[];
__asm__(".pushsection .data\n.balign 16\n.hidden sizeless_data, sized_data\n.globl sizeless_data, sized_data\n"
        "sizeless_data: .zero 64\n"
        ".type sized_data, %object\n.size sized_data, 8\nsized_data: .zero 64\n.popsection\n"
        ".pushsection .text\n.balign 16\n.hidden sizeless_code\n.globl sizeless_code\n"
        ".type sizeless_code, %function\nsizeless_code: .zero 64\n.popsection\n"
        ".globl absolute_number\n.type absolute_number, %object\n.set absolute_number, 0\n"
        ".size absolute_number, 10000\n");

/* What the compiler may not see through. */
static uintptr_t hide(const void *p)
{
    __asm__ volatile("" : "+r"(p));
    return (uintptr_t)p;
}
#define CODE(fn) hide((const void *)(uintptr_t)(fn))

static void nothing_is_known(bool in_image)
{
    ck_assert_str_eq(s.name, "");
    ck_assert_str_eq(s.file, "");
    ck_assert_uint_eq(s.offset, 0);
    ck_assert_uint_eq(s.line, 0);
    if (!in_image) {
        ck_assert_str_eq(s.image, "");
        ck_assert_uint_eq(s.image_offset, 0);
    }
}

static void ask_code(uintptr_t p)
{
    memset(&s, 'x', sizeof s);
    errno = ENOTTY;
    os_symbol_of_code(p, &s);
    ck_assert_int_eq(errno, ENOTTY);
}

static void ask_data(uintptr_t p)
{
    memset(&s, 'x', sizeof s);
    errno = ENOTTY;
    os_symbol_of_data(p, &s);
    ck_assert_int_eq(errno, ENOTTY);
}

static void check_place(uintptr_t p, const char *image)
{
    Dl_info info;
    ck_assert_str_eq(s.image, image);
    ck_assert_uint_eq(s.image_offset, p - (uintptr_t)object_at(p, &info));
}

/* .inside: of a function of the C library that no sanitizer stands before, at both ends, and not one past. */
START_TEST(exported_function)
{
    Dl_info info;
    void *sym;
    uintptr_t p = hide(dlsym(RTLD_DEFAULT, "getsubopt"));
    ck_assert_int_ne(dladdr1((void *)p, &info, &sym, RTLD_DL_SYMENT), 0);
    size_t size = ((const ElfW(Sym) *)sym)->st_size;
    ck_assert_uint_gt(size, 1);
    ck_assert_str_eq(os_symbol_exported(p), "getsubopt");
    ck_assert_str_eq(os_symbol_exported(p + size - 1), "getsubopt");
    const char *past = os_symbol_exported(p + size);
    ck_assert(past == NULL || strcmp(past, "getsubopt") != 0);
    ask_code(p + 1);
    ck_assert_str_eq(s.name, "getsubopt");
    ck_assert_uint_eq(s.offset, 1);
    check_place(p + 1, info.dli_fname);
}
END_TEST

START_TEST(exported_variable)
{
    Dl_info info;
    uintptr_t p = hide(dlsym(RTLD_DEFAULT, "_IO_2_1_stdout_")) + 8;
    ask_data(p);
    ck_assert_str_eq(s.name, "_IO_2_1_stdout_");
    ck_assert_uint_eq(s.offset, 8);
    object_at(p, &info);
    check_place(p, info.dli_fname);
}
END_TEST

/* .inside: the program exports some names, and none of them is that of a static function near it. */
START_TEST(static_names_are_not_exported)
{
    ck_assert_ptr_null(os_symbol_exported(CODE(static_function)));
    ck_assert_ptr_null(os_symbol_exported(hide(&static_array[5])));
    ck_assert_ptr_null(os_symbol_exported(1));
    ck_assert_ptr_null(os_symbol_exported(UINTPTR_MAX));
}
END_TEST

START_TEST(image_of_the_program)
{
    uintptr_t p = CODE(static_function);
    ask_code(p);
    check_place(p, own_path());
    p = hide(&static_array[5]);
    ask_data(p);
    check_place(p, own_path());
}
END_TEST

START_TEST(function)
{
    ck_assert_int_eq(static_function(2), 6);
    ask_code(CODE(static_function));
    ck_assert_str_eq(s.name, "static_function");
    ck_assert_uint_eq(s.offset, 0);
    if (has_lines()) {
        ck_assert_uint_eq(s.line, STATIC_FUNCTION_LINE);
        ck_assert_str_eq(s.file, __FILE__); /* without the folder that it was compiled in */
    }
    ask_code(CODE(static_function) + 1);
    ck_assert_str_eq(s.name, "static_function");
    ck_assert_uint_eq(s.offset, 1);
    ask_code(CODE(os_symbols_end));
    ck_assert_str_eq(s.name, "os_symbols_end");
    if (has_lines())
        ck_assert_str_eq(end_of(s.file, 18), "os_symbols_linux.c");
}
END_TEST

/* The compiler is told no folder, libdw finds the one that was compiled in: that is left out. */
START_TEST(file_without_folder)
{
    if (!has_lines())
        return;
    ask_code(CODE(elsewhere));
    ck_assert_str_eq(s.file, "no_folder.c");
    ck_assert_uint_eq(s.line, 1000);
}
END_TEST

static void is_data(uintptr_t p, const char *name, uintptr_t offset)
{
    ask_data(p);
    ck_assert_str_eq(s.name, name);
    ck_assert_uint_eq(s.offset, offset);
    ck_assert_str_eq(s.file, "");
    ck_assert_uint_eq(s.line, 0);
}

START_TEST(variables)
{
    is_data(hide(&static_array[5]), "static_array", 20);
    is_data(hide(&static_array[100]) - 1, "static_array", 399);
    is_data(hide(&static_bss[99]), "static_bss", 396);
    is_data(hide(&exported_by_none[1]), "exported_by_none", 4);
}
END_TEST

/* .inside */
START_TEST(beside_names)
{
    is_data(hide(sized_data) + 7, "sized_data", 7);
    is_data(hide(sized_data) + 8, "", 0);
    is_data(hide(sizeless_data) + 4, "", 0);
    ask_code(hide(sizeless_code) + 4);
    ck_assert_str_eq(s.name, "sizeless_code");
    ck_assert_uint_eq(s.offset, 4);
}
END_TEST

/* The module and the place in its block, as the program's __tls_get_addr would have them: the program is module 1, and
 * its block of the calling thread is where dl_iterate_phdr says. */
struct module {
    size_t id;
    uintptr_t block;
    uintptr_t within; /* an address in the image */
};

static int on_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct module *m = arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && m->within >= lo && m->within < lo + ph->p_memsz) {
            m->id = info->dlpi_tls_modid;
            m->block = (uintptr_t)info->dlpi_tls_data;
            return 1;
        }
    }
    return 0;
}

static struct module module_of(uintptr_t within)
{
    struct module m = {0, 0, within};
    dl_iterate_phdr(on_image, &m);
    ck_assert_uint_ne(m.id, 0);
    ck_assert_uint_ne(m.block, 0);
    return m;
}

static void is_tls(const struct module *m, uintptr_t p, const char *name, uintptr_t offset)
{
    memset(&s, 'x', sizeof s);
    errno = ENOTTY;
    os_symbol_of_tls(m->id, p - m->block, &s);
    ck_assert_int_eq(errno, ENOTTY);
    ck_assert_str_eq(s.name, name);
    ck_assert_uint_eq(s.offset, offset);
    ck_assert_uint_eq(s.image_offset, 0);
}

START_TEST(thread_local_variables)
{
    struct module m = module_of(CODE(static_function));
    thread_before[0] = thread_after = 1;
    is_tls(&m, hide(&thread_array[2]), "thread_array", 8);
    ck_assert_str_eq(s.image, own_path());
    is_tls(&m, hide(&thread_before[6]), "thread_before", 24);
    is_tls(&m, hide(&thread_after) + 3, "thread_after", 3);
    is_tls(&m, hide(&thread_array[0]), "thread_array", 0);
    is_tls(&m, hide(&thread_before[0]), "thread_before", 0);
    is_tls(&m, hide(&thread_after), "thread_after", 0);
    is_tls(&m, m.block - 1, "", 0);
}
END_TEST

/* A shared library's, which is stripped but for what it exports. */
START_TEST(errno_of_the_c_library)
{
    struct module m = module_of(hide(dlsym(RTLD_DEFAULT, "getsubopt")));
    is_tls(&m, hide(&errno), "errno", 0);
}
END_TEST

START_TEST(image_of_thread_local)
{
    struct module m = module_of(CODE(static_function));
    memset(&s, 'x', sizeof s);
    os_symbol_of_tls(m.id, 0, &s);
    ck_assert_str_eq(s.image, own_path());
    os_symbol_of_tls(0, 0, &s);
    nothing_is_known(false);
    os_symbol_of_tls(1000000, 0, &s);
    nothing_is_known(false);
}
END_TEST

/* Code that was made at run time, the heap, the stack, no memory at all. */
START_TEST(in_no_image)
{
    char local = 0, *heap = malloc(100);
    char *jit = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(jit, MAP_FAILED);
    uintptr_t all[] = {(uintptr_t)jit + 5, (uintptr_t)heap, hide(&local), 0, 1, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ask_code(all[i]);
        nothing_is_known(false);
        ask_data(all[i]);
        nothing_is_known(false);
    }
    munmap(jit, 4096);
    free(heap);
}
END_TEST

/* Mapped after the session was begun, and a file at that: but no image. */
START_TEST(in_a_file)
{
    ask_code(CODE(static_function));
    int fd = open("/proc/self/exe", O_RDONLY);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    ask_code((uintptr_t)p + 100);
    nothing_is_known(false);
    os_symbols_end();
    ask_code((uintptr_t)p + 100);
    nothing_is_known(false);
}
END_TEST

/* Between two symbols: the ELF header is in the image, and nothing is there. */
START_TEST(in_no_symbol)
{
    Dl_info info;
    uintptr_t header = (uintptr_t)object_at(CODE(static_function), &info);
    ask_data(header + 4);
    nothing_is_known(true);
    check_place(header + 4, own_path());
}
END_TEST

/* The kernel's own image has names, but no file. */
START_TEST(vdso)
{
    uintptr_t p = getauxval(AT_SYSINFO_EHDR);
    if (!p)
        return;
    ask_code(p + 64);
    ck_assert_uint_eq(s.image_offset, 64);
    ck_assert_uint_eq(s.line, 0);
}
END_TEST

/* .fresh: a library that comes after the first question, with a name that only libdw tells; and goes. */
START_TEST(library_that_is_loaded_late)
{
    char path[4200];
    Dl_info info;
    ask_code(CODE(static_function));
    snprintf(path, sizeof path, "%.*s/../api/.libs/place.so", (int)(strrchr(own_path(), '/') - own_path()), own_path());
    void *lib = dlopen(path, RTLD_NOW);
    ck_assert_msg(lib != NULL, "dlopen: %s", dlerror());
    place_fn place;
    *(void **)(void *)&place = dlsym(lib, "place_of");
    uintptr_t data = (uintptr_t)place(PLACE_DATA);
    is_data(data + 8, "data", 8);
    object_at(data, &info);
    check_place(data + 8, info.dli_fname);
    dlclose(lib);
    ask_data(data);
    nothing_is_known(false);
    is_data(hide(&static_array[5]), "static_array", 20);
}
END_TEST

START_TEST(after_the_end)
{
    os_symbols_end(); /* of nothing yet */
    for (int i = 0; i < 3; i++) {
        ask_code(CODE(static_function));
        ck_assert_str_eq(s.name, "static_function");
        os_symbols_end();
    }
}
END_TEST

/* ---- segments of code ---- */

struct texts {
    uintptr_t p;
    int calls, found;
    struct os_text t;
    char path[4096];
    unsigned char build_id[64];
};

static void on_text(const struct os_text *t, void *arg)
{
    struct texts *all = arg;
    ck_assert_uint_lt(t->lo, t->hi);
    ck_assert_ptr_nonnull(t->path);
    ck_assert_uint_le(t->build_id_size, sizeof all->build_id);
    all->calls++;
    if (all->p < t->lo || all->p >= t->hi)
        return;
    all->found++;
    all->t = *t;
    strcpy(all->path, t->path);
    memcpy(all->build_id, t->build_id, t->build_id_size);
}

static int count_texts(uintptr_t p, struct texts *all)
{
    *all = (struct texts){.p = p};
    errno = ENOTTY;
    os_each_text(on_text, all);
    ck_assert_int_eq(errno, ENOTTY);
    ck_assert_int_ge(all->calls, 3); /* the program, the C library, the dynamic linker */
    return all->found;
}

static void find_text(uintptr_t p, struct texts *all) { ck_assert_int_eq(count_texts(p, all), 1); }

/* The same out of the kernel's list. */
static void compare_with_maps(const struct texts *all)
{
    char line[4600], path[4096], resolved[PATH_MAX];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long lo, hi, offset;
        if (sscanf(line, "%lx-%lx r-xp %lx %*s %*s %4095s", &lo, &hi, &offset, path) != 4 || lo != all->t.lo)
            continue;
        ck_assert_uint_eq(hi, all->t.hi);
        ck_assert_uint_eq(offset, all->t.offset);
        ck_assert_str_eq(path, realpath(all->path, resolved));
        found++;
    }
    fclose(maps);
    ck_assert_int_eq(found, 1);
}

START_TEST(segments)
{
    struct texts all;
    find_text(CODE(static_function), &all);
    ck_assert_str_eq(all.path, own_path());
    compare_with_maps(&all);
    find_text(hide(dlsym(RTLD_DEFAULT, "getsubopt")), &all);
    compare_with_maps(&all);
    ck_assert_int_eq(count_texts(hide(static_array), &all), 0);
}
END_TEST

static void compare_build_id(uintptr_t p)
{
    enum { HEAD = 16 }; /* of a note: three words, and "GNU" */
    struct texts all;
    unsigned char note[64];
    find_text(p, &all);
    long size = section_of(all.path, ".note.gnu.build-id", note, sizeof note);
    ck_assert_int_eq(all.t.build_id_size, size > HEAD ? size - HEAD : 0);
    if (size > HEAD)
        ck_assert_mem_eq(all.build_id, note + HEAD, all.t.build_id_size);
    else
        ck_assert_ptr_null(all.t.build_id);
}

/* What readelf -n shows. */
START_TEST(build_ids)
{
    compare_build_id(CODE(static_function));
    compare_build_id(hide(dlsym(RTLD_DEFAULT, "getsubopt")));
}
END_TEST

/* ---- fork, threads, handlers ---- */

/* Called in the middle of a look-up: our fopen, which reads the list of mappings, with the lock held. */
static void (*_Atomic in_the_middle)(void);

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    void (*fn)(void) = in_the_middle;
    *(void **)(void *)&real = dlsym(RTLD_NEXT, "fopen");
    if (fn && strcmp(path, "/proc/thread-self/maps") == 0)
        fn();
    return real(path, mode);
}

static _Atomic bool inside_look_up, go_on;

static void wait_in_the_middle(void)
{
    inside_look_up = true;
    while (!go_on)
        usleep(1000);
}

static void *look_up(void *to)
{
    os_symbol_of_code(CODE(static_function), to);
    return NULL;
}

static int in_child(void)
{
    in_the_middle = NULL;
    alarm(20);
    os_symbols_fork_child();
    for (int i = 0; i < 2; i++) {
        look_up(&s);
        if (strcmp(s.name, "static_function") != 0)
            return 1;
        os_symbols_end();
    }
    return 0;
}

START_TEST(forked_during_a_look_up)
{
    int status;
    pthread_t id;
    struct os_symbol other;
    in_the_middle = wait_in_the_middle;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, look_up, &other), 0);
    while (!inside_look_up)
        usleep(1000);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    go_on = true;
    os_real_pthread_join(id, NULL);
    ck_assert_str_eq(other.name, "static_function");
}
END_TEST

/* .once: as a handler would, which may not, or a malloc of the program's. */
static void ask_in_the_middle(void)
{
    inside_look_up = true;
    look_up(&s);
    os_symbols_end();
    os_symbols_fork_child();
}

START_TEST(asked_again_in_the_middle)
{
    struct os_symbol outer;
    in_the_middle = ask_in_the_middle;
    alarm(20);
    look_up(&outer);
    ck_assert(inside_look_up);
    ck_assert_str_eq(s.name, "");
    ck_assert_str_eq(s.image, own_path());
    ck_assert_str_eq(outer.name, "static_function");
}
END_TEST

/* libdw opens and reads files; the request waits for the thread's next point of cancellation. */
static void *look_up_cancelled(void *arg)
{
    pthread_cancel(pthread_self());
    os_symbol_of_code(CODE(static_function), arg);
    ((struct os_symbol *)arg)->line = 1000;
    pthread_testcancel();
    return NULL;
}

START_TEST(cancelled)
{
    pthread_t id;
    void *result;
    ck_assert_int_eq(os_real_pthread_create(&id, NULL, look_up_cancelled, &s), 0);
    ck_assert_int_eq(os_real_pthread_join(id, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_uint_eq(s.line, 1000);
}
END_TEST

static void *ask_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        struct os_symbol own;
        os_symbol_of_code(CODE(static_function), &own);
        if (strcmp(own.name, "static_function") != 0)
            return "no name";
        if (i % 10 == 0)
            os_symbols_end();
    }
    return NULL;
}

START_TEST(threads)
{
    pthread_t id[4];
    void *wrong;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(os_real_pthread_create(&id[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 4; i++) {
        os_real_pthread_join(id[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

/* ---- the program under other circumstances: a copy of it, run again ---- */

/* Runs only that test, which is one of those that need it. */
static int run_copy(const char *command, const char *test)
{
    char line[9000];
    snprintf(line, sizeof line,
             "d=$(mktemp -d) && cp '%s' \"$d/copy\" && cd \"$d\" && %s "
             "env -u CK_TAP_LOG_FILE_NAME SYMBOLS_COPY=%s ./copy >&2; r=$?; rm -rf \"$d\"; exit $r",
             own_path(), command, test);
    return system(line);
}

/* Nothing but what is exported is known of a stripped program, and that one is stripped is no reason to guess. */
START_TEST(stripped) { ck_assert_int_eq(run_copy("strip copy &&", "stripped"), 0); }
END_TEST

START_TEST(in_a_stripped_program)
{
    ask_code(CODE(static_function));
    nothing_is_known(true);
    check_place(CODE(static_function), own_path());
    ask_data(hide(&static_array[5]));
    nothing_is_known(true);
    struct module m = module_of(CODE(static_function));
    os_symbol_of_tls(m.id, hide(&thread_array[2]) - m.block, &s);
    nothing_is_known(true);
    ask_code(hide(dlsym(RTLD_DEFAULT, "getsubopt")));
    ck_assert_str_eq(s.name, "getsubopt");
}
END_TEST

/* The program's file is gone: what the kernel still has of it does. */
START_TEST(deleted) { ck_assert_int_eq(run_copy("", "deleted"), 0); }
END_TEST

START_TEST(in_a_deleted_program)
{
    ck_assert_int_eq(unlink(own_path()), 0);
    ask_code(CODE(static_function));
    ck_assert_str_eq(end_of(s.image, 10), " (deleted)");
    ck_assert_str_eq(s.name, "static_function");
}
END_TEST

static void with_libdw(TCase *tc)
{
    tcase_add_test(tc, function);
    tcase_add_test(tc, file_without_folder);
    tcase_add_test(tc, variables);
    tcase_add_test(tc, beside_names);
    tcase_add_test(tc, thread_local_variables);
    tcase_add_test(tc, errno_of_the_c_library);
    tcase_add_test(tc, library_that_is_loaded_late);
    tcase_add_test(tc, after_the_end);
    tcase_add_test(tc, forked_during_a_look_up);
    tcase_add_test(tc, asked_again_in_the_middle);
    tcase_add_test(tc, threads);
    tcase_add_test(tc, deleted);
}

static bool in_copy(TCase *tc)
{
    const char *test = getenv("SYMBOLS_COPY");
    if (test && strcmp(test, "stripped") == 0)
        tcase_add_test(tc, in_a_stripped_program);
    else if (test)
        tcase_add_test(tc, in_a_deleted_program);
    return test != NULL;
}

static void tests(TCase *tc)
{
    if (in_copy(tc))
        return;
    tcase_add_test(tc, exported_function);
    tcase_add_test(tc, exported_variable);
    tcase_add_test(tc, static_names_are_not_exported);
    tcase_add_test(tc, image_of_the_program);
    tcase_add_test(tc, image_of_thread_local);
    tcase_add_test(tc, in_no_image);
    tcase_add_test(tc, in_a_file);
    tcase_add_test(tc, in_no_symbol);
    tcase_add_test(tc, vdso);
    tcase_add_test(tc, segments);
    tcase_add_test(tc, build_ids);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, stripped);
    if (have_libdw())
        with_libdw(tc);
}
CHECK_MAIN("unit/os_symbols", tests)

#line 1000 "no_folder.c"
static int elsewhere(int n) { return n * 5; }
