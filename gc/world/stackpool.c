/* stackpool.c - stacks cut from large mappings.
 * Owns:   the mappings, which are never given back, and the idle stacks.
 * Locks:  STACKS.
 * Keeps:  .idle   an idle stack stays in the table, so that a thread found running on it is seen    (stacks_note_sp)
 *         .maps   mappings made for guards are at most a quarter of what the kernel allows            (map_heavy)
 * Below:  stacks, sysmem, os_mem.   Above: api, memstats.   See doc/design/coroutines.md
 *
 * A slot is a page for the guard and the stack above it. Where the kernel has guards that are no mapping of their own,
 * a slab of a thousand slots is one mapping; else each guard costs two, and a process may have 65,530. */
#include "world/stackpool.h"

#include "base/check.h"
#include "heap/sysmem.h"
#include "os/os.h"
#include "os/os_mem.h"

enum {
    SIZES = 17, /* powers of two from the least to the most */
    FIRST_SLOTS = 8,
    MOST_SLOTS = 1024,
    SLAB_BYTES = 64 << 20, /* no slab of several slots is larger */
    MAP_BYTES = 1 << 20,   /* so much is mapped at a time, or one slot */
    WARM = 16              /* idle stacks of a size that keep their pages */
};

_Static_assert(STACKPOOL_LEAST << (SIZES - 1) == STACKPOOL_MOST, "the sizes go from the least to the most");

static struct size {
    struct stack *warm, *cold; /* idle, with and without pages */
    uint32_t nwarm;
    size_t slots;        /* of the next slab; 0 before the first */
    uintptr_t next, end; /* slots of the slab that are not yet stacks */
    uintptr_t mapped;    /* up to here */
} sizes[SIZES];
static uint64_t inuse;    /* bytes; STACKS */
static uint64_t mappings; /* made for guards; STACKS */
static uint64_t most_mappings;

static enum { NOT_YET, LIGHT, HEAVY, USED_UP } guards; /* what the next stack gets; STACKS */

static size_t stack_bytes(unsigned c) { return (size_t)STACKPOOL_LEAST << c; }
static size_t slot_bytes(unsigned c) { return stack_bytes(c) + os_page_size(); }

static unsigned size_class(size_t size)
{
    unsigned c = 0;
    while (stack_bytes(c) < size)
        c++;
    return c;
}

/* Each slab has twice the slots of the one before, or as many as can be had. */
static bool reserve_slab(struct size *z, unsigned c)
{
    size_t bytes = slot_bytes(c), most = SLAB_BYTES / bytes;
    most = most < 1 ? 1 : most < MOST_SLOTS ? most : MOST_SLOTS;
    size_t n = z->slots == 0 ? FIRST_SLOTS : z->slots * 2;
    n = n < most ? n : most;
    void *p = NULL;
    while (n > 0 && !(p = os_reserve(0, n * bytes, false)))
        n /= 2;
    if (!p)
        return false;
    os_avoid_huge_pages(p, n * bytes);
    z->slots = n;
    z->next = z->mapped = (uintptr_t)p;
    z->end = z->next + n * bytes;
    return true;
}

/* Map slots from `mapped` on, and guard each: one system call for all, and one for each. */
static bool map_light(struct size *z, unsigned c)
{
    size_t slot = slot_bytes(c), n = slot < MAP_BYTES ? MAP_BYTES / slot : 1, left = (z->end - z->mapped) / slot;
    n = n < left ? n : left;
    if (!sysmem_map((void *)z->mapped, n * slot, SYS_STACK))
        return false;
    for (uintptr_t end = z->mapped + n * slot; z->mapped < end; z->mapped += slot)
        if (!os_guard((void *)z->mapped, os_page_size()))
            guards = USED_UP;
    return true;
}

/* The guard is what is left out of the mapping. */
static bool map_heavy(struct size *z, unsigned c)
{
    size_t page = os_page_size(), slot = slot_bytes(c);
    if (most_mappings == 0)
        most_mappings = os_max_mappings() / 4;
    if (mappings + 2 > most_mappings || !sysmem_map((void *)(z->next + page), slot - page, SYS_STACK))
        return false;
    mappings += 2;
    z->mapped = z->next + slot;
    return true;
}

static bool map_unguarded(struct size *z, unsigned c)
{
    if (!sysmem_map((void *)z->next, slot_bytes(c), SYS_STACK))
        return false;
    z->mapped = z->next + slot_bytes(c);
    guards = USED_UP;
    return true;
}

/* Make the slot at z->next usable. */
static bool map_next(struct size *z, unsigned c)
{
    if (guards == NOT_YET)
        guards = os_guards_known() ? LIGHT : HEAVY;
    if (z->next < z->mapped)
        return true;
    if (guards == LIGHT)
        return map_light(z, c);
    return (guards == HEAVY && map_heavy(z, c)) || map_unguarded(z, c);
}

static struct stack *make(struct size *z, unsigned c)
{
    int error;
    if ((z->next == z->end && !reserve_slab(z, c)) || !map_next(z, c))
        return NULL;
    struct stack *s = stacks_add(z->next + os_page_size(), z->next + slot_bytes(c), STACK_ALLOCATED, &error);
    if (!s)
        return NULL;
    s->size_class = (uint8_t)c;
    z->next += slot_bytes(c);
    return s;
}

static struct stack *pop(struct stack **list)
{
    struct stack *s = *list;
    if (s)
        *list = s->next;
    return s;
}

static void push(struct stack **list, struct stack *s)
{
    s->next = *list;
    *list = s;
}

static struct stack *pop_idle(struct size *z)
{
    struct stack *s = pop(&z->warm);
    z->nwarm -= s != NULL;
    if (!s)
        s = pop(&z->cold);
    if (s)
        stacks_reset(s, STACK_ALLOCATED);
    return s;
}

struct stack *stackpool_alloc(size_t size)
{
    unsigned c = size_class(size);
    lock_acquire(&stacks_lock);
    struct stack *s = pop_idle(&sizes[c]);
    if (!s)
        s = make(&sizes[c], c);
    if (s)
        inuse += stack_bytes(c);
    lock_release(&stacks_lock);
    return s;
}

bool stackpool_take_back(struct stack *s)
{
    struct size *z = &sizes[s->size_class];
    CHECK(s->kind == STACK_ALLOCATED && lock_held(RANK_STACKS), "stackpool.idle");
    stacks_reset(s, STACK_IDLE);
    inuse -= s->hi - s->lo;
    if (z->nwarm == WARM)
        return true;
    push(&z->warm, s);
    z->nwarm++;
    return false;
}

void stackpool_release(struct stack *s) { os_release((void *)s->lo, s->hi - s->lo); }

void stackpool_put(struct stack *s)
{
    CHECK(s->kind == STACK_IDLE && lock_held(RANK_STACKS), "stackpool.idle");
    push(&sizes[s->size_class].cold, s);
}

struct stack *stackpool_take_warm(void)
{
    for (unsigned c = 0; c < SIZES; c++) {
        struct stack *s = pop(&sizes[c].warm);
        if (s) {
            sizes[c].nwarm--;
            return s;
        }
    }
    return NULL;
}

bool stackpool_guards_used_up(void)
{
    lock_acquire(&stacks_lock);
    bool used_up = guards == USED_UP;
    lock_release(&stacks_lock);
    return used_up;
}

uint64_t stackpool_inuse(void) { return inuse; }
