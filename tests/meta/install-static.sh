#!/bin/sh
# install-static.sh - a program without any shared library, from the installed archive and pkg-config --static.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
[ -f "$top_builddir/libspangc.a" ] || skip "configured with --disable-static"
make_tmp
echo 'int main(void) { return 0; }' >"$tmp/empty.c"
# shellcheck disable=SC2046
$CC -static "$tmp/empty.c" -o "$tmp/empty" $(pkg-config --static --libs libunwind zlib) ||
    skip "this machine lacks static archives of libunwind, zlib or of what it needs"
install_tree
[ -f "$root$libdir/libspangc.a" ] || fail "libspangc.a was not installed"

flags=$(pkg-config --static --cflags --libs spangc) || fail "pkg-config does not find spangc"
for cc in $(compilers cc clang g++); do
    case $cc in
    *++) language='-x c++' ;;
    *) language='-x c' ;;
    esac
    for kind in -static -static-pie; do
        # shellcheck disable=SC2086
        run "$cc" -O2 -fPIE $kind $language "$top_srcdir/tests/meta/tenlines.c" -x none -o "$tmp/static-$cc" $flags
        run "$tmp/static-$cc"
    done
done
if readelf -d "$tmp/static-cc" | grep NEEDED; then fail "the program is not static"; fi
