#!/bin/sh
# format.sh - clang-format has nothing to say. Only version 14 is asked: others disagree with it in places.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
tool=
for name in clang-format-14 clang-format; do
    if "$name" --version 2>/dev/null | grep -q 'version 14\.'; then
        tool=$name
        break
    fi
done
[ -n "$tool" ] || skip "no clang-format 14"
cd "$top_srcdir" || fail "$top_srcdir"
# .def files are tables, and the size classes are generated.
find gc include tests examples tools bench -type f -name '*.[ch]' ! -name sizeclass_tables.h \
    -exec "$tool" -style=file --dry-run {} + 2>&1 | sed -n 's/:[0-9:]* warning: .*//p' | sort | uniq -c >"$tmp/bad"
[ ! -s "$tmp/bad" ] || {
    echo "places  file"
    cat "$tmp/bad"
    fail "run $tool -i on these"
}
