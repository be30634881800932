/* os_dwarf_libdw.c - debug information, read by elfutils' libdw where this machine has it when the program runs.
 * Owns:   the open library and its session: the images as they were mapped, with the tables read of them so far.
 * Locks:  SYMBOLS, around every call of libdw but its opening. The dynamic linker's locks are not taken while it is held:
 *         who holds those, in a constructor of a library, may be waiting for it.
 * Keeps:  .fresh    a session is of the images of now: after dlopen or dlclose it is begun anew
 *         .once     a thread is in here once: what interrupts it, and what libdw calls, is told nothing instead of waiting
 *                   for itself
 *         .local    no look-up waits for the network: with DEBUGINFOD_URLS set, debug files are looked for by build id in
 *                   /usr/lib/debug only, for the standard search ends by asking those servers
 * Below:  libdw, os_library.   Above: os_symbols_linux.c. */
#include "os/os_dwarf.h"

#include "config.h"

#ifdef HAVE_ELFUTILS_LIBDWFL_H

#include "base/lock.h"
#include "os/os.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FUNCTIONS(X)                                                                                                   \
    X(dwfl_begin)                                                                                                      \
    X(dwfl_linux_proc_maps_report)                                                                                     \
    X(dwfl_report_end)                                                                                                 \
    X(dwfl_end)                                                                                                        \
    X(dwfl_linux_proc_find_elf)                                                                                        \
    X(dwfl_standard_find_debuginfo)                                                                                    \
    X(dwfl_build_id_find_debuginfo)                                                                                    \
    X(dwfl_addrmodule)                                                                                                 \
    X(dwfl_module_addrinfo)                                                                                            \
    X(dwfl_module_addrdie)                                                                                             \
    X(dwfl_module_nextcu)                                                                                              \
    X(dwarf_haspc)                                                                                                     \
    X(dwarf_getsrc_die)                                                                                                \
    X(dwarf_linesrc)                                                                                                   \
    X(dwarf_lineno)                                                                                                    \
    X(dwarf_attr)                                                                                                      \
    X(dwarf_formstring)                                                                                                \
    X(dwfl_module_getsymtab)                                                                                           \
    X(dwfl_module_getsym_info)

struct libdw {
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
};

static struct lock lock = LOCK_INIT(RANK_SYMBOLS);
static struct libdw dw;                  /* lock */
static bool have_libdw;                  /* lock */
static _Atomic bool tried;               /* to open it. lock; read without it only to see whether that is still to do */
static Dwfl *session;                    /* lock */
static unsigned long long session_state; /* of the list of images when it began. lock */

static _Thread_local bool busy INITIAL_EXEC; /* .once */

/* ---- opening ---- */

static int on_program(struct dl_phdr_info *info, size_t size, void *state)
{
    (void)size;
    *(unsigned long long *)state = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

/* Counts what was loaded and unloaded. */
static unsigned long long images_state(void)
{
    unsigned long long state = 0;
    dl_iterate_phdr(on_program, &state);
    return state;
}

static bool open_libdw(struct libdw *to)
{
#define NAME(name) #name,
    static const char *const names[] = {FUNCTIONS(NAME)};
    void *found[sizeof names / sizeof *names];
    _Static_assert(sizeof found == sizeof *to, "a pointer a function");
    if (!os_library_find("libdw.so.1", names, found, sizeof names / sizeof *names))
        return false;
    memcpy(to, found, sizeof *to);
    return true;
}

/* Two threads may open it at once, and find the same. */
static void load(void)
{
    struct libdw found;
    if (atomic_load_explicit(&tried, memory_order_acquire))
        return;
    bool have = open_libdw(&found);
    lock_acquire(&lock);
    if (have)
        dw = found;
    have_libdw = have;
    atomic_store_explicit(&tried, true, memory_order_release);
    lock_release(&lock);
}

/* ---- the session. Lock held ---- */

/* The program's file may be gone or replaced, but the kernel still has it. */
static int open_program(const char *name)
{
    char path[4096];
    ssize_t n = readlink(OS_DWARF_PROC "exe", path, sizeof path - 1);
    if (n < 0)
        return -1;
    path[n] = '\0';
    return strcmp(path, name) == 0 ? open(OS_DWARF_PROC "exe", O_RDONLY | O_CLOEXEC) : -1;
}

static int find_elf(Dwfl_Module *m, void **userdata, const char *name, Dwarf_Addr base, char **file, Elf **elf)
{
    int fd = open_program(name);
    if (fd < 0)
        fd = dw.dwfl_linux_proc_find_elf(m, userdata, name, base, file, elf);
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

static int find_debuginfo(Dwfl_Module *m, void **userdata, const char *name, Dwarf_Addr base, const char *file,
                          const char *link, GElf_Word crc, char **debug_file)
{
    const char *servers = getenv("DEBUGINFOD_URLS");
    int fd = (servers && *servers ? dw.dwfl_build_id_find_debuginfo : dw.dwfl_standard_find_debuginfo)(
        m, userdata, name, base, file, link, crc, debug_file);
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

static const Dwfl_Callbacks callbacks = {.find_elf = find_elf, .find_debuginfo = find_debuginfo};

static void end_session(void)
{
    if (session)
        dw.dwfl_end(session);
    session = NULL;
}

/* Not by the process's id: /proc may be of another namespace of ids than we are. */
static bool report_images(void)
{
    FILE *maps = fopen(OS_DWARF_PROC "maps", "re");
    if (!maps)
        return false;
    bool reported = dw.dwfl_linux_proc_maps_report(session, maps) == 0;
    fclose(maps);
    return dw.dwfl_report_end(session, NULL, NULL) == 0 && reported;
}

static bool have_session(unsigned long long state)
{
    if (!have_libdw)
        return false;
    if (session_state != state)
        end_session();
    if (!session) {
        session = dw.dwfl_begin(&callbacks);
        session_state = state;
        if (session && !report_images())
            end_session();
    }
    return session != NULL;
}

/* ---- questions ---- */

struct question {
    void (*fn)(Dwfl_Module *m, const struct question *q); /* called with the lock held */
    uintptr_t in_image;
    uintptr_t address; /* or offset, of a thread-local variable */
    struct os_symbol *s;
};

/* libdw reads files: those calls are points of cancellation, and the lock would stay taken. */
static bool enter(int *cancellation)
{
    if (busy)
        return false;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancellation);
    busy = true;
    return true;
}

static void leave(int cancellation)
{
    int ours;
    busy = false;
    pthread_setcancelstate(cancellation, &ours);
}

static void ask(const struct question *q)
{
    int cancellation;
    if (!enter(&cancellation))
        return;
    load();
    unsigned long long state = images_state();
    lock_acquire(&lock);
    if (have_session(state)) {
        Dwfl_Module *m = dw.dwfl_addrmodule(session, q->in_image);
        if (m)
            q->fn(m, q);
    }
    lock_release(&lock);
    leave(cancellation);
}

/* A table that is not the linker's has name@version. */
static void set_name(struct os_symbol *s, const char *name, uintptr_t offset)
{
    os_dwarf_set(s->name, name);
    char *version = strchr(s->name + 1, '@');
    if (version)
        *version = '\0';
    s->offset = offset;
}

/* What was written in assembler may have no size; the nearest such name is then what a person would say, of code. */
static void name_it(Dwfl_Module *m, const struct question *q, bool sizeless)
{
    GElf_Sym sym;
    GElf_Off offset = 0;
    if (q->s->name[0])
        return;
    const char *name = dw.dwfl_module_addrinfo(m, q->address, &offset, &sym, NULL, NULL, NULL);
    if (name && *name && (offset < sym.st_size || (sizeless && sym.st_size == 0)))
        set_name(q->s, name, offset);
}

static void on_data(Dwfl_Module *m, const struct question *q) { name_it(m, q, false); }

/* The compilation unit of an address. There is a table of them, but clang does not write it. */
static Dwarf_Die *unit_of(Dwfl_Module *m, uintptr_t address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dw.dwfl_module_addrdie(m, address, bias);
    if (unit)
        return unit;
    while ((unit = dw.dwfl_module_nextcu(m, unit, bias)) != NULL && dw.dwarf_haspc(unit, address - *bias) <= 0)
        ;
    return unit;
}

/* libdw puts the folder that was compiled in before a name that is relative to it. */
static const char *less_folder(Dwarf_Die *unit, const char *file)
{
    Dwarf_Attribute attribute;
    const char *folder = dw.dwarf_formstring(dw.dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    size_t n = folder ? strlen(folder) : 0;
    return n > 0 && strncmp(file, folder, n) == 0 && file[n] == '/' ? file + n + 1 : file;
}

static void on_code(Dwfl_Module *m, const struct question *q)
{
    int number = 0;
    Dwarf_Addr bias = 0;
    name_it(m, q, true);
    Dwarf_Die *unit = unit_of(m, q->address, &bias);
    Dwarf_Line *line = unit ? dw.dwarf_getsrc_die(unit, q->address - bias) : NULL;
    const char *file = line ? dw.dwarf_linesrc(line, NULL, NULL) : NULL;
    if (!file || dw.dwarf_lineno(line, &number) != 0 || number <= 0)
        return;
    os_dwarf_set(q->s->file, less_folder(unit, file));
    q->s->line = (unsigned)number;
}

static bool is_tls_at(const GElf_Sym *sym, uintptr_t offset)
{
    return GELF_ST_TYPE(sym->st_info) == STT_TLS && sym->st_shndx != SHN_UNDEF && offset - sym->st_value < sym->st_size;
}

/* The value of a thread-local symbol is its offset, which dwfl_module_addrinfo does not look at. Of several names, the
 * last is the one that is exported. */
static void on_tls(Dwfl_Module *m, const struct question *q)
{
    GElf_Sym sym;
    GElf_Addr address;
    for (int i = dw.dwfl_module_getsymtab(m) - 1; i >= 0; i--) {
        const char *name = dw.dwfl_module_getsym_info(m, i, &sym, &address, NULL, NULL, NULL);
        if (name && *name && is_tls_at(&sym, q->address)) {
            set_name(q->s, name, q->address - sym.st_value);
            return;
        }
    }
}

void os_dwarf_code(uintptr_t in_image, uintptr_t address, struct os_symbol *s)
{
    struct question q = {on_code, in_image, address, s};
    ask(&q);
}

void os_dwarf_data(uintptr_t in_image, uintptr_t address, struct os_symbol *s)
{
    struct question q = {on_data, in_image, address, s};
    if (!s->name[0])
        ask(&q);
}

void os_dwarf_tls(uintptr_t in_image, uintptr_t offset, struct os_symbol *s)
{
    struct question q = {on_tls, in_image, offset, s};
    ask(&q);
}

void os_dwarf_end(void)
{
    int cancellation;
    if (!enter(&cancellation))
        return;
    lock_acquire(&lock);
    end_session();
    lock_release(&lock);
    leave(cancellation);
}

/* A handler that forks in the middle of a look-up of its thread goes on with it in the child. */
void os_dwarf_fork_child(void)
{
    if (busy)
        return;
    lock_init(&lock, RANK_SYMBOLS);
    session = NULL;
}

#else

static void nothing(uintptr_t in_image, uintptr_t address, struct os_symbol *s)
{
    (void)in_image;
    (void)address;
    (void)s;
}

void os_dwarf_code(uintptr_t in_image, uintptr_t address, struct os_symbol *s) { nothing(in_image, address, s); }
void os_dwarf_data(uintptr_t in_image, uintptr_t address, struct os_symbol *s) { nothing(in_image, address, s); }
void os_dwarf_tls(uintptr_t in_image, uintptr_t offset, struct os_symbol *s) { nothing(in_image, offset, s); }
void os_dwarf_end(void) {}
void os_dwarf_fork_child(void) {}

#endif
