/* os_image_linux.c - the program and its libraries, through dl_iterate_phdr; which of them have this library in them.
 * Owns:   nothing.
 * Locks:  the dynamic linker's list lock, held by dl_iterate_phdr around its callback and recursive for its holder; it
 *         ranks below every lock of ours, so a program that allocates inside its own callback cannot deadlock.
 * Keeps:  .still  the list does not change while fn runs: dlopen and dlclose wait for that lock
 *         .note   each copy of the library, shared or in an archive, brings one ELF note into the image that it is in
 * Below:  glibc.   Above: cycle/, mark/, api/init.c. */
#include "os/os.h"

#include <link.h>
#include <string.h>

struct still {
    void (*fn)(void *);
    void *arg;
};

static int on_first_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    struct still *s = arg;
    s->fn(s->arg);
    return 1;
}

void os_with_images_still(void (*fn)(void *arg), void *arg)
{
    struct still s = {fn, arg};
    if (dl_iterate_phdr(on_first_image, &s) == 0)
        fn(arg);
}

struct each {
    void (*fn)(uintptr_t, uintptr_t, void *);
    void *arg;
};

static struct os_range relro_of(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_GNU_RELRO) {
            uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
            return (struct os_range){lo, lo + ph->p_memsz};
        }
    }
    return (struct os_range){0, 0};
}

static int on_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    const struct each *e = arg;
    struct os_range ro = relro_of(info);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
            continue;
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr, hi = lo + ph->p_memsz;
        if (ro.lo < hi && ro.hi > lo) {
            if (ro.lo > lo)
                e->fn(lo, ro.lo, e->arg);
            lo = ro.hi < hi ? ro.hi : hi;
        }
        if (lo < hi)
            e->fn(lo, hi, e->arg);
    }
    return 0;
}

void os_each_segment(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    struct each e = {fn, arg};
    dl_iterate_phdr(on_image, &e);
}

/* A note's sizes are those of its name and its contents; both are padded to 4 bytes. */
#define NOTE_NAME "spangc"
__asm__(".pushsection .note.spangc, \"a\", %note\n"
        ".balign 4\n"
        ".long 7, 0, 1\n"
        ".asciz \"" NOTE_NAME "\"\n"
        ".balign 4\n"
        ".popsection\n");

static bool notes_say_so(uintptr_t at, size_t size)
{
    const ElfW(Nhdr) * n;
    for (uintptr_t end = at + size; at + sizeof *n <= end;
         at += sizeof *n + round_up(n->n_namesz, 4) + round_up(n->n_descsz, 4)) {
        n = (const void *)at;
        if (n->n_namesz == sizeof NOTE_NAME && at + sizeof *n + n->n_namesz <= end &&
            memcmp(n + 1, NOTE_NAME, sizeof NOTE_NAME) == 0)
            return true;
    }
    return false;
}

struct copies {
    const char **names;
    size_t n, max;
};

static int on_image_with_notes(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct copies *c = arg;
    bool found = false;
    for (int i = 0; i < info->dlpi_phnum && !found; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        found = ph->p_type == PT_NOTE && ph->p_align <= 4 && notes_say_so(info->dlpi_addr + ph->p_vaddr, ph->p_memsz);
    }
    if (found && c->n < c->max)
        c->names[c->n++] = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "the program";
    return 0;
}

size_t os_copies(const char **names, size_t max)
{
    struct copies c = {names, 0, max};
    dl_iterate_phdr(on_image_with_notes, &c);
    return c.n;
}

struct own_text {
    struct os_range text;
    bool program; /* the image that is looked at is the first, the program */
};

static int on_own_text(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct own_text *own = arg;
    uintptr_t here = (uintptr_t)on_own_text;
    for (int i = 0; i < info->dlpi_phnum && !own->program; i++) {
        uintptr_t lo = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, hi = lo + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && here >= lo && here < hi)
            own->text = (struct os_range){lo, hi};
    }
    own->program = false;
    return own->text.hi > 0;
}

struct os_range os_own_text(void)
{
    struct own_text own = {.program = true};
    dl_iterate_phdr(on_own_text, &own);
    return own.text;
}
