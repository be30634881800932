/* os_xstate_x86_64.c - where in a signal frame the x87, MMX and vector registers are.
 * Owns:   the places of the components of the extended state, read from the CPU at first use.
 * Locks:  none; called by the collector while the world is stopped.
 * Keeps:  .whole   every component that the kernel says it stored is given: a pointer may live only in the upper half of
 *                  a vector register
 *         .holes   what lies between them is not: the kernel leaves there what the stack had, up to 1600 bytes on a CPU
 *                  with protection keys and without AVX-512, and a stale pointer in it would hold its object
 * Below:  the kernel's frame layout (bits/sigcontext.h names its fields), cpuid.   Above: mark/rootjobs.c. */
#include "os/os.h"

#include <cpuid.h>
#include <string.h>
#include <ucontext.h>

/* The registers in the 512 bytes of fxsave. The kernel describes the rest in the last 48 of these. */
enum { LEGACY_LO = 32, LEGACY_HI = 416, SW_BYTES = 464, XSTATE_MAGIC1 = 0x46505853 };

/* Bits of the mask of components; the first two are the legacy ones. cpuid tells of the others in leaf 0xd. */
enum { FIRST_EXTENDED = 2, COMPONENTS = 63, XSTATE_LEAF = 0xd };

/* size 0: the CPU has no such component. */
static struct place {
    uint32_t offset, size;
} places[COMPONENTS];

static bool places_known;

static void learn_places(void)
{
    unsigned mask_lo, most, room, mask_hi;
    if (!__get_cpuid_count(XSTATE_LEAF, 0, &mask_lo, &most, &room, &mask_hi))
        mask_lo = mask_hi = 0;
    uint64_t mask = (uint64_t)mask_hi << 32 | mask_lo;
    for (unsigned i = FIRST_EXTENDED; i < COMPONENTS; i++) {
        unsigned size, offset, flags, unused;
        if ((mask >> i & 1) && __get_cpuid_count(XSTATE_LEAF, i, &size, &offset, &flags, &unused))
            places[i] = (struct place){offset, size};
    }
    places_known = true;
}

/* All of it, where a component is not known, or there are more pieces than anybody foresaw. */
static size_t whole(uintptr_t frame, size_t size, struct os_range *r)
{
    r[0] = (struct os_range){frame, frame + (size & ~(size_t)7)};
    return 1;
}

/* The legacy range is r[0] already. A component that follows on the last range is made part of it. */
static size_t add_extended(uintptr_t frame, const struct _fpx_sw_bytes *sw, struct os_range *r)
{
    size_t n = 1;
    for (unsigned i = FIRST_EXTENDED; i < COMPONENTS; i++) {
        struct place p = places[i];
        if (!(sw->xstate_bv >> i & 1))
            continue;
        if (p.size == 0 || p.offset + p.size > sw->xstate_size)
            return whole(frame, sw->xstate_size, r);
        if (r[n - 1].hi != frame + p.offset) {
            if (n == OS_VECTOR_RANGES)
                return whole(frame, sw->xstate_size, r);
            r[n++].lo = frame + p.offset;
        }
        r[n - 1].hi = frame + p.offset + (p.size & ~UINT32_C(7));
    }
    return n;
}

size_t os_context_vectors(const void *ucontext, struct os_range r[OS_VECTOR_RANGES])
{
    const ucontext_t *uc = ucontext;
    uintptr_t frame = (uintptr_t)uc->uc_mcontext.fpregs;
    if (frame == 0)
        return 0;
    if (!places_known)
        learn_places();
    struct _fpx_sw_bytes sw;
    memcpy(&sw, (const char *)frame + SW_BYTES, sizeof sw);
    r[0] = (struct os_range){frame + LEGACY_LO, frame + LEGACY_HI};
    return sw.magic1 == XSTATE_MAGIC1 ? add_extended(frame, &sw, r) : 1;
}
