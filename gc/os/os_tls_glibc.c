/* os_tls_glibc.c - where glibc keeps a thread's variables: static block, dynamic blocks, pthread_setspecific values.
 * Owns:   the layout that glibc describes to debuggers, read once.
 * Locks:  none; called while the threads asked about are stopped.
 * Keeps:  .bounds  an entry that is not set, or beyond the length that the vector states, gives no range; the caller
 *                  tests that a range is mapped, since a vector may be in the middle of being replaced
 * Below:  glibc's _thread_db_ symbols (nptl_db).   Above: mark/rootjobs.c.
 *
 * The shared library looks the symbols up by dlsym: a reference by version GLIBC_PRIVATE would tie the library to one
 * release. The archive refers to them weakly. Without them a thread's variables are found only where they lie in its
 * stack's mapping, as they do for all but the main thread, and gc_features() says tls=stack. */
#include "os/os.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

/* A field as nptl_db describes it: bits of an element, number of elements, offset in bytes. */
struct field {
    uint32_t bits, count, offset;
};

#ifdef PIC
#define DESCRIPTION(name) dlsym(RTLD_DEFAULT, #name)
#else
#define WEAK(name)        extern const char name[] __attribute__((weak))
WEAK(_thread_db_sizeof_pthread);
WEAK(_thread_db_pthread_tid);
WEAK(_thread_db_pthread_dtvp);
WEAK(_thread_db_dtv_dtv);
WEAK(_thread_db_dtv_t_pointer_val);
WEAK(_thread_db_pthread_specific);
WEAK(_thread_db_pthread_key_data_level2_data);
WEAK(_thread_db_pthread_key_data_data);
#define DESCRIPTION(name) name
#endif

static struct {
    const uint32_t *sizeof_pthread;
    const struct field *tid, *dtvp, *dtv, *val, *specific, *level2, *key_data;
    size_t static_size; /* bytes of the static block, the thread's own record included; 0 unknown */
} layout;

/* ld.so's, not declared anywhere; the sanitizers ask it too. */
static size_t static_size(void)
{
    void (*info)(size_t *, size_t *) = NULL;
    size_t size = 0, align = 0;
#ifdef PIC
    *(void **)&info = dlsym(RTLD_DEFAULT, "_dl_get_tls_static_info");
#endif
    if (info)
        info(&size, &align);
    return size;
}

void os_tls_init(void)
{
    layout.sizeof_pthread = (const void *)DESCRIPTION(_thread_db_sizeof_pthread);
    layout.tid = (const void *)DESCRIPTION(_thread_db_pthread_tid);
    layout.dtvp = (const void *)DESCRIPTION(_thread_db_pthread_dtvp);
    layout.dtv = (const void *)DESCRIPTION(_thread_db_dtv_dtv);
    layout.val = (const void *)DESCRIPTION(_thread_db_dtv_t_pointer_val);
    layout.specific = (const void *)DESCRIPTION(_thread_db_pthread_specific);
    layout.level2 = (const void *)DESCRIPTION(_thread_db_pthread_key_data_level2_data);
    layout.key_data = (const void *)DESCRIPTION(_thread_db_pthread_key_data_data);
    layout.static_size = static_size();
}

bool os_tls_known(void)
{
    return layout.sizeof_pthread && layout.dtvp && layout.dtv && layout.val && layout.specific && layout.level2;
}

/* Written by the kernel before the thread begins. */
int os_tls_tid(uintptr_t self) { return layout.tid ? *(const volatile int *)(self + layout.tid->offset) : os_tid(); }

size_t os_tls_record_size(void) { return layout.sizeof_pthread ? *layout.sizeof_pthread : 0; }

struct each {
    void (*fn)(size_t module, size_t size, void *arg);
    void *arg;
};

static int on_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    const struct each *e = arg;
    if (size < offsetof(struct dl_phdr_info, dlpi_tls_data) || info->dlpi_tls_modid == 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS)
            e->fn(info->dlpi_tls_modid, info->dlpi_phdr[i].p_memsz, e->arg);
    return 0;
}

void os_each_tls_module(void (*fn)(size_t module, size_t size, void *arg), void *arg)
{
    struct each e = {fn, arg};
    if (os_tls_known())
        dl_iterate_phdr(on_image, &e);
}

static uintptr_t load(uintptr_t at) { return *(const volatile uintptr_t *)at; }

/* The vector's element -1 holds its length, and an entry not yet made is all ones. */
struct os_range os_tls_block(uintptr_t self, size_t module, size_t size)
{
    uintptr_t dtv = load(self + layout.dtvp->offset);
    size_t element = layout.dtv->bits / 8;
    if (dtv == 0 || module > load(dtv - element))
        return (struct os_range){0, 0};
    uintptr_t val = load(dtv + module * element + layout.val->offset);
    if (val == 0 || val == UINTPTR_MAX || val + size < val)
        return (struct os_range){0, 0};
    return (struct os_range){val, val + size};
}

struct os_range os_tls_static(uintptr_t self)
{
    uintptr_t hi = self + (os_tls_known() ? *layout.sizeof_pthread : 0);
    return layout.static_size > 0 ? (struct os_range){hi - layout.static_size, hi} : (struct os_range){self, hi};
}

bool os_tls_is_thread(uintptr_t self, int tid)
{
    if (!os_tls_known() || !layout.tid || layout.tid->bits != 8 * sizeof(int) || self % sizeof(uintptr_t))
        return false;
    uintptr_t at = self + layout.tid->offset;
    return self != 0 && os_readable(self) && os_readable(round_down(at, sizeof(uintptr_t))) &&
           *(const volatile int *)at == tid && os_readable(self + *layout.sizeof_pthread - sizeof(uintptr_t));
}

void os_each_specific(uintptr_t self, void (*fn)(struct os_range r, void *arg), void *arg)
{
    if (!os_tls_known())
        return;
    size_t bytes = (size_t)layout.level2->bits / 8 * layout.level2->count;
    uint32_t n = layout.specific->bits * layout.specific->count / (8 * sizeof(uintptr_t));
    for (uint32_t i = 0; i < n; i++) {
        uintptr_t block = load(self + layout.specific->offset + i * sizeof(uintptr_t));
        if (block)
            fn((struct os_range){block, block + bytes}, arg);
    }
}

static void look_for_value(struct os_range r, void *any)
{
    size_t element = layout.level2->bits / 8;
    uintptr_t all = 0;
    for (uintptr_t at = r.lo + layout.key_data->offset; at < r.hi; at += element)
        all |= load(at);
    *(bool *)any |= all != 0;
}

bool os_any_specific(uintptr_t self)
{
    bool any = !os_tls_known() || !layout.key_data;
    if (!any)
        os_each_specific(self, look_for_value, &any);
    return any;
}
