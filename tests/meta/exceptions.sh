#!/bin/sh
# exceptions.sh - C++ exceptions hold objects, with the shared library and in a fully static program. The plug-in, a C++
# library that a C program opens, throws on its own: its C++ runtime is in no global scope.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
case $CC in # .ci/run builds with both
*clang*) found=$(compilers clang++) ;;
*) found=$(compilers g++) ;;
esac
[ -n "$found" ] || skip "no C++ compiler"
make_tmp
here=$top_srcdir/tests/meta
libs=$(cd "$top_builddir/.libs" && pwd)
shared="-I$top_srcdir/include -L$libs -Wl,-rpath,$libs -Wl,--no-as-needed -lspangc -Wl,--as-needed -ldl -pthread"

for cxx in $found; do
    for optimize in -O0 -O2; do
        # shellcheck disable=SC2086
        run "$cxx" -std=c++17 $optimize "$here/exceptions.cc" -o "$tmp/dynamic" $shared
        run "$tmp/dynamic"
    done
    # With -DLINKED the plug-in itself brings the library, and the program knows nothing of it.
    for linked in '' -DLINKED; do
        plugin_libs='' program_libs=$shared
        [ -z "$linked" ] || plugin_libs=$shared program_libs=-ldl
        # shellcheck disable=SC2086
        run "$cxx" -std=c++17 -O2 -fPIC -shared -I"$top_srcdir/include" "$here/plugin.cc" -o "$tmp/plugin.so" $plugin_libs
        # shellcheck disable=SC2086
        run "$CC" -O2 $linked -I"$top_srcdir/include" "$here/opener.c" -o "$tmp/opener" $program_libs
        run "$tmp/opener" "$tmp/plugin.so"
    done
done

[ -f "$top_builddir/libspangc.a" ] || exit 0
# What pkg-config --static gives, in its order.
private="$(sed -n 's/^Libs.private: //p' "$top_builddir/gc/spangc.pc") $(pkg-config --static --libs libunwind zlib)"
for cxx in $found; do
    echo 'int main() { try { throw 1; } catch (int) { return 0; } }' >"$tmp/empty.cc"
    "$cxx" -static "$tmp/empty.cc" -o "$tmp/empty" || continue
    # shellcheck disable=SC2086
    run "$cxx" -static -std=c++17 -O2 -I"$top_srcdir/include" "$here/exceptions.cc" -o "$tmp/static" \
        "$top_builddir/libspangc.a" $private
    run "$tmp/static"
done
