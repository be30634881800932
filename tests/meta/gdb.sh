#!/bin/sh
# gdb.sh - the line for gdb in spangc(7) does what the page says: with it a program runs through, and without it does
# not; the number in it is the one that gc_features gives here.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
command -v gdb >/dev/null 2>&1 || skip "no gdb"
make_tmp
cat >"$tmp/stopped.c" <<'EOP'
#include <pthread.h>
#include <spangc.h>
#include <stdio.h>

static volatile int begun, end;

static void *spin(void *p)
{
    begun = 1;
    while (!end)
        ;
    return p;
}

int main(int argc, char **argv)
{
    pthread_t id;
    if (argc > 1)
        return printf("%s\n", gc_features()) < 0;
    pthread_create(&id, 0, spin, argv);
    while (!begun)
        ;
    for (int i = 0; i < 5; i++)
        gc_collect();
    end = 1;
    return pthread_join(id, 0);
}
EOP
run "$CC" -I"$top_srcdir/include" "$tmp/stopped.c" -o "$tmp/stopped" -L"$top_builddir/.libs" -lspangc -pthread \
    -Wl,-rpath,"$(cd "$top_builddir/.libs" && pwd)"
line=$(sed -n 's/^\.Dl \(handle SIG[0-9]* .*\)$/\1/p' "$top_srcdir/doc/man/spangc.7")
[ -n "$line" ] || fail "spangc(7) has no line for gdb"
signal=$("$tmp/stopped" features | sed -n 's/.*stop=signal:\([0-9]*\).*/\1/p')
[ -n "$signal" ] || fail "gc_features does not name the signal"
line=$(echo "$line" | sed "s/SIG[0-9]*/SIG$signal/")
unset DEBUGINFOD_URLS
under_gdb() { timeout 100 gdb -nx -batch "$@" -ex run "$tmp/stopped" </dev/null >"$tmp/said" 2>&1; }
under_gdb
grep -Eq 'exited normally|received signal' "$tmp/said" || skip "gdb cannot run a program here"
grep -q "received signal SIG$signal" "$tmp/said" || fail "without the line gdb does not stop: $(cat "$tmp/said")"
under_gdb -ex "$line"
grep -q 'exited normally' "$tmp/said" || fail "with \"$line\": $(cat "$tmp/said")"
