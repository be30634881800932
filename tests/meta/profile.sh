#!/bin/sh
# profile.sh - a heap profile, in both formats, read by the tools that people read it with: `go tool pprof` and
# google-pprof find the functions, their totals, what is gone, and draw it.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
command -v go >/dev/null 2>&1 || skip "no go"
command -v google-pprof >/dev/null 2>&1 || skip "no google-pprof"
command -v dot >/dev/null 2>&1 || skip "no dot"
make_tmp
LD_LIBRARY_PATH=$top_builddir/.libs
HOME=$tmp PPROF_TMPDIR=$tmp
export LD_LIBRARY_PATH HOME PPROF_TMPDIR
run "$CC" -g -O1 -I"$top_srcdir/include" -o "$tmp/profiled" "$top_srcdir/tests/meta/profiled.c" \
    -L"$top_builddir/.libs" -lspangc

# near WHAT BYTES EXPECTED: within 5 %, and not 0.
near()
{
    awk -v a="${2:-0}" -v b="$3" 'BEGIN { exit !(a > b * 0.95 && a < b * 1.05) }' ||
        fail "$1: ${2:-nothing} bytes, not about $3"
}

# go_flat FILE INDEX FUNCTION: its own bytes.
go_flat()
{
    go tool pprof -top -nodefraction=0 -unit=B -sample_index="$2" "$tmp/profiled" "$1" 2>"$tmp/said" |
        awk -v f="$3" '$6 == f { sub(/B$/, "", $1); print $1 }'
}

# go_sum FILE INDEX: of all.
go_sum()
{
    go tool pprof -top -nodefraction=0 -unit=B -sample_index="$2" "$tmp/profiled" "$1" 2>"$tmp/said" |
        sed -n 's/.*of \([0-9]*\)B total.*/\1/p'
}

# perl_flat FILE OPTION FUNCTION: its own bytes, as google-pprof has them.
perl_flat()
{
    google-pprof --text --show_bytes "--$2" "$tmp/profiled" "$1" 2>"$tmp/said" |
        awk -v f="$3" '$6 == f { print $1 }'
}

mib=1048576
for format in pprof text; do
    for rate in 1 512; do
        file=$tmp/$format.$rate
        run "$tmp/profiled" "$file" "$format" $rate
        what="$format, rate $rate, go"
        near "$what, kept, allocated" "$(go_flat "$file" alloc_space cons)" $((8 * mib))
        near "$what, kept, in use" "$(go_flat "$file" inuse_space cons)" $((8 * mib))
        near "$what, dropped, allocated" "$(go_flat "$file" alloc_space drop_sixteen_mib)" $((16 * mib))
        near "$what, freed, allocated" "$(go_flat "$file" alloc_space free_four_mib)" $((4 * mib))
        near "$what, allocated in all" "$(go_sum "$file" alloc_space)" $((28 * mib))
        near "$what, in use in all" "$(go_sum "$file" inuse_space)" $((8 * mib))
        near "$what, objects" "$(go_flat "$file" alloc_objects drop_sixteen_mib)" $((16 * mib / 64))
        go tool pprof -top -sample_index=inuse_space "$tmp/profiled" "$file" 2>"$tmp/said" |
            awk '$6 == "cons" { found = NR } $1 == "flat" { head = NR } END { exit !(found == head + 1) }' ||
            fail "$what: cons is not at the top"
    done
done

# The function is at the top, and who called it below: not the library's own frames.
go tool pprof -traces -sample_index=alloc_space "$tmp/profiled" "$tmp/pprof.512" >"$tmp/traces" 2>&1
tr -s ' \n' ' ' <"$tmp/traces" | grep -q 'cons keep_eight_mib main' || fail "traces: $(head -n 20 "$tmp/traces")"
grep -Eq 'gc_(malloc|calloc)' "$tmp/traces" && fail "the library's own frames are shown"

# Stacks whose objects are all gone stay, in both.
go tool pprof -raw "$tmp/profiled" "$tmp/pprof.1" >"$tmp/raw" 2>&1
grep -Eq "^ *$((16 * mib / 64)) +$((16 * mib)) +0 +0:" "$tmp/raw" || fail "no stack with nothing in use"
grep -q '^0: 0 \[[0-9]*: [0-9]*\] @' "$tmp/text.1" || fail "text: no stack with nothing in use"
{ grep -q 'Mappings' "$tmp/raw" && grep -Eq 'profiled [0-9a-f]{40}' "$tmp/raw"; } || fail "no mapping with a build id"

for rate in 1 512; do
    what="google-pprof, rate $rate"
    near "$what, kept" "$(perl_flat "$tmp/text.$rate" inuse_space cons)" $((8 * mib))
    near "$what, dropped" "$(perl_flat "$tmp/text.$rate" alloc_space drop_sixteen_mib)" $((16 * mib))
done

# Go's names, each once.
for name in Alloc TotalAlloc Sys Lookups Mallocs Frees HeapAlloc HeapSys HeapIdle HeapInuse HeapReleased HeapObjects \
    Stack MSpan MCache BuckHashSys GCSys OtherSys NextGC LastGC PauseNs PauseEnd NumGC NumForcedGC GCCPUFraction; do
    [ "$(grep -c "^# $name = " "$tmp/text.1")" = 1 ] || fail "text: no line for $name"
done

for draw in "go tool pprof -svg -output=$tmp/go.svg $tmp/profiled $tmp/pprof.512" \
    "google-pprof --svg --inuse_space $tmp/profiled $tmp/text.512"; do
    # shellcheck disable=SC2086 # words
    $draw >"$tmp/out.svg" 2>"$tmp/said" || fail "$draw: $(tail -n 2 "$tmp/said")"
    [ -s "$tmp/go.svg" ] && mv "$tmp/go.svg" "$tmp/out.svg"
    { grep -q '<svg' "$tmp/out.svg" && grep -q '>cons<\|>cons ' "$tmp/out.svg"; } || fail "$draw: no picture of cons"
done

# At exit, by the environment. A file that cannot be written is one line and no harm.
SPANGC_DEBUG=profilerate=512,heapprofile=$tmp/exit.pb "$tmp/profiled" 2>"$tmp/said" || fail "exit status $?"
[ -s "$tmp/said" ] && fail "said: $(cat "$tmp/said")"
near "at exit" "$(go_flat "$tmp/exit.pb" inuse_space cons)" $((8 * mib))
SPANGC_DEBUG=heapprofile=/dev/full "$tmp/profiled" 2>"$tmp/said" || fail "/dev/full: exit status $?"
{ [ "$(wc -l <"$tmp/said")" = 1 ] && grep -q 'No space left' "$tmp/said"; } || fail "/dev/full: $(cat "$tmp/said")"
SPANGC_DEBUG=heapprofile=$tmp/no/such/file "$tmp/profiled" 2>"$tmp/said" || fail "no folder: exit status $?"
{ [ "$(wc -l <"$tmp/said")" = 1 ] && grep -q 'No such file' "$tmp/said"; } || fail "no folder: $(cat "$tmp/said")"

# Without symbols the addresses are right still: the binary with them names them.
cp "$tmp/profiled" "$tmp/whole"
strip "$tmp/profiled"
run "$tmp/profiled" "$tmp/stripped.pb" pprof 512
mv "$tmp/whole" "$tmp/profiled"
near "stripped" "$(go_flat "$tmp/stripped.pb" inuse_space cons)" $((8 * mib))
