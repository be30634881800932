#!/bin/sh
# tsan.sh - a program built for ThreadSanitizer works with the library as it is: its threads start, allocate, are
# stopped where the sanitizer lets signals through, and end.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
build=$(cd "$top_builddir" && pwd)
cat >"$tmp/threads.c" <<'text'
#include <pthread.h>
#include <spangc.h>
#include <stdio.h>

static void *work(void *arg)
{
    void **list = arg;
    for (int i = 0; i < 50000; i++) {
        void **next = gc_malloc(48);
        *next = list;
        list = i % 100 ? next : arg;
    }
    return list;
}

int main(void)
{
    for (int round = 0; round < 20; round++) {
        pthread_t t[4];
        for (int i = 0; i < 4; i++)
            if (pthread_create(&t[i], NULL, work, &t) != 0)
                return 1;
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
    }
    gc_collect();
    puts("fine");
    return 0;
}
text
tried=
for cc in $(compilers gcc clang); do
    echo 'int main(void) { return 0; }' >"$tmp/empty.c"
    "$cc" -fsanitize=thread "$tmp/empty.c" -o "$tmp/empty" 2>/dev/null || continue
    "$tmp/empty" || continue
    # Memory that goes from one thread to another looks like a race to it: that is not what this is about.
    run "$cc" -g -O1 -fsanitize=thread -I"$top_srcdir/include" "$tmp/threads.c" -o "$tmp/threads-$cc" \
        -L"$build/.libs" -lspangc -Wl,-rpath,"$build/.libs"
    env TSAN_OPTIONS=report_bugs=0 "$tmp/threads-$cc" >"$tmp/said" 2>&1
    status=$?
    cat "$tmp/said"
    [ $status = 0 ] || fail "threads-$cc: exit status $status"
    grep -q 'given up' "$tmp/said" && fail "a thread could not be stopped"
    tried=yes
done
[ -n "$tried" ] || skip "no compiler here that has ThreadSanitizer"
