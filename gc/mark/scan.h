/* scan.h - marking: words in, mark bits out. The world is stopped. */
#ifndef MARK_SCAN_H
#define MARK_SCAN_H

#include "mark/find_object.h"
#include "mark/workpool.h"

enum {
    WORD_RING = 8,          /* words whose page's line is on its way into the cache */
    OBJECT_RING = 16,       /* grey objects whose lines are */
    SCAN_PIECE = 128 * 1024 /* bytes of a large object that are one piece of work */
};

/* One marker. */
struct marker {
    struct workstack stack;
    struct workstack values;    /* of ephemerons, found while `stack` is open; not open between two calls */
    uintptr_t words[WORD_RING]; /* in flight: nwords of them, the newest before at_word */
    unsigned at_word, nwords;
    struct mark_counts counts;
    bool watched; /* no other marker is at work, and ephemerons are looked for that wait for what is marked */
    bool shared;  /* other markers are at work: mark bits are set atomically, and what is grey is given away */
};

void marker_init(struct marker *m, bool shared);

/* Mark what the words of [lo, hi) refer to, as roots. With `past`, a pointer one past an object's end holds it too. */
void mark_roots(struct marker *m, uintptr_t lo, uintptr_t hi, bool past);

/* Mark the object that p, an address in the arena, points into: it is live whatever refers to it. */
void mark_object(struct marker *m, uintptr_t p);

/* Mark what an object refers to, not itself; of an ephemeron its value, if the key is marked. */
void mark_referents(struct marker *m, struct ref r);

/* Scan until this marker has nothing grey; when no marker has, all that is reachable from what was marked is marked,
 * unless counts.overflowed is set: then grey objects were dropped for want of memory. */
void mark_drain(struct marker *m);

/* After such a drop, when no other marker is at work: scan all that is marked again, until nothing is grey. */
void mark_rescan(struct marker *m);

/* For tests of the verifying mark: the object at this address is not marked by the next mark. 0 is none. */
void mark_plant_fault(uintptr_t base);

#endif
