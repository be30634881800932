/* share.h - how much of a test that only repeats itself is done. All of it, unless the environment has TESTS_SHARE=N: then
 * one round of N. .ci/run sets it for the builds after the first, which find what depends on the compiler in less. */
#ifndef TESTS_SHARE_H
#define TESTS_SHARE_H

#include <stdlib.h>

static inline int share_of(int rounds)
{
    const char *s = getenv("TESTS_SHARE");
    int n = s ? atoi(s) : 1;
    return n > 1 && rounds >= n ? rounds / n : rounds;
}

#endif
