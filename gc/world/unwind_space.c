/* unwind_space.c - libunwind's accessors, over a copy of a stack and the images of the process.
 * Owns:   nothing.
 * Locks:  the dynamic linker's list lock, around each search of the images.
 * Keeps:  .copy    of stacks only the copy is read: it is asked first, and else an address must lie in an image
 *         .faults  registers and copies may hold anything, and no read faults: the pages of images are tried before
 *         .binary  unwind information is found by the table that linkers make for it (PT_GNU_EH_FRAME), or is not there
 * Below:  libunwind, os, glibc.   Above: unwind_copy. */
#include "world/unwind_space.h"

#include "os/os.h"

#include <link.h>
#include <string.h>

enum { PAGE = 4096, KNOWN = 1, WORD = sizeof(uintptr_t) };

/* ---- images ---- */

/* The image that has p in a segment with these permissions. */
struct search {
    uintptr_t p;
    ElfW(Word) flags;
    uintptr_t lo, hi;     /* that segment */
    uintptr_t table, end; /* PT_GNU_EH_FRAME; empty without one */
};

static bool take_segment(struct search *s, uintptr_t lo, const ElfW(Phdr) * ph)
{
    if (s->p < lo || s->p - lo >= ph->p_memsz || (ph->p_flags & s->flags) != s->flags)
        return false;
    s->lo = lo;
    s->hi = lo + ph->p_memsz;
    return true;
}

static int on_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct search *s = arg;
    bool found = false;
    s->table = s->end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && take_segment(s, lo, ph))
            found = true;
        if (ph->p_type == PT_GNU_EH_FRAME) {
            s->table = lo;
            s->end = lo + ph->p_memsz;
        }
    }
    return found;
}

static bool find_image(struct search *s) { return dl_iterate_phdr(on_image, s); }

void unwind_space_still(struct unwind_space *s, void (*fn)(void *arg), void *arg)
{
    s->page = 0;
    s->failed = false;
    os_with_images_still(fn, arg);
}

/* ---- memory ---- */

/* A program may have protected pages of its own image, and a file may have been cut off. */
static bool page_reads(struct unwind_space *s, uintptr_t p)
{
    uintptr_t page = round_down(p, PAGE);
    if (s->page == (page | KNOWN))
        return true;
    struct search image = {.p = p, .flags = PF_R};
    if (!find_image(&image) || !os_readable(page))
        return false;
    s->page = page | KNOWN;
    return true;
}

typedef uintptr_t __attribute__((aligned(1), may_alias)) any_word;

/* Between the variables of an image a sanitizer has poisoned some. */
NO_SANITIZE static bool read_image(struct unwind_space *s, uintptr_t p, uintptr_t *word)
{
    if (!page_reads(s, p) || !page_reads(s, p + WORD - 1))
        return false;
    *word = *(const any_word *)p;
    return true;
}

static bool read_word(struct unwind_space *s, uintptr_t p, uintptr_t *word)
{
    const struct unwind_copy *c = s->copy;
    if (p >= c->hi || p + WORD <= c->lo)
        return read_image(s, p, word);
    if (p < c->lo || c->hi - p < WORD)
        return false;
    memcpy(word, (const char *)c->bytes + (p - c->lo), WORD);
    return true;
}

bool unwind_space_read(struct unwind_space *s, uintptr_t p, uintptr_t *word)
{
    bool read = read_word(s, p, word);
    s->failed |= !read;
    return read;
}

/* ---- unwind information ---- */

/* The head of PT_GNU_EH_FRAME: a version, the encodings of what follows, an address, how many entries there are; then the
 * entries, sorted, of two offsets from the head each. Every linker in use encodes them so. */
struct head {
    uint8_t version, address_encoding, count_encoding, entry_encoding;
    int32_t address;
    uint32_t count;
};
enum { HEAD = 12, ENTRY = 8, VERSION = 1, UDATA4 = 0x03, SDATA4 = 0x0b, RELATIVE = 0x70, FROM_HEAD = 0x30 };

static bool read_head(struct unwind_space *s, const struct search *image, struct head *h)
{
    uintptr_t words[2];
    if (image->end - image->table < HEAD || !unwind_space_read(s, image->table, &words[0]) ||
        !unwind_space_read(s, image->table + HEAD - WORD, &words[1]))
        return false;
    memcpy(h, words, WORD);
    h->count = (uint32_t)(words[1] >> 32);
    return h->version == VERSION && (h->address_encoding & ~RELATIVE) == SDATA4 && h->count_encoding == UDATA4 &&
           h->entry_encoding == (FROM_HEAD | SDATA4) && h->count <= (image->end - image->table - HEAD) / ENTRY;
}

static int search_table(struct unwind_space *s, unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need)
{
    struct search image = {.p = ip, .flags = PF_X};
    struct head h;
    if (!find_image(&image) || !read_head(s, &image, &h))
        return -UNW_ENOINFO;
    unw_dyn_info_t table = {.start_ip = image.lo, .end_ip = image.hi, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    table.u.rti.segbase = image.table;
    table.u.rti.table_data = image.table + HEAD;
    table.u.rti.table_len = (uint64_t)h.count * ENTRY / sizeof(unw_word_t);
    return s->calls->dwarf_search_unwind_table(as, ip, &table, pi, need, s);
}

/* ---- accessors ---- */

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need, void *arg)
{
    struct unwind_space *s = arg;
    int r = search_table(s, as, ip, pi, need);
    s->failed |= r < 0;
    return r;
}

/* libunwind frees what it made itself. */
static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
    (void)as;
    (void)pi;
    (void)arg;
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *p, void *arg)
{
    (void)as;
    (void)p;
    (void)arg;
    return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t p, unw_word_t *word, int write, void *arg)
{
    (void)as;
    return !write && unwind_space_read(arg, p, word) ? 0 : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t r, unw_word_t *word, int write, void *arg)
{
    (void)as;
    const struct unwind_space *s = arg;
    if (write || r < 0 || r >= UNWIND_REGISTERS)
        return -UNW_EBADREG;
    *word = s->copy->registers[r];
    return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t r, unw_fpreg_t *value, int write, void *arg)
{
    (void)as;
    (void)r;
    (void)value;
    (void)write;
    (void)arg;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
    (void)as;
    (void)cursor;
    (void)arg;
    return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t size, unw_word_t *offset, void *arg)
{
    (void)as;
    (void)ip;
    (void)name;
    (void)size;
    (void)offset;
    (void)arg;
    return -UNW_ENOINFO;
}

/* A newer library than the header's copies more of it: what was added may be NULL. */
static struct {
    unw_accessors_t known;
    void *added[8];
} accessors = {.known = {
                   .find_proc_info = find_proc_info,
                   .put_unwind_info = put_unwind_info,
                   .get_dyn_info_list_addr = get_dyn_info_list_addr,
                   .access_mem = access_mem,
                   .access_reg = access_reg,
                   .access_fpreg = access_fpreg,
                   .resume = resume,
                   .get_proc_name = get_proc_name,
               }};

unw_addr_space_t unwind_space_create(const struct unwind_calls *calls)
{
    return calls->create_addr_space(&accessors.known, 0);
}
