#!/bin/sh
# sizeclass.sh - the committed table of size classes is what its generator makes.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
run $CC -std=gnu11 -O1 -o "$tmp/mksizeclass" "$top_srcdir/tools/mksizeclass.c"
echo "+ mksizeclass"
"$tmp/mksizeclass" >"$tmp/tables.h" || fail "mksizeclass"
run diff "$top_srcdir/gc/heap/sizeclass_tables.h" "$tmp/tables.h"
