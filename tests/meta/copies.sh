#!/bin/sh
# copies.sh - the library opened with dlopen works; two copies of it in one process are one clear line and an abort.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
[ -f "$top_builddir/libspangc.a" ] || skip "configured with --disable-static"
make_tmp
build=$(cd "$top_builddir" && pwd)
include=-I$top_srcdir/include
shared="-L$build/.libs -Wl,-rpath,$build/.libs -lspangc"
archive="$build/libspangc.a $(sed -n 's/^Libs.private: //p' "$top_builddir/gc/spangc.pc") $(pkg-config --libs libunwind zlib)"

cat >"$tmp/plugin.c" <<'text'
#include <spangc.h>
int plugin(void);
int plugin(void)
{
    int **p = gc_malloc(sizeof *p);
    for (int i = 0; i < 100000; i++) {
        int *q = gc_malloc_noscan(64);
        *q = i;
        *p = q;
    }
    gc_collect();
    return **p;
}
text
cat >"$tmp/opener.c" <<'text'
#include <dlfcn.h>
#include <stdio.h>
#ifdef USES_IT
#include <spangc.h>
#endif
int main(int argc, char **argv)
{
    int (*plugin)(void);
#ifdef USES_IT
    gc_init();
#endif
    for (int i = 1; i < argc; i++) {
        void *handle = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!handle || !(*(void **)&plugin = dlsym(handle, "plugin"))) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        if (plugin() != 99999)
            return 2;
    }
    return 0;
}
text

# shellcheck disable=SC2086
{
    run $CC -O2 $include -fPIC -shared "$tmp/plugin.c" -o "$tmp/with-shared.so" $shared
    run $CC -O2 "$tmp/opener.c" -o "$tmp/knows-nothing" -ldl -pthread
    run $CC -O2 -DUSES_IT $include "$tmp/opener.c" -o "$tmp/has-shared" -ldl $shared
    run $CC -O2 -DUSES_IT $include "$tmp/opener.c" -o "$tmp/has-archive" -ldl -Wl,--gc-sections $archive
}

# The archive is made for programs; whether it can be linked into a library too depends on the compiler.
archive_in_library=false
# shellcheck disable=SC2086
if $CC -O2 $include -fPIC -shared "$tmp/plugin.c" -o "$tmp/with-archive.so" $archive; then archive_in_library=true; fi

run "$tmp/knows-nothing" "$tmp/with-shared.so"
run "$tmp/has-shared" "$tmp/with-shared.so"

# refused WHERE WHERE PROGRAM PLUGIN...
refused()
{
    one=$1 other=$2
    shift 2
    echo "+ $* (must abort)"
    # In a shell of its own: some shells write "Aborted" to where the program's errors go.
    if (exec "$@" 2>"$tmp/said"); then fail "$*: two copies were not noticed"; fi
    cat "$tmp/said"
    [ "$(wc -l <"$tmp/said")" = 1 ] || fail "$*: not one line"
    grep -q "^spangc: two copies of this library .*in $one and one in $other;" "$tmp/said" || fail "$*: says otherwise"
}

refused 'the program' '.*/libspangc.so.*' "$tmp/has-archive" "$tmp/with-shared.so"
if $archive_in_library; then
    run "$tmp/knows-nothing" "$tmp/with-archive.so"
    refused 'the program' '.*/with-archive.so' "$tmp/has-archive" "$tmp/with-archive.so"
    refused '.*/libspangc.so.*' '.*/with-archive.so' "$tmp/has-shared" "$tmp/with-archive.so"
    refused '.*/with-archive.so' '.*/libspangc.so.*' "$tmp/knows-nothing" "$tmp/with-archive.so" "$tmp/with-shared.so"
fi
