#!/bin/sh
# explain.sh - gc_explain tells each kind of root, frame, register and way as it is; and what is no object.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
LD_LIBRARY_PATH=$top_builddir/.libs
SPANGC_DEBUG=profilerate=1
export LD_LIBRARY_PATH SPANGC_DEBUG
run "$CC" -g -O1 -I"$top_srcdir/include" -o "$tmp/explained" "$top_srcdir/tests/meta/explained.c" \
    -L"$top_builddir/.libs" -lspangc -pthread

libdw=no
ldconfig -p 2>/dev/null | grep -q 'libdw\.so\.1' && libdw=yes

# told STATUS SCENE... -- PATTERN...: the scene's exit status, and a line for each pattern (of grep -E), in that order.
told()
{
    status=$1 scene=
    shift
    while [ "$1" != -- ]; do
        scene="$scene $1"
        shift
    done
    shift
    # shellcheck disable=SC2086 # words
    "$tmp/explained" $scene >"$tmp/said" 2>&1
    got=$?
    cat "$tmp/said"
    [ $got = "$status" ] || fail "$scene: exit status $got, not $status"
    from=1
    for pattern in "$@"; do
        line=$(tail -n +$from "$tmp/said" | grep -nE "$pattern" | head -n 1 | cut -d : -f 1)
        [ -n "$line" ] || fail "$scene: no line (from the ${from}th) is like: $pattern"
        from=$((from + line))
    done
    [ $from -gt "$(wc -l <"$tmp/said")" ] || fail "$scene: more was said"
}

site='48 bytes, allocated by make_node'
if [ $libdw = yes ]; then
    site="$site \(explained.c:[0-9]+\) < "
    static=hidden_table+0x10 tls='cache\+0x8 in explained'
    frame='#[0-9] parse_line \(explained.c:[0-9]+\)' middle='#[0-9] in_register \(explained.c:[0-9]+\)'
    own='#1 own \(explained.c:[0-9]+\)'
else
    site='48 bytes, allocated by '
    static='0x[0-9a-f]+' tls='.*'
    frame='#[0-9] .*explained' middle='#[0-9] .*explained' own='#1 .*explained'
fi
static=$(echo "$static" | sed 's/+/\\+/')
object='0x[0-9a-f]+: '

told 0 global -- "^$object$site" '^is kept alive by$' '^    global .*(symbol_table\+0x40|0x[0-9a-f]+) in explained$' \
    "^    -> $object$site"
told 0 static -- "^$object$site" '^is kept alive by$' "^    global $static in explained\$" "^    -> $object$site"
told 0 chain 3 -- "^$object$site" '^is kept alive by$' '^    global ' "^    -> $object$site" \
    "^    -> at \\+8: $object$site" "^    -> at \\+8: $object$site"
told 0 inside -- "^$object$site" '^is kept' '^    global ' '^    -> 0x[0-9a-f]+ \(by a pointer to its byte 16\): 48 bytes'
told 0 range -- "^$object$site" '^is kept' '^    registered range 0x[0-9a-f]+-0x[0-9a-f]+, at \+0x28$' "^    -> $object$site"
told 0 uncollectable -- "^$object$site" '^is kept' '^    uncollectable object$' \
    "^    -> ${object}64 bytes, uncollectable, allocated by set_uncollectable" "^    -> at \\+24: $object$site"
told 0 nothing -- "^$object$site" '^nothing keeps it alive: the next collection frees it$'
told 1 freed -- '^0x[0-9a-f]+: in the heap, but no live object: freed, collected, or never allocated$'
told 1 foreign -- "^0x[0-9a-f]+: not memory of this library's\$"

told 0 local -- "^$object$site" '^is kept' \
    "^    thread [0-9]+ \"worker\", frame $frame, stack slot rsp\\+0x[0-9a-f]+\$" "^    -> $object$site"
told 0 register -- "^$object$site" '^is kept' \
    "^    thread [0-9]+ \"worker\", frame $middle, register r15\$" "^    -> $object$site"
told 0 tls -- "^$object$site" '^is kept' "^    thread-local $tls of thread [0-9]+ \"worker\"\$" "^    -> $object$site"
told 0 stack -- "^$object$site" '^is kept' '^    a stack that no thread runs on, word at 0x[0-9a-f]+$' "^    -> $object$site"
told 0 own -- "^$object$site" '^only the thread that asks' "^    thread [0-9]+ \"explained\", frame $own, stack slot rsp" \
    "^    -> $object$site"
told 0 own-chain -- "^$object$site" '^is kept' '^    thread [0-9]+ "explained", frame #1 ' \
    "^    -> $object$site" "^    -> at \\+8: $object$site"
told 0 generated -- "^$object$site" '^is kept' '^    thread [0-9]+ "worker", ' "^    -> $object$site"
told 0 jmp_buf -- "^$object$site" '^is kept' '^    thread [0-9]+ "worker", ' "^    -> $object$site"

# A way of a thousand objects is told from both ends.
"$tmp/explained" chain 1000 >"$tmp/said" || fail "chain of 1000: exit status $?"
grep -q '^    \.\.\. 872 objects more \.\.\.$' "$tmp/said" || fail "chain of 1000: $(head -n 5 "$tmp/said")"
[ "$(grep -c '^    -> ' "$tmp/said")" = 128 ] || fail "chain of 1000: $(grep -c '^    -> ' "$tmp/said") objects are told"

# Stripped: addresses in the program, and the same way.
strip "$tmp/explained"
site='48 bytes, allocated by 0x[0-9a-f]+ in explained < '
told 0 local -- "^$object$site" '^is kept' \
    '^    thread [0-9]+ "worker", frame #[0-9] 0x[0-9a-f]+ in explained, stack slot rsp\+0x' "^    -> $object$site"
told 0 static -- "^$object$site" '^is kept' '^    global 0x[0-9a-f]+ in explained$' "^    -> $object$site"

# A disk that is full, no descriptor at all.
"$tmp/explained" global >/dev/full 2>&1 && fail "/dev/full is no error"
"$tmp/explained" global >&- 2>&1 && fail "a closed descriptor is no error"
exit 0
