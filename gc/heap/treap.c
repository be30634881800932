/* treap.c - a randomised balanced tree whose nodes are the free runs themselves.
 * Owns:   the links and the priority of every run that is in it.
 * Locks:  the page heap's.
 * Keeps:  .order     left < node < right by (npages, base)                  (treap_check)
 *         .heap      a node's priority is not above its children's          (treap_check)
 *         .parent    a child's parent link points back                      (treap_check)
 * Below:  mspan.   Above: pageheap. */
#include "heap/treap.h"

#include "base/check.h"

static bool before(const struct mspan *a, const struct mspan *b)
{
    return a->npages != b->npages ? a->npages < b->npages : a->base < b->base;
}

static uint32_t next_priority(struct treap *t)
{
    uint32_t x = t->seed ? t->seed : 2463534242u; /* xorshift; Marsaglia 2003 */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return t->seed = x;
}

static struct mspan **link_to(struct treap *t, struct mspan *s)
{
    if (!s->parent)
        return &t->root;
    return s->parent->left == s ? &s->parent->left : &s->parent->right;
}

/* Child c of s takes its place, s becomes its child. */
static void rotate_up(struct treap *t, struct mspan *c)
{
    struct mspan *s = c->parent, **at = link_to(t, s), *moved;
    if (s->left == c) {
        moved = s->left = c->right;
        c->right = s;
    } else {
        moved = s->right = c->left;
        c->left = s;
    }
    if (moved)
        moved->parent = s;
    c->parent = s->parent;
    s->parent = c;
    *at = c;
}

void treap_insert(struct treap *t, struct mspan *s)
{
    struct mspan **at = &t->root, *parent = NULL;
    while (*at) {
        parent = *at;
        at = before(s, parent) ? &parent->left : &parent->right;
    }
    s->left = s->right = NULL;
    s->parent = parent;
    s->priority = next_priority(t);
    *at = s;
    while (s->parent && s->parent->priority > s->priority)
        rotate_up(t, s);
}

void treap_remove(struct treap *t, struct mspan *s)
{
    while (s->left || s->right) {
        struct mspan *l = s->left, *r = s->right;
        rotate_up(t, !r || (l && l->priority < r->priority) ? l : r);
    }
    *link_to(t, s) = NULL;
    s->parent = NULL;
}

struct mspan *treap_find(const struct treap *t, size_t npages)
{
    struct mspan *s = t->root, *best = NULL;
    while (s) {
        if (s->npages >= npages) {
            best = s;
            s = s->left;
        } else {
            s = s->right;
        }
    }
    return best;
}

struct mspan *treap_first(const struct treap *t)
{
    struct mspan *s = t->root;
    while (s && s->left)
        s = s->left;
    return s;
}

struct mspan *treap_next(const struct mspan *s)
{
    if (s->right) {
        for (s = s->right; s->left;)
            s = s->left;
        return (struct mspan *)s;
    }
    while (s->parent && s->parent->right == s)
        s = s->parent;
    return s->parent;
}

struct mspan *treap_last(const struct treap *t)
{
    struct mspan *s = t->root;
    while (s && s->right)
        s = s->right;
    return s;
}

struct mspan *treap_previous(const struct mspan *s)
{
    if (s->left) {
        for (s = s->left; s->right;)
            s = s->right;
        return (struct mspan *)s;
    }
    while (s->parent && s->parent->left == s)
        s = s->parent;
    return s->parent;
}

static void check_node(const struct mspan *s)
{
    const struct mspan *kids[] = {s->left, s->right};
    for (int i = 0; i < 2; i++) {
        if (!kids[i])
            continue;
        CHECK_ALWAYS(kids[i]->parent == s, "treap.parent");
        CHECK_ALWAYS(kids[i]->priority >= s->priority, "treap.heap");
    }
}

size_t treap_check(const struct treap *t)
{
    size_t n = 0;
    const struct mspan *last = NULL;
    for (const struct mspan *s = treap_first(t); s; last = s, s = treap_next(s), n++) {
        check_node(s);
        CHECK_ALWAYS(!last || before(last, s), "treap.order");
    }
    return n;
}
