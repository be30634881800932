/* scan.h - marking: words in, mark bits out. The world is stopped. */
#ifndef MARK_SCAN_H
#define MARK_SCAN_H

#include "mark/find_object.h"
#include "mark/workbuf.h"

enum {
    WORD_RING = 16,         /* words whose span is on its way into the cache */
    OBJECT_RING = 8,        /* grey objects whose first lines are */
    SCAN_PIECE = 128 * 1024 /* bytes of a large object that are one piece of work */
};

/* The words in flight, oldest at out; in and out run freely. */
struct word_ring {
    uintptr_t p[WORD_RING];
    struct mspan *span[WORD_RING];
    unsigned in, out;
};

/* One marker. */
struct marker {
    struct workstack stack;
    struct word_ring words;
    uint64_t marked_bytes;  /* of all objects found live */
    uint64_t scanned_bytes; /* of objects scanned */
};

void marker_init(struct marker *m);

/* Mark what the words of [lo, hi) refer to, as roots. With `past`, a pointer one past an object's end holds it too. */
void mark_roots(struct marker *m, uintptr_t lo, uintptr_t hi, bool past);

/* Mark an object that is live whatever refers to it. */
void mark_object(struct marker *m, struct ref r);

/* Scan until nothing is grey; afterwards all that is reachable from what was marked is marked. */
void mark_drain(struct marker *m);

/* For tests of the verifying mark: the object at this address is not marked by the next mark. 0 is none. */
void mark_plant_fault(uintptr_t base);

#endif
