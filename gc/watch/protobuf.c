/* protobuf.c - messages of Protocol Buffers.
 * Owns:   nothing; a message's buffer is its user's, and malloc's.
 * Locks:  none.
 * Keeps:  .whole  what there is no memory for sets `lost`, and does no other harm
 * Below:  the C library.   Above: pprof.
 *
 * The encoding (protobuf.dev, "Encoding"): a field is a varint of its number and a kind, then for VARINT another, for
 * BYTES a varint of the length and so many bytes. A varint has 7 bits a byte, the lowest first, and a bit that says
 * whether more follow. */
#include "watch/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT = 0, BYTES = 2, KIND_BITS = 3 };

static bool make_room(struct protobuf *m, size_t n)
{
    if (n <= m->max - m->n)
        return true;
    size_t max = greatest_of(2 * m->max, m->n + n + 64);
    unsigned char *at = realloc(m->at, max);
    if (!at) {
        m->lost = true;
        return false;
    }
    m->at = at;
    m->max = max;
    return true;
}

void protobuf_raw(struct protobuf *m, const void *from, size_t n)
{
    if (n == 0 || !make_room(m, n))
        return;
    memcpy(m->at + m->n, from, n);
    m->n += n;
}

void protobuf_varint(struct protobuf *m, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (unsigned char)(v | 0x80);
    bytes[n++] = (unsigned char)v;
    protobuf_raw(m, bytes, n);
}

void protobuf_number(struct protobuf *m, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    protobuf_varint(m, field << KIND_BITS | VARINT);
    protobuf_varint(m, v);
}

void protobuf_head(struct protobuf *m, unsigned field, size_t n)
{
    protobuf_varint(m, field << KIND_BITS | BYTES);
    protobuf_varint(m, n);
}

void protobuf_message(struct protobuf *m, unsigned field, const struct protobuf *inner)
{
    protobuf_head(m, field, inner->n);
    protobuf_raw(m, inner->at, inner->n);
    m->lost |= inner->lost;
}

void protobuf_free(struct protobuf *m)
{
    free(m->at);
    *m = (struct protobuf){.at = NULL};
}
