/* os_image_linux.c - the program and its libraries, through dl_iterate_phdr.
 * Owns:   nothing.
 * Locks:  the dynamic linker's list lock, held by dl_iterate_phdr around its callback and recursive for its holder; it
 *         ranks below every lock of ours, so a program that allocates inside its own callback cannot deadlock.
 * Keeps:  .still  the list does not change while fn runs: dlopen and dlclose wait for that lock
 * Below:  glibc.   Above: cycle/ and mark/. */
#include "os/os.h"

#include <link.h>

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
