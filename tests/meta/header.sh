#!/bin/sh
# header.sh - spangc.h and spangc/inline.h compile alone, in C and C++, without a word, and tells the version that configure has.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
warnings='-Wall -Wextra -pedantic -Wundef -Wshadow -Werror'

printf '#include <spangc.h>\n' >"$tmp/alone.c"
printf '#include <spangc.h>\nstruct pair { void *a, *b[2]; long c; };\n%s\n' \
    'struct gc_layout *layout(void) { return GC_SPAN_LAYOUT(struct pair, a, b[1]); }' >"$tmp/layout.c"
sed 's/layout(void)/layout()/' "$tmp/layout.c" >"$tmp/layout.cc"
printf '#include <spangc/inline.h>\nvoid *one(void) { return gc_malloc_inline(sizeof(long[4])); }\n' >"$tmp/inline.c"
printf '#include <spangc.h>\n#include <spangc/inline.h>\n#include <spangc.h>\nvoid use(void) { struct gc_memstats st; gc_read_memstats(&st); }\n' \
    >"$tmp/alone.cc"
printf 'void *one() { return gc_malloc_noscan_inline(sizeof(long[4])); }\n' >>"$tmp/alone.cc"
for cc in $(compilers cc gcc clang); do
    for std in c11 gnu11 c17; do
        # shellcheck disable=SC2086
        run "$cc" -std=$std $warnings -Wstrict-prototypes -I"$top_srcdir/include" -fsyntax-only -O2 "$tmp/alone.c" "$tmp/inline.c" \
            "$tmp/layout.c"
    done
done
for cc in $(compilers g++ clang++); do
    for std in c++17 c++20; do
        # shellcheck disable=SC2086
        run "$cc" -std=$std $warnings -I"$top_srcdir/include" -fsyntax-only -O2 "$tmp/alone.cc" "$tmp/layout.cc"
    done
done

version=$(printf '#include <spangc.h>\n=GC_SPAN_VERSION_MAJOR.GC_SPAN_VERSION_MINOR.GC_SPAN_VERSION_PATCH\n' |
    $CC -E -P -I"$top_srcdir/include" - | sed -n 's/^=//p' | tr -d ' ')
[ "$version" = "${PACKAGE_VERSION:-$version}" ] || fail "spangc.h says $version, configure $PACKAGE_VERSION"
