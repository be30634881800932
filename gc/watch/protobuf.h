/* protobuf.h - messages of Protocol Buffers, put together by hand: a buffer that grows, to which fields are added. */
#ifndef WATCH_PROTOBUF_H
#define WATCH_PROTOBUF_H

#include "base/attr.h"

/* All zero: an empty one. */
struct protobuf {
    unsigned char *at; /* of malloc */
    size_t n, max;
    bool lost; /* there was no memory for all of it */
};

/* Bytes as they are. */
void protobuf_raw(struct protobuf *m, const void *from, size_t n);

/* A number without a field, as packed repeated fields have it. */
void protobuf_varint(struct protobuf *m, uint64_t v);

/* A field that is a number; none if it is 0, which is what a reader takes for a field that is not there. */
void protobuf_number(struct protobuf *m, unsigned field, uint64_t v);

/* The head of a field of so many bytes: a string, a message, packed numbers. They follow. */
void protobuf_head(struct protobuf *m, unsigned field, size_t n);

/* A field that is a message or packed numbers. */
void protobuf_message(struct protobuf *m, unsigned field, const struct protobuf *inner);

/* Empty it, for the next; what was lost stays lost. */
static inline void protobuf_clear(struct protobuf *m) { m->n = 0; }

void protobuf_free(struct protobuf *m);

#endif
