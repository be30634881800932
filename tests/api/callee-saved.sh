#!/bin/sh
# callee-saved.sh - a pointer in any callee-saved register alone holds its object through every call that may collect,
# at whatever level the program and the library's entrance were compiled: all of gc/api, which stands between the program
# and boundary_call, is compiled anew with each. With the compiler of the build: .ci/run builds with gcc and with clang.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
case $(uname -m) in
x86_64) ;;
*) skip "callee_saved.c is written for x86-64" ;;
esac
core=$top_builddir/.libs/libspangc-core.a
[ -f "$core" ] || skip "no $core"
checks=$(sed -n 's/^GC_CHECKS = //p' "$top_builddir/Makefile")
make_tmp

# try COMPILER LEVEL
try()
{
    out=$tmp/cc$2
    mkdir "$out"
    # shellcheck disable=SC2046,SC2086
    (cd "$out" && $1 $2 -std=gnu11 -pthread -fPIC -DPIC -fvisibility=hidden -D_GNU_SOURCE= -DGC_CHECKS="$checks" \
        -I"$include" -I"$gc" -c "$gc"/api/*.c) || fail "$1 $2 does not compile gc/api"
    # shellcheck disable=SC2046,SC2086
    $1 $2 -std=gnu11 -pthread -D_GNU_SOURCE= -I"$include" "$top_srcdir/tests/api/callee_saved.c" "$out"/*.o "$core" \
        $(pkg-config --libs libunwind zlib) -o "$out/program" || fail "$1 $2 does not link"
    "$out/program" || fail "$1 $2"
    echo "ok: $1 $2"
}

include=$(cd "$top_srcdir/include" && pwd)
gc=$(cd "$top_srcdir/gc" && pwd)
levels()
{
    red=0
    for level in -O0 -O1 -O2 -O3; do
        (try "$1" "$level") || red=1
    done
    return $red
}

levels "$CC"
