/* os_symbols_linux.c - names for addresses: which image, and what that exports.
 * Owns:   nothing.
 * Locks:  the dynamic linker's, in dladdr1 and dl_iterate_phdr, with none of ours held.
 * Keeps:  .inside  an address has a name only if it lies in what the name is of: the nearest one below is often another's
 *         .static  dladdr1 is referred to weakly: the archive brings none of the dynamic linker into a static program
 *         .copied  of an image that may be unloaded, strings are copied while the list is held still
 * Below:  glibc, os_dwarf.   Above: watch/, api/. */
#include "os/os_symbols.h"

#include "os/os_dwarf.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <unistd.h>

/* ---- exported names ---- */

#ifdef __GLIBC__

extern __typeof__(dladdr1) dladdr1 __attribute__((weak));

static const char *exported(uintptr_t address, uintptr_t *offset)
{
    Dl_info info;
    void *found = NULL;
    if (!dladdr1 || !dladdr1((const void *)address, &info, &found, RTLD_DL_SYMENT) || !found || !info.dli_sname)
        return NULL;
    const ElfW(Sym) *sym = found;
    *offset = address - (uintptr_t)info.dli_saddr;
    return *offset < sym->st_size ? info.dli_sname : NULL;
}

#else

/* dladdr alone does not say where a name ends. */
static const char *exported(uintptr_t address, uintptr_t *offset)
{
    (void)address;
    (void)offset;
    return NULL;
}

#endif

const char *os_symbol_exported(uintptr_t address)
{
    uintptr_t offset;
    int saved = errno;
    const char *name = exported(address, &offset);
    errno = saved;
    return name;
}

/* ---- images ---- */

/* The program comes first, and the linker does not know its path. */
static void path_of(const struct dl_phdr_info *info, bool program, char *to, size_t size)
{
    ssize_t n = 0;
    if (program)
        n = readlink(OS_DWARF_PROC "exe", to, size - 1);
    else if (info->dlpi_name)
        memcpy(to, info->dlpi_name, (size_t)(n = (ssize_t)strnlen(info->dlpi_name, size - 1)));
    to[n < 0 ? 0 : n] = '\0';
}

/* Whether the n bytes at p are of this image, as it was loaded. */
static bool loaded(const struct dl_phdr_info *info, uintptr_t p, size_t n)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t at = p - (info->dlpi_addr + ph->p_vaddr);
        if (ph->p_type == PT_LOAD && at < ph->p_memsz && n <= ph->p_memsz - at)
            return true;
    }
    return false;
}

/* Looking for the image of an address, or of a module's thread-local variables. */
struct search {
    uintptr_t address;
    size_t module; /* or 0 */
    struct os_symbol *s;
    size_t images;      /* seen so far */
    uintptr_t in_image; /* the first address of what was found, or 0 */
};

static uintptr_t first_address(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            return info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    return 0;
}

static int on_searched_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct search *f = arg;
    bool program = f->images++ == 0;
    if (f->module ? info->dlpi_tls_modid != f->module : !loaded(info, f->address, 1))
        return 0;
    path_of(info, program, f->s->image, sizeof f->s->image);
    f->s->image_offset = f->module ? 0 : f->address - info->dlpi_addr;
    f->in_image = first_address(info);
    return 1;
}

static uintptr_t search(uintptr_t address, size_t module, struct os_symbol *s)
{
    struct search f = {.address = address, .module = module, .s = s};
    memset(s, 0, sizeof *s);
    dl_iterate_phdr(on_searched_image, &f);
    return f.in_image;
}

/* ---- look-ups ---- */

typedef void debug_info(uintptr_t in_image, uintptr_t address, struct os_symbol *s);

static void look_up(uintptr_t address, debug_info *more, struct os_symbol *s)
{
    int saved = errno;
    uintptr_t offset, in_image = search(address, 0, s);
    const char *name = in_image ? exported(address, &offset) : NULL;
    if (name) {
        os_dwarf_set(s->name, name);
        s->offset = offset;
    }
    if (in_image)
        more(in_image, address, s);
    errno = saved;
}

void os_symbol_of_code(uintptr_t address, struct os_symbol *s) { look_up(address, os_dwarf_code, s); }
void os_symbol_of_data(uintptr_t address, struct os_symbol *s) { look_up(address, os_dwarf_data, s); }

void os_symbol_of_tls(size_t module, uintptr_t offset, struct os_symbol *s)
{
    int saved = errno;
    uintptr_t in_image = search(0, module, s); /* module 0 is none, and no image is at address 0 */
    if (in_image)
        os_dwarf_tls(in_image, offset, s);
    errno = saved;
}

/* ---- code, for profiles ---- */

struct each {
    void (*fn)(const struct os_text *, void *);
    void *arg;
    size_t images;
};

/* A note's name and contents are padded to 4 bytes. Those that say 8 have sizes that make no difference. */
static bool build_id_in(uintptr_t at, size_t size, struct os_text *t)
{
    const ElfW(Nhdr) * n;
    for (uintptr_t end = at + size; at < end && end - at >= sizeof *n;) {
        n = (const void *)at;
        size_t contents = sizeof *n + round_up(n->n_namesz, 4), next = contents + round_up(n->n_descsz, 4);
        if (contents + n->n_descsz > end - at)
            return false;
        if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == sizeof "GNU" && memcmp(n + 1, "GNU", sizeof "GNU") == 0) {
            t->build_id = (const unsigned char *)at + contents;
            t->build_id_size = n->n_descsz;
            return true;
        }
        at += next;
    }
    return false;
}

static void find_build_id(const struct dl_phdr_info *info, struct os_text *t)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_NOTE && loaded(info, at, ph->p_memsz) && build_id_in(at, ph->p_memsz, t))
            return;
    }
}

static int on_text_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    char path[4096];
    struct each *e = arg;
    struct os_text t = {.path = path};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    path_of(info, e->images++ == 0, path, sizeof path);
    find_build_id(info, &t);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
        t.lo = round_down(lo, page);
        t.hi = round_up(lo + ph->p_memsz, page);
        t.offset = round_down(ph->p_offset, page);
        e->fn(&t, e->arg);
    }
    return 0;
}

void os_each_text(void (*fn)(const struct os_text *t, void *arg), void *arg)
{
    int saved = errno;
    struct each e = {fn, arg, 0};
    dl_iterate_phdr(on_text_image, &e);
    errno = saved;
}

void os_symbols_end(void)
{
    int saved = errno;
    os_dwarf_end();
    errno = saved;
}

void os_symbols_fork_child(void) { os_dwarf_fork_child(); }
