/* weaklink.c - disappearing links: a record each, which is a special of two slots.
 * Owns:   the records, the tables of large objects with many links.
 * Locks:  SPECIAL; takes PERSISTENT inside.
 * Keeps:  .both   a link that has a slot is in the list of its target, and in that of its holder or in the holder's table
 *         .gone   one that has none is in its target's list and among the gone, until they are settled; or its record is
 *                 free
 *         .hidden nothing of it is a pointer to an object for a scan: this is not memory that is scanned
 * Below:  specials, fixalloc, sysmem.   Above: cycle/lifetimes.c, api/weaklink.c.
 *
 * A table of pointers to one parent, or an object full of links: lists of either kind may be long, and none of them must be
 * walked for each link in it. So a link that ends from its holder's side stays in its target's list, gone, until as many
 * are that a walk for all of them pays, or the next collection. And a large object with many links has a table by word. */
#include "heap/weaklink.h"

#include "base/check.h"
#include "heap/fixalloc.h"

enum {
    GONE_MOST = 1024,   /* links that are gone, and a quarter of the others, before they are settled meanwhile */
    NEAR = 8,           /* so far into a target's list a link is looked for, to be taken out at once */
    TABLE_BYTES = 4096, /* holders of so many bytes get a table when they have TABLE_LINKS */
    TABLE_LINKS = 8
};

/* own: the halves of the target's address. */
struct link {
    struct special target; /* in the target's list */
    struct special holder; /* in the holder's list, unless that has a table; or `next` among the gone */
    uintptr_t slot;        /* 0: it is gone, or free. Lock of specials */
};

/* Of a holder, in its list. */
struct table {
    struct special special;
    struct link **at; /* by word of the holder */
    size_t bytes;     /* of `at` */
};

static struct fixalloc records, tables;
static struct special *gone; /* of links, `holder` */
static size_t n_gone;
static _Atomic size_t links; /* lock of specials; read by anyone */

size_t weaklinks_count(void) { return atomic_load_explicit(&links, memory_order_relaxed); }

static struct link *of_target(const struct special *sp) { return (struct link *)(uintptr_t)sp; }

static struct link *of_holder(const struct special *sp)
{
    return (struct link *)((uintptr_t)sp - offsetof(struct link, holder));
}

static struct table *of_table(const struct special *sp) { return (struct table *)(uintptr_t)sp; }

/* Lock held, here and below. */
static void count(size_t by) { atomic_store_explicit(&links, weaklinks_count() + by, memory_order_relaxed); }

static struct weaklink_end around(uintptr_t p)
{
    struct mspan *s = arena_span(p);
    return (struct weaklink_end){s, mspan_index(s, p)};
}

static uintptr_t target_of(const struct link *l) { return (uintptr_t)l->holder.own << 32 | l->target.own; }

static struct link **table_at(const struct table *t, struct weaklink_end h, uintptr_t slot)
{
    return &t->at[(slot - mspan_slot(h.span, h.index)) / sizeof(uintptr_t)];
}

/* ---- the holder's side */

struct found {
    struct table *table;
    struct link *link;
    size_t links; /* in the list, as far as it was walked */
};

static struct found find(struct weaklink_end h, uintptr_t slot)
{
    struct found f = {NULL, NULL, 0};
    for (struct special *sp = specials_list(h.span, h.index); sp && !f.table && !f.link; sp = sp->next) {
        if (sp->kind == SPECIAL_LINK_TABLE) {
            f.table = of_table(sp);
            f.link = *table_at(f.table, h, slot);
        } else if (sp->kind == SPECIAL_LINK_HOLDER) {
            f.link = of_holder(sp)->slot == slot ? of_holder(sp) : NULL;
            f.links++;
        }
    }
    return f;
}

static bool is_holder(const struct special *sp) { return sp->kind == SPECIAL_LINK_HOLDER; }

static void put_into_table(struct special *sp)
{
    struct link *l = of_holder(sp);
    struct weaklink_end h = around(l->slot);
    *table_at(find(h, l->slot).table, h, l->slot) = l;
}

/* Without memory for it the list goes on, which is only slower. */
static struct table *make_table(struct weaklink_end h)
{
    if (tables.size == 0)
        fixalloc_init(&tables, sizeof(struct table), _Alignof(struct table), SYS_OTHER);
    struct table *t = fixalloc_alloc(&tables);
    if (!t)
        return NULL;
    *t = (struct table){.special.kind = SPECIAL_LINK_TABLE, .bytes = round_up(h.span->elemsize, HEAP_PAGE)};
    t->at = sysmem_alloc(t->bytes, SYS_OTHER);
    if (!t->at || !specials_add_locked(h.span, h.index, &t->special)) {
        if (t->at)
            sysmem_free(t->at, t->bytes, SYS_OTHER);
        fixalloc_free(&tables, t);
        return NULL;
    }
    specials_filter(h.span, h.index, is_holder, put_into_table);
    return t;
}

static void drop_table(struct table *t)
{
    sysmem_free(t->at, t->bytes, SYS_OTHER);
    fixalloc_free(&tables, t);
}

static bool add_to_holder(struct weaklink_end h, struct link *l, struct table *t)
{
    if (!t)
        return specials_add_locked(h.span, h.index, &l->holder);
    *table_at(t, h, l->slot) = l;
    return true;
}

/* Another link may have taken its place in the table. */
static void remove_from_holder(struct weaklink_end h, struct link *l, struct table *t)
{
    if (!t)
        specials_remove(h.span, h.index, &l->holder);
    else if (*table_at(t, h, l->slot) == l)
        *table_at(t, h, l->slot) = NULL;
}

/* ---- the target's side */

static bool is_gone(const struct special *sp) { return sp->kind == SPECIAL_LINK_TARGET && of_target(sp)->slot == 0; }

/* It is out of all lists now but that of the gone. */
static void forget_target(struct special *sp) { of_target(sp)->target.kind = 0; }

/* All of one target in one walk: those that come later in the list of the gone are out of the target's then. */
static void settle_some(struct special *list)
{
    for (struct special *sp = list; sp; sp = sp->next) {
        struct link *l = of_holder(sp);
        if (l->target.kind == 0)
            continue;
        struct weaklink_end t = around(target_of(l));
        specials_filter(t.span, t.index, is_gone, forget_target);
        CHECK(l->target.kind == 0, "weaklink.gone");
    }
}

static void settle(void)
{
    struct special *list = gone;
    settle_some(list);
    gone = NULL;
    n_gone = 0;
    for (struct special *next; list; list = next) {
        next = list->next;
        fixalloc_free(&records, of_holder(list));
    }
}

static bool is_near(const struct link *l, struct weaklink_end t)
{
    struct special *sp = specials_list(t.span, t.index);
    for (int i = 0; sp && i < NEAR; i++, sp = sp->next)
        if (sp == &l->target)
            return true;
    return false;
}

/* It is out of its holder's list. */
static void let_go(struct link *l)
{
    struct weaklink_end t = around(target_of(l));
    l->slot = 0;
    count((size_t)-1);
    if (is_near(l, t)) {
        specials_remove(t.span, t.index, &l->target);
        fixalloc_free(&records, l);
        return;
    }
    l->holder.next = gone;
    gone = &l->holder;
    n_gone++;
}

/* ---- both */

static struct link *take_record(uintptr_t slot, uintptr_t target)
{
    if (records.size == 0)
        fixalloc_init(&records, sizeof(struct link), _Alignof(struct link), SYS_OTHER);
    struct link *l = fixalloc_alloc(&records);
    if (l)
        *l = (struct link){.target = {.kind = SPECIAL_LINK_TARGET, .own = (uint32_t)target},
                           .holder = {.kind = SPECIAL_LINK_HOLDER, .own = (uint32_t)(target >> 32)},
                           .slot = slot};
    return l;
}

static bool add(struct weaklink_end h, uintptr_t slot, struct weaklink_end t, const struct found *f)
{
    struct table *table = f->table;
    struct link *l = take_record(slot, mspan_slot(t.span, t.index));
    if (!l)
        return false;
    bool in_target = specials_add_locked(t.span, t.index, &l->target);
    if (!table && f->links >= TABLE_LINKS && h.span->elemsize >= TABLE_BYTES)
        table = make_table(h);
    if (in_target && add_to_holder(h, l, table)) {
        count(1);
        return true;
    }
    if (in_target)
        specials_remove(t.span, t.index, &l->target);
    fixalloc_free(&records, l);
    return false;
}

static enum weaklink_result add_locked(struct weaklink_end h, uintptr_t slot, struct weaklink_end t)
{
    struct found f = find(h, slot);
    if (f.link && target_of(f.link) == mspan_slot(t.span, t.index))
        return WEAKLINK_OK;
    if (!add(h, slot, t, &f))
        return WEAKLINK_NO_MEMORY;
    if (f.link) {
        remove_from_holder(h, f.link, find(h, slot).table);
        let_go(f.link);
    }
    return WEAKLINK_OK;
}

/* To settle is to walk through lists of no more than these links and the others: a few steps for each that went. */
static void settle_at_times(void)
{
    if (n_gone >= GONE_MOST + weaklinks_count() / 4)
        settle();
}

enum weaklink_result weaklink_add(struct weaklink_end holder, uintptr_t slot, struct weaklink_end target)
{
    specials_lock();
    enum weaklink_result r = add_locked(holder, slot, target);
    settle_at_times();
    specials_unlock();
    return r;
}

enum weaklink_result weaklink_remove(struct weaklink_end holder, uintptr_t slot)
{
    specials_lock();
    struct found f = find(holder, slot);
    if (f.link) {
        remove_from_holder(holder, f.link, f.table);
        let_go(f.link);
    }
    settle_at_times();
    specials_unlock();
    return f.link ? WEAKLINK_OK : WEAKLINK_NONE;
}

/* The program may have stored something else there, and be about to: with gc_free it runs. */
static void zero(uintptr_t slot, const struct link *l)
{
    struct weaklink_end t = around(target_of(l));
    uintptr_t was = __atomic_load_n((uintptr_t *)slot, __ATOMIC_RELAXED);
    if (was - target_of(l) < t.span->elemsize)
        __atomic_compare_exchange_n((uintptr_t *)slot, &was, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Its target's list has it no more. One that is gone stays among the gone. */
static void end_target(struct special *sp)
{
    struct link *l = of_target(sp);
    forget_target(sp);
    if (!l->slot)
        return;
    struct weaklink_end h = around(l->slot);
    remove_from_holder(h, l, find(h, l->slot).table);
    zero(l->slot, l);
    count((size_t)-1);
    fixalloc_free(&records, l);
}

void weaklink_end_target(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "weaklink.both"); /* a mark clears those of what it leaves dead */
    end_target(sp);
}

static void end_holder(struct special *sp) { let_go(of_holder(sp)); }

void weaklink_end_holder(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "weaklink.both");
    end_holder(sp);
}

static void end_table(struct special *sp)
{
    struct table *t = of_table(sp);
    for (size_t i = 0; i < t->bytes / sizeof *t->at; i++)
        if (t->at[i])
            let_go(t->at[i]);
    drop_table(t);
}

void weaklink_end_table(struct special *sp, enum special_end why)
{
    CHECK(why == SPECIAL_FREED, "weaklink.both");
    end_table(sp);
}

static bool is_target(const struct special *sp) { return sp->kind == SPECIAL_LINK_TARGET; }
static bool is_table(const struct special *sp) { return sp->kind == SPECIAL_LINK_TABLE; }

void weaklink_clear(struct mspan *s, size_t i)
{
    specials_lock();
    specials_filter(s, i, is_target, end_target);
    specials_unlock();
}

void weaklink_drop(struct mspan *s, size_t i)
{
    specials_lock();
    specials_filter(s, i, is_holder, end_holder);
    specials_filter(s, i, is_table, end_table);
    specials_unlock();
}

void weaklinks_settle(void)
{
    specials_lock();
    settle();
    specials_unlock();
}
