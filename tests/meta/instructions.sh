#!/bin/sh
# instructions.sh - what an allocation costs, counted: instructions of everything that a call leads to, collections and
# sweeping among it, as in the table of doc/design/critical-path.md. A tenth above what is written there fails.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
[ "${GC_CHECKS:-0}" = 0 ] || skip "checks are compiled in"
case " ${CFLAGS:-} " in *' -O2 '*) ;; *) skip "the compiler was not given -O2, but ${CFLAGS:-nothing}" ;; esac
[ "$(uname -m)" = x86_64 ] || skip "the figures are of x86-64"
command -v valgrind >/dev/null 2>&1 || skip "no valgrind"
make_tmp

run "$CC" -O2 -I"$top_srcdir/include" -o "$tmp/loop" "$top_srcdir/tests/meta/loop.c" -L"$top_builddir/.libs" -lspangc
LD_LIBRARY_PATH=$top_builddir/.libs
SPANGC_DEBUG=sweeper=0
export LD_LIBRARY_PATH SPANGC_DEBUG

# count CALL SIZE N: instructions of the whole program.
count()
{
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tmp/loop" "$1" "$2" "$3" 2>"$tmp/log" >/dev/null ||
        fail "valgrind of loop $1 $2 $3: $(cat "$tmp/log")"
    sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p' "$tmp/log"
}

N=200000
failed=0
while read -r call size budget; do
    first=$(count "$call" "$size" $N)
    second=$(count "$call" "$size" $((3 * N)))
    each=$(((second - first) / (2 * N)))
    echo "$call($size): $each instructions, written down are $budget"
    [ "$each" -gt 20 ] || fail "$call($size): $each is not the count of an allocation"
    if [ $((each * 10)) -gt $((budget * 11)) ]; then failed=1; fi
done <<EOF
$("$AWK" -F'|' '/^\| `gc_malloc.*` \|/ { gsub(/[`()]/, " ", $2); n = split($2, w, " "); print w[1], w[2], $4 + 0 }' \
    "$top_srcdir/doc/design/critical-path.md")
EOF
[ $failed = 0 ] || fail "more instructions than doc/design/critical-path.md says, by over a tenth"
