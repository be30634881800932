#!/bin/sh
# size.sh - one concept a file, functions that can be seen whole: no file of gc/ over 600 lines, no function over 80.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
cd "$top_srcdir" || fail "$top_srcdir"
find gc -name '*.[chS]' ! -name sizeclass_tables.h | sort >"$tmp/files"
long=$(xargs wc -l <"$tmp/files" | "$AWK" '$2 != "total" && $1 > 600')
[ -z "$long" ] || fail "more than 600 lines: $long"
ctags --version 2>/dev/null | grep -q Universal || {
    echo "no Universal Ctags: the length of functions is not looked at"
    exit 0
}
grep '\.c$' "$tmp/files" | xargs ctags -x --_xformat='%F %N %n %e' --c-kinds=f --fields=+ne 2>/dev/null >"$tmp/functions"
[ -s "$tmp/functions" ] || fail "ctags found no function"
long=$("$AWK" '$4 - $3 + 1 > 80 { print $1 ": " $2 " has " $4 - $3 + 1 " lines" }' "$tmp/functions")
[ -z "$long" ] || fail "more than 80 lines: $long"
