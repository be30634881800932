#!/bin/sh
# symbols.sh - what the libraries export: the shared one exactly its map, the archive the API and __wrap_ names alone.
# Neither asks for an executable stack.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
so=$top_builddir/.libs/libspangc.so
map=$top_builddir/gc/spangc.map
LC_ALL=C
export LC_ALL

# names FILE: global, defined. The version node itself shows as an absolute symbol.
names() { "$AWK" 'NF == 3 && $2 != "A" && $2 != "U" && $2 != "w" { sub(/@.*/, "", $3); print $3 }' | sort -u; }

grep -v '^#' "$top_srcdir/gc/wrapped" | sort -u >"$tmp/wrapped"
{ sed -n 's/^ *\([A-Za-z_][A-Za-z_0-9]*\);$/\1/p' "$map"; cat "$tmp/wrapped"; } | sort -u >"$tmp/map"
nm -D --defined-only "$so" | names >"$tmp/so"
diff "$tmp/map" "$tmp/so" || fail "< is in the map, > is exported by the shared library"
nm -D --defined-only "$so" | "$AWK" '$2 != "A" && $3 !~ /@@SPANGC_/ { print $3 }' | sort -u >"$tmp/unversioned"
diff "$tmp/wrapped" "$tmp/unversioned" || fail "< is wrapped and must have no version, > must have one"
readelf -dW "$so" | grep -q NODELETE || fail "the shared library may be unloaded"
if readelf -lW "$so" | grep GNU_STACK | grep -q 'RWE'; then fail "the shared library asks for an executable stack"; fi

if [ -f "$top_builddir/libspangc.a" ]; then
    "$AWK" 'FILENAME ~ /wrapped$/ { if (NF && !/^#/) wrapped[$1] = 1; next }
        { print ($1 in wrapped ? "__wrap_" : "") $1 }' "$top_srcdir/gc/wrapped" "$tmp/map" | sort -u >"$tmp/expected"
    nm --defined-only --extern-only "$top_builddir/libspangc.a" | names >"$tmp/a"
    diff "$tmp/expected" "$tmp/a" || fail "< should be global in libspangc.a, > is"
fi
echo "$(wc -l <"$tmp/map") names"
