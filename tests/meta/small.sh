#!/bin/sh
# small.sh - small programs stay small: one that allocates 100 KiB in all has at most 1.5 MiB more in memory than with
# malloc, one that has 100 KiB live and makes 200 MB of garbage at most 6 MiB more: the least goal of 4 MiB, and 2.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
run "$CC" -O2 -o "$tmp/malloc" "$top_srcdir/tests/meta/small.c"
run "$CC" -O2 -DWITH_SPANGC -I"$top_srcdir/include" -o "$tmp/spangc" "$top_srcdir/tests/meta/small.c" \
    -L"$top_builddir/.libs" -lspangc
LD_LIBRARY_PATH=$top_builddir/.libs
export LD_LIBRARY_PATH

# at_most BYTES KIB: what the collector may cost a program that allocates so many bytes.
at_most()
{
    plain=$("$tmp/malloc" "$1")
    ours=$("$tmp/spangc" "$1")
    echo "$1 bytes: $plain KiB with malloc, $ours with the collector"
    [ "$plain" -gt 500 ] || fail "$plain KiB is not the memory of a process"
    [ $((ours - plain)) -le "$2" ] || fail "$((ours - plain)) KiB more, not at most $2"
}

at_most 100000 1536
at_most 200000000 6144
