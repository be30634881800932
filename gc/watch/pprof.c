/* pprof.c - a heap profile in the format of pprof.
 * Owns:   nothing; a profile that is being written, with its tables, is malloc's and its writer's.
 * Locks:  none; the dynamic linker's list lock inside os_each_text, under which nothing is allocated.
 * Keeps:  .once     a string, a function, a location, a mapping is written when it is first needed, and not again
 *         .dense    their numbers are those of their order: 1, 2, ..., of strings 0, 1, ...
 *         .program  mapping 1 is the program, which pprof takes the first for
 *         .fails    after an error nothing more is written, and the error is what pprof_end tells
 * Below:  gzip, protobuf, os_symbols.   Above: api.
 *
 * The format is profile.proto of github.com/google/pprof, the contents are what Go's runtime/pprof writes for a heap. The
 * fields of a message may stand in any order, so that all goes out as it comes and only the tables stay in memory. */
#include "watch/pprof.h"

#include "os/os_symbols.h"
#include "watch/gzip.h"
#include "watch/protobuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of fields, message by message. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING_TABLE,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
    TYPE_TYPE = 1,
    TYPE_UNIT,
    SAMPLE_LOCATION_ID = 1,
    SAMPLE_VALUE,
    SAMPLE_LABEL,
    LABEL_KEY = 1,
    LABEL_NUM = 3,
    LABEL_NUM_UNIT,
    MAPPING_ID = 1,
    MAPPING_MEMORY_START,
    MAPPING_MEMORY_LIMIT,
    MAPPING_FILE_OFFSET,
    MAPPING_FILENAME,
    MAPPING_BUILD_ID,
    LOCATION_ID = 1,
    LOCATION_MAPPING_ID,
    LOCATION_ADDRESS,
    LOCATION_LINE,
    LINE_FUNCTION_ID = 1,
    FUNCTION_ID = 1,
    FUNCTION_NAME,
    FUNCTION_SYSTEM_NAME
};

/* What has a number already: an open hash table. The keys of strings are hashes, which two of them may share. */
struct slot {
    uint64_t key;
    uint32_t id;   /* from 1 up; 0: free */
    uint32_t text; /* a string's place in `texts` */
};

struct table {
    struct slot *slots;
    size_t size, n; /* size is a power of two, or 0 */
};

struct image {
    uintptr_t lo, hi;
    uint64_t offset;
    size_t path, build_id; /* places in the images' texts */
    uint32_t id;           /* 0: not written yet */
};

struct images {
    struct image *v;
    char *texts;
    size_t n, size;         /* how many there are, and bytes of texts */
    size_t max_n, max_size; /* how many there is room for */
};

struct pprof {
    struct gzip file;
    struct images images;
    uint32_t mappings;
    struct table strings, functions, locations;
    struct protobuf texts;                  /* the strings, each with its 0 */
    struct protobuf message, nested, stack; /* what is being put together */
    struct protobuf head;
};

/* .fails */
static void check_memory(struct pprof *p, bool lost)
{
    if (lost)
        gzip_fail(&p->file, ENOMEM);
}

/* The profile's next field, of n bytes. */
static void write_bytes(struct pprof *p, unsigned field, const void *bytes, size_t n)
{
    protobuf_clear(&p->head);
    protobuf_head(&p->head, field, n);
    check_memory(p, p->head.lost);
    gzip_add(&p->file, p->head.at, p->head.n);
    gzip_add(&p->file, bytes, n);
}

static void write_message(struct pprof *p, unsigned field)
{
    check_memory(p, p->message.lost);
    write_bytes(p, field, p->message.at, p->message.n);
    protobuf_clear(&p->message);
}

static void write_number(struct pprof *p, unsigned field, uint64_t v)
{
    protobuf_clear(&p->head);
    protobuf_number(&p->head, field, v);
    check_memory(p, p->head.lost);
    gzip_add(&p->file, p->head.at, p->head.n);
}

/* Spreads keys, most of which are addresses not far from each other (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccd;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53;
    return k ^ k >> 33;
}

/* The next slot with that key or the free one that ends the search, from *at on. */
static struct slot *next_slot(const struct table *t, uint64_t key, size_t *at)
{
    struct slot *s;
    do
        s = &t->slots[(*at)++ & (t->size - 1)];
    while (s->id != 0 && s->key != key);
    return s;
}

static bool table_reserve(struct table *t)
{
    if (4 * t->n < 3 * t->size)
        return true;
    struct table wider = {.size = t->size ? 2 * t->size : 64, .n = t->n};
    wider.slots = calloc(wider.size, sizeof *wider.slots);
    if (!wider.slots)
        return false;
    for (size_t i = 0; i < t->size; i++) {
        size_t at = mix(t->slots[i].key);
        while (t->slots[i].id && wider.slots[at & (wider.size - 1)].id)
            at++;
        if (t->slots[i].id)
            wider.slots[at & (wider.size - 1)] = t->slots[i];
    }
    free(t->slots);
    *t = wider;
    return true;
}

/* The number of that key; *new when it has just got one. 0: no memory. */
static uint32_t number_of(struct pprof *p, struct table *t, uint64_t key, bool *new)
{
    size_t at = mix(key);
    *new = false;
    if (!table_reserve(t)) {
        check_memory(p, true);
        return 0;
    }
    struct slot *s = next_slot(t, key, &at);
    if (s->id == 0) {
        *s = (struct slot){.key = key, .id = (uint32_t)++t->n};
        *new = true;
    }
    return s->id;
}

/* FNV-1a. */
static uint64_t hash(const char *text, size_t n)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
    return h;
}

/* The string's place in the profile's string table, where it is from now on. */
static uint64_t string(struct pprof *p, const char *text)
{
    size_t n = strlen(text);
    uint64_t key = hash(text, n);
    size_t at = mix(key), place = p->texts.n;
    struct slot *s;
    if (p->file.error || !table_reserve(&p->strings)) {
        check_memory(p, true);
        return 0;
    }
    do
        s = next_slot(&p->strings, key, &at);
    while (s->id != 0 && strcmp((const char *)p->texts.at + s->text, text) != 0);
    if (s->id != 0)
        return s->id - 1;
    protobuf_raw(&p->texts, text, n + 1);
    check_memory(p, p->texts.lost || p->texts.n > UINT32_MAX);
    if (p->file.error)
        return 0;
    *s = (struct slot){.key = key, .id = (uint32_t)++p->strings.n, .text = (uint32_t)place};
    write_bytes(p, PROFILE_STRING_TABLE, text, n);
    return s->id - 1;
}

/* ---- the program and its libraries */

/* Always counted, so that the next attempt has room for all. */
static void take_image(const struct os_text *t, void *arg)
{
    static const char digits[] = "0123456789abcdef";
    struct images *im = arg;
    size_t path = strlen(t->path) + 1, build_id = 2 * t->build_id_size + 1, at = im->size, i = im->n++;
    im->size += path + build_id;
    if (im->n > im->max_n || im->size > im->max_size)
        return;
    im->v[i] = (struct image){t->lo, t->hi, t->offset, at, at + path, 0};
    memcpy(im->texts + at, t->path, path);
    char *hex = im->texts + at + path;
    for (size_t b = 0; b < t->build_id_size; b++) {
        *hex++ = digits[t->build_id[b] >> 4];
        *hex++ = digits[t->build_id[b] & 15];
    }
    *hex = 0;
}

/* Twice at least: nothing may be allocated while the list is locked, by us no more than by another thread that holds
 * malloc's lock and waits for the list. */
static bool take_images(struct images *im)
{
    for (;;) {
        im->n = im->size = 0;
        os_each_text(take_image, im);
        if (im->n <= im->max_n && im->size <= im->max_size)
            return true;
        free(im->v);
        free(im->texts);
        im->max_n = im->n;
        im->max_size = im->size;
        im->v = calloc(im->max_n, sizeof *im->v);
        im->texts = malloc(im->max_size);
        if (!im->v || !im->texts)
            return false;
    }
}

/* .once */
static uint32_t write_mapping(struct pprof *p, struct image *i)
{
    if (i->id)
        return i->id;
    uint64_t path = string(p, p->images.texts + i->path), build_id = string(p, p->images.texts + i->build_id);
    i->id = ++p->mappings;
    protobuf_number(&p->message, MAPPING_ID, i->id);
    protobuf_number(&p->message, MAPPING_MEMORY_START, i->lo);
    protobuf_number(&p->message, MAPPING_MEMORY_LIMIT, i->hi);
    protobuf_number(&p->message, MAPPING_FILE_OFFSET, i->offset);
    protobuf_number(&p->message, MAPPING_FILENAME, path);
    protobuf_number(&p->message, MAPPING_BUILD_ID, build_id);
    write_message(p, PROFILE_MAPPING);
    return i->id;
}

/* 0: it is in none, as code that was made while the program runs. */
static uint32_t mapping_of(struct pprof *p, uintptr_t address)
{
    for (size_t i = 0; i < p->images.n; i++)
        if (address >= p->images.v[i].lo && address < p->images.v[i].hi)
            return write_mapping(p, &p->images.v[i]);
    return 0;
}

/* ---- places in them */

static uint32_t function(struct pprof *p, const char *name)
{
    bool new;
    uint64_t text = string(p, name);
    uint32_t id = number_of(p, &p->functions, text, &new);
    if (new) {
        /* The same for both, by which pprof knows that the name is still to be demangled. */
        protobuf_number(&p->message, FUNCTION_ID, id);
        protobuf_number(&p->message, FUNCTION_NAME, text);
        protobuf_number(&p->message, FUNCTION_SYSTEM_NAME, text);
        write_message(p, PROFILE_FUNCTION);
    }
    return id;
}

static void write_location(struct pprof *p, uint32_t id, uintptr_t address, const char *name)
{
    uint32_t mapping = mapping_of(p, address), function_id = name && *name ? function(p, name) : 0;
    protobuf_number(&p->message, LOCATION_ID, id);
    protobuf_number(&p->message, LOCATION_MAPPING_ID, mapping);
    protobuf_number(&p->message, LOCATION_ADDRESS, address);
    if (function_id) {
        protobuf_clear(&p->nested);
        protobuf_number(&p->nested, LINE_FUNCTION_ID, function_id);
        protobuf_message(&p->message, LOCATION_LINE, &p->nested);
    }
    write_message(p, PROFILE_LOCATION);
}

/* A call returns behind itself, perhaps to the next line or function: what is meant is the byte before. */
static uint32_t location(struct pprof *p, uintptr_t returns_to)
{
    bool new;
    uintptr_t address = returns_to ? returns_to - 1 : 0;
    uint32_t id = number_of(p, &p->locations, address, &new);
    if (new)
        write_location(p, id, address, os_symbol_exported(address));
    return id;
}

/* ---- the profile */

static void write_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
    uint64_t t = string(p, type), u = string(p, unit);
    protobuf_number(&p->message, TYPE_TYPE, t);
    protobuf_number(&p->message, TYPE_UNIT, u);
    write_message(p, field);
}

static void write_types(struct pprof *p)
{
    write_type(p, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
    write_type(p, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
    write_type(p, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
    write_type(p, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
    write_number(p, PROFILE_DEFAULT_SAMPLE_TYPE, string(p, "inuse_space"));
    write_type(p, PROFILE_PERIOD_TYPE, "space", "bytes");
}

struct pprof *pprof_begin(int fd, uint64_t rate, uint64_t time_ns, uint64_t duration_ns)
{
    struct pprof *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    gzip_begin(&p->file, fd);
    check_memory(p, !take_images(&p->images));
    string(p, "");
    write_types(p);
    write_number(p, PROFILE_PERIOD, rate);
    write_number(p, PROFILE_TIME_NANOS, time_ns);
    write_number(p, PROFILE_DURATION_NANOS, duration_ns);
    if (p->images.n && p->file.error == 0)
        write_mapping(p, &p->images.v[0]);
    return p;
}

/* The reader's numbers have a sign. */
static void add_value(struct pprof *p, uint64_t v) { protobuf_varint(&p->nested, least_of(v, INT64_MAX)); }

static void add_values(struct pprof *p, const struct pprof_record *r)
{
    protobuf_clear(&p->nested);
    add_value(p, r->alloc_objects);
    add_value(p, r->alloc_bytes);
    add_value(p, r->inuse_objects);
    add_value(p, r->inuse_bytes);
    protobuf_message(&p->message, SAMPLE_VALUE, &p->nested);
}

static void add_label(struct pprof *p, uint64_t bytes, uint64_t text)
{
    protobuf_clear(&p->nested);
    protobuf_number(&p->nested, LABEL_KEY, text);
    protobuf_number(&p->nested, LABEL_NUM, least_of(bytes, INT64_MAX));
    protobuf_number(&p->nested, LABEL_NUM_UNIT, text);
    protobuf_message(&p->message, SAMPLE_LABEL, &p->nested);
}

void pprof_record(struct pprof *p, const struct pprof_record *r)
{
    if (!p || p->file.error)
        return;
    uint64_t bytes = string(p, "bytes");
    protobuf_clear(&p->stack);
    for (size_t i = 0; i < r->depth && p->file.error == 0; i++)
        protobuf_varint(&p->stack, location(p, r->stack[i]));
    if (r->depth == 0) /* pprof counts a sample without any place in the total, but shows it nowhere */
        protobuf_varint(&p->stack, location(p, 0));
    protobuf_message(&p->message, SAMPLE_LOCATION_ID, &p->stack);
    add_values(p, r);
    if (r->object_bytes)
        add_label(p, r->object_bytes, bytes);
    write_message(p, PROFILE_SAMPLE);
}

static void pprof_free(struct pprof *p)
{
    free(p->images.v);
    free(p->images.texts);
    free(p->strings.slots);
    free(p->functions.slots);
    free(p->locations.slots);
    protobuf_free(&p->texts);
    protobuf_free(&p->message);
    protobuf_free(&p->nested);
    protobuf_free(&p->stack);
    protobuf_free(&p->head);
    free(p);
}

int pprof_end(struct pprof *p)
{
    int error = ENOMEM;
    if (p) {
        error = gzip_end(&p->file);
        pprof_free(p);
    }
    if (error)
        errno = error;
    return error ? -1 : 0;
}
