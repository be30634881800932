#!/bin/sh
# docs.sh - every function of spangc.h and every option stands in a manual page.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
pages=$(find "$top_srcdir/doc" -name '*.[37]')
[ -n "$pages" ] || fail "no manual pages in doc/"
# Roff may break a name with \- or \&, and mark it with fonts.
# shellcheck disable=SC2086
cat $pages | sed 's/\\[&-]//g; s/\\f[BIRP]//g' >"$tmp/all"
missing=
: >"$tmp/empty"
functions=$("$AWK" -f "$top_srcdir/tools/mkmap.awk" "$tmp/empty" "$top_srcdir/include/spangc.h" |
    sed -n 's/^ *\(gc_[a-z0-9_]*\);$/\1/p')
[ -n "$functions" ] || fail "no functions found in spangc.h"
for name in $functions gc_read_memstats gc_keep_alive gc_malloc_inline gc_malloc_noscan_inline; do
    grep -qw "$name" "$tmp/all" || missing="$missing $name"
done
[ -z "$missing" ] || fail "in no manual page:$missing"

page=$(find "$top_srcdir/doc" -name spangc.7)
[ -n "$page" ] || fail "no spangc.7"
sed 's/\\[&-]//g; s/\\f[BIRP]//g' "$page" >"$tmp/seven"
options=$(sed -n 's/^[OPTINEX]*(\([a-z0-9_]*\),.*/\1/p' "$top_srcdir/gc/base/options.def")
[ -n "$options" ] || fail "no options found in options.def"
for name in $options SPANGC_PERCENT SPANGC_MEMLIMIT SPANGC_DEBUG; do
    grep -qw "$name" "$tmp/seven" || missing="$missing $name"
done
[ -z "$missing" ] || fail "not in spangc.7:$missing"
