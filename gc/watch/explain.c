/* explain.c - telling a path as a person would.
 * Owns:   nothing.
 * Locks:  none of ours; names are looked up, which takes the dynamic linker's and libdw's.
 * Below:  path, os_symbols, unwind_copy.   Above: api/explain.c. */
#include "watch/explain.h"

#include "os/os.h"
#include "os/os_file.h"
#include "os/os_mangle.h"
#include "os/os_symbols.h"
#include "watch/out.h"

#include <stdio.h>
#include <string.h>

enum { SITE_FRAMES = 3, DEEPEST_CALL = 16 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "parse_line (parser.c:88)", "parse_line+0x12 in libfoo.so", or an address. */
static void add_symbol(struct out *o, uintptr_t ip, const struct os_symbol *s)
{
    if (s->name[0] && s->line)
        out_printf(o, "%s (%s:%u)", s->name, base_name(s->file), s->line);
    else if (s->name[0])
        out_printf(o, "%s+0x%lx in %s", s->name, (unsigned long)s->offset, base_name(s->image));
    else if (s->image[0])
        out_printf(o, "%#lx in %s", (unsigned long)s->image_offset, base_name(s->image));
    else
        out_printf(o, "code at %#lx", (unsigned long)ip);
}

static void add_code(struct out *o, uintptr_t ip)
{
    struct os_symbol s;
    os_symbol_of_code(ip, &s);
    add_symbol(o, ip, &s);
}

/* "parse (a.c:12) < main (a.c:99)", as many frames. */
static void add_stack(struct out *o, const struct bucket *b, size_t frames)
{
    for (size_t i = 0; i < b->depth && i < frames; i++) {
        struct os_symbol s;
        os_symbol_of_code(b->stack[i] - 1, &s);
        out_printf(o, "%s", i ? " < " : "");
        add_symbol(o, b->stack[i] - 1, &s);
        if (strcmp(s.name, "main") == 0) /* what called that is of no interest */
            return;
    }
}

void explain_frames(struct out *o, const struct bucket *b)
{
    for (size_t i = 0; i < b->depth; i++) {
        out_printf(o, "    #%zu ", i);
        add_code(o, b->stack[i] - 1);
        out_printf(o, "\n");
    }
    if (b->depth == 0)
        out_printf(o, "    (the stack could not be walked)\n");
}

/* "48 bytes, never scanned, allocated by cons (lisp.c:12)" */
static void add_object(struct out *o, const struct path_object *object)
{
    const char *scan = object->ephemeron ? ", an ephemeron"
                       : object->noscan  ? ", never scanned"
                       : object->typed   ? ", scanned by a layout"
                                         : "";
    out_printf(o, "%zu bytes%s%s", object->bytes, scan, object->pinned ? ", uncollectable" : "");
    if (object->bucket && object->bucket->depth) {
        out_printf(o, ", allocated by ");
        add_stack(o, object->bucket, SITE_FRAMES);
    }
}

static void add_thread(struct out *o, int tid)
{
    char path[64], name[32];
    long n = -1;
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    int fd = os_file_open(path);
    if (fd >= 0) {
        n = os_file_read(fd, name, sizeof name - 1);
        os_file_close(fd);
    }
    out_printf(o, "thread %d", tid);
    if (n > 1)
        out_printf(o, " \"%.*s\"", (int)n - 1, name);
}

/* ---- frames ---- */

struct outer {
    uintptr_t caller;
    unsigned skip; /* frames of ours before the program's first */
};

static bool look_for_caller(const struct unwind_frame *f, void *arg)
{
    struct outer *u = arg;
    bool found = f->ip + 1 == u->caller;
    if (found)
        u->skip = f->number;
    return !found && f->number < DEEPEST_CALL;
}

/* Frames are numbered as a debugger does; of who asks, from the one that does. */
static unsigned own_frames(const struct path *p, uintptr_t caller)
{
    struct outer u = {.caller = caller};
    if (p->tid == p->asking_tid)
        unwind_copy_each(&p->stack, look_for_caller, &u);
    return u.skip;
}

static bool find_frame(const struct path *p, struct unwind_frame *f)
{
    if (!p->has_stack)
        return false;
    if (p->reg < UNWIND_REGISTERS)
        return unwind_copy_find_register(&p->stack, p->reg, f);
    return p->root == ROOT_STACK && unwind_copy_find_slot(&p->stack, p->at, f);
}

static void add_frame(struct out *o, const struct path *p, uintptr_t caller)
{
    struct unwind_frame f;
    bool found = find_frame(p, &f);
    unsigned own = found ? own_frames(p, caller) : 0;
    if (found && f.number >= own) {
        out_printf(o, ", frame #%u ", f.number - own);
        add_code(o, f.ip);
    } else if (found) {
        out_printf(o, ", in the library");
    }
    if (found && f.reg)
        out_printf(o, ", register %s", f.reg);
    else if (found && p->root == ROOT_STACK && p->at < f.sp)
        out_printf(o, ", below its stack at rsp-0x%lx", (unsigned long)(f.sp - p->at));
    else if (found && p->root == ROOT_STACK)
        out_printf(o, ", stack slot rsp+0x%lx", (unsigned long)(p->at - f.sp));
    else if (p->reg < UNWIND_REGISTERS)
        out_printf(o, ", register %s", unwind_register_name(p->reg));
    else
        out_printf(o, p->root == ROOT_STACK ? ", stack at %#lx" : ", a vector register, kept at %#lx",
                   (unsigned long)p->at);
}

/* ---- roots ---- */

/* "symbol_table+0x40 in libfoo.so" */
static void add_variable(struct out *o, const struct os_symbol *s)
{
    if (!s->name[0])
        out_printf(o, "%#lx in %s", (unsigned long)s->image_offset, base_name(s->image));
    else if (s->offset)
        out_printf(o, "%s+%#lx in %s", s->name, (unsigned long)s->offset, base_name(s->image));
    else
        out_printf(o, "%s in %s", s->name, base_name(s->image));
}

static void add_data(struct out *o, const struct path *p)
{
    struct os_symbol s;
    os_symbol_of_data(p->at, &s);
    out_printf(o, "global ");
    if (s.image[0])
        add_variable(o, &s);
    else
        out_printf(o, "at %#lx", (unsigned long)p->at);
}

static void add_tls(struct out *o, const struct path *p)
{
    struct os_symbol s = {.name = ""};
    if (p->module)
        os_symbol_of_tls(p->module, p->tls, &s);
    out_printf(o, "thread-local ");
    if (s.name[0])
        add_variable(o, &s);
    else
        out_printf(o, "storage at %#lx", (unsigned long)p->at);
    out_printf(o, " of ");
    add_thread(o, p->tid);
}

static void add_on_thread(struct out *o, const struct path *p, uintptr_t caller)
{
    if (p->tid == 0) {
        out_printf(o, "a stack that no thread runs on, %s at %#lx", p->root == ROOT_STACK ? "word" : "register kept",
                   (unsigned long)p->at);
        return;
    }
    add_thread(o, p->tid);
    add_frame(o, p, caller);
}

static void add_root(struct out *o, const struct path *p, uintptr_t caller)
{
    switch (p->root) {
    case ROOT_DATA:
        add_data(o, p);
        break;
    case ROOT_STACK:
    case ROOT_REGISTERS:
        if (!p->module) {
            add_on_thread(o, p, caller);
            break;
        }
        /* fall through */
    case ROOT_TLS:
        add_tls(o, p);
        break;
    case ROOT_REGISTERED:
    case ROOT_REPORTED:
    case ROOT_THROWN:
        out_printf(o, "%s %#lx-%#lx, at +0x%lx", root_kind_name(p->root), (unsigned long)p->range_lo,
                   (unsigned long)p->range_hi, (unsigned long)(p->at - p->range_lo));
        break;
    case ROOT_PINNED:
    case ROOT_POINTER:
    case ROOT_FLIGHT:
    case ROOT_FRESH:
    case ROOT_ENDCALL:
        out_printf(o, "%s", root_kind_name(p->root));
    }
}

/* ---- the way ---- */

/* What a word refers to an object by, when that is not its address. */
static void add_reference(struct out *o, const struct path_object *object, uintptr_t value)
{
    uintptr_t into = value - object->base;
    if (value == 0 || into == 0)
        return;
    if (into < object->bytes)
        out_printf(o, " (by a pointer to its byte %lu)", (unsigned long)into);
    else if (into == object->bytes)
        out_printf(o, " (by a pointer one past its end)");
    else if (os_may_be_mangled(value))
        out_printf(o, " (by a pointer that setjmp has hidden)");
}

/* Whether the step before, an ephemeron, is the one that leads to step i. */
static bool is_value(const struct path *p, size_t i)
{
    return i > 0 && p->steps[i - 1].object.ephemeron && !(p->length > p->n && i == PATH_STEPS);
}

static void add_step(struct out *o, const struct path *p, size_t i)
{
    const struct path_step *s = &p->steps[i];
    if (p->length > p->n && i == PATH_STEPS)
        out_printf(o, "    ... %zu objects more ...\n", p->length - p->n);
    if (i == 0)
        out_printf(o, "    -> ");
    else if (is_value(p, i))
        out_printf(o, "    -> as its value, while its key %#lx is alive: ", (unsigned long)p->steps[i - 1].object.key);
    else
        out_printf(o, "    -> at +%zu: ", s->offset);
    out_printf(o, "%#lx", (unsigned long)s->object.base);
    add_reference(o, &s->object, i == 0 ? p->value : s->value);
    out_printf(o, ": ");
    add_object(o, &s->object);
    out_printf(o, "\n");
}

static void add_way(struct out *o, const struct path *p, uintptr_t caller)
{
    out_printf(o, p->own_stack ? "only the thread that asks refers to it:\n    " : "is kept alive by\n    ");
    add_root(o, p, caller);
    out_printf(o, "\n");
    for (size_t i = 0; i < p->n; i++)
        add_step(o, p, i);
}

static void add_target(struct out *o, const struct path *p)
{
    out_printf(o, "%#lx: ", (unsigned long)p->asked);
    if (p->asked != p->target.base)
        out_printf(o, "byte %lu of the object at %#lx: ", (unsigned long)(p->asked - p->target.base),
                   (unsigned long)p->target.base);
    add_object(o, &p->target);
    out_printf(o, "\n");
}

bool explain_write(int fd, const struct path *p, uintptr_t caller)
{
    struct out out, *o = out_begin(&out, fd);
    if (p->found == PATH_NO_OBJECT) {
        out_printf(o,
                   arena_contains(p->asked)
                       ? "%#lx: in the heap, but no live object: freed, collected, or never allocated\n"
                       : "%#lx: not memory of this library's\n",
                   (unsigned long)p->asked);
        return out_end(o);
    }
    add_target(o, p);
    if (p->found == PATH_UNREACHABLE)
        out_printf(o, "nothing keeps it alive: the next collection frees it\n");
    else
        add_way(o, p, caller);
    os_symbols_end();
    return out_end(o);
}
