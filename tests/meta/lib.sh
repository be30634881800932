# shellcheck shell=sh
# lib.sh - what the scripts of this folder share: each begins with `. "${top_srcdir:-.}/tests/meta/lib.sh"`.
# They run from the Makefile, which sets top_srcdir and the rest; the static ones also by hand from the top folder.
set -u

top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
AWK=${AWK:-awk}
MAKE=${MAKE:-make}
CC=${CC:-cc}
libdir=${libdir:-/usr/local/lib}
tmp=
root=

fail()
{
    echo "FAIL: $*"
    exit 1
}

skip()
{
    echo "skipped: $*"
    exit 77
}

# A folder of its own for the script, gone when it ends.
make_tmp()
{
    tmp=$(mktemp -d "${top_builddir}/meta.XXXXXX") || fail "no temporary folder"
    tmp=$(cd "$tmp" && pwd)
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' HUP INT TERM
}

# run COMMAND...: say it and run it; what fails ends the script.
run()
{
    echo "+ $*"
    "$@" || fail "$*"
}

skip_with_sanitizer()
{
    [ "${SANITIZER:-no}" = no ] || skip "a build for the $SANITIZER sanitizer is not for use by others"
}

# The C, C++ and other compilers that are here.
compilers()
{
    for compiler in "$@"; do
        command -v "$compiler" >/dev/null 2>&1 && echo "$compiler"
    done
}

# install_tree: install below $tmp/root, and let pkg-config find it there.
install_tree()
{
    root=$tmp/root
    run env MAKEFLAGS= "$MAKE" -s -C "$top_builddir" DESTDIR="$root" install
    mkdir "$tmp/pkgconfig"
    pc=$(find "$root" -name spangc.pc)
    [ -n "$pc" ] || fail "no spangc.pc was installed"
    sed -E "s,^(prefix|exec_prefix|libdir|includedir)=/,\\1=$root/," "$pc" >"$tmp/pkgconfig/spangc.pc"
    PKG_CONFIG_PATH=$tmp/pkgconfig:${PKG_CONFIG_PATH:-}
    LD_LIBRARY_PATH=$root$libdir
    export PKG_CONFIG_PATH LD_LIBRARY_PATH
}

# uninstall_tree: nothing may stay.
uninstall_tree()
{
    run env MAKEFLAGS= "$MAKE" -s -C "$top_builddir" DESTDIR="$root" uninstall
    left=$(find "$root" ! -type d)
    [ -z "$left" ] || fail "make uninstall left: $left"
}
