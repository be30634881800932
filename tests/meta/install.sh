#!/bin/sh
# install.sh - as a user has it: make install, a program built with cc, g++ and clang through pkg-config, make uninstall.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
install_tree

find "$root" ! -type d | sort
for file in "$libdir/libspangc.so" "$libdir/libspangc.so.0"; do
    [ -e "$root$file" ] || fail "$file was not installed"
done

flags=$(pkg-config --cflags --libs spangc) || fail "pkg-config does not find spangc"
case $flags in
*unwind* | *wrap*) fail "a dynamic program needs none of: $flags" ;;
esac
for cc in $(compilers cc gcc clang g++ clang++); do
    case $cc in
    *++) language='-x c++' ;;
    *) language='-x c' ;;
    esac
    # shellcheck disable=SC2086
    run "$cc" -O2 $language "$top_srcdir/tests/meta/tenlines.c" -x none -o "$tmp/prog-$cc" $flags -pthread
    run "$tmp/prog-$cc"
done

uninstall_tree
