#!/bin/sh
# examples.sh - the example programs print what they should, the same without a collector, and end well when they cannot.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
make_tmp
bin=$(cd "$top_builddir/examples" && pwd) || fail "no $top_builddir/examples"
build=$(cd "$top_builddir" && pwd)
examples=$(cd "$top_srcdir/examples" && pwd) || fail "no $top_srcdir/examples"
# The recursion of these programs is deeper than the stack that ThreadSanitizer keeps of calls.
[ "${SANITIZER:-no}" != thread ] || skip "not with ThreadSanitizer"
cd "$tmp" || fail "$tmp"

# same EXPECTED COMMAND...: it succeeds and prints what the file says
same()
{
    expected=$examples/expected/$1
    shift
    "$@" >out 2>err || fail "$* ended with $?: $(cat err)"
    [ ! -s err ] || fail "$* wrote on standard error: $(cat err)"
    diff "$expected" out || fail "$* does not print $expected"
}

# fails STATUS MESSAGE COMMAND...: it ends with that status and says so on standard error, in a line with that text
fails()
{
    status=$1 message=$2
    shift 2
    "$@" >out 2>err
    got=$?
    [ "$got" = "$status" ] || fail "$* ended with $got, not $status"
    [ -z "$message" ] || grep -qF -e "$message" err || fail "$*: \"$message\" is not in: $(cat err)"
}

# prints TEXT COMMAND...
prints()
{
    text=$1
    shift
    got=$("$@" 2>&1) || fail "$* failed: $got"
    [ "$got" = "$text" ] || fail "$* printed: $got"
}

wordfreq_twice()
{
    "$1" -n 8 "$examples/expected/words.txt" && echo && "$1" -i -n 5 <"$examples/expected/words.txt"
}

weakmap_sizes()
{
    "$bin/weakmap" && "$bin/weakmap" 1 && "$bin/weakmap" 20000
}

coroutines_twice()
{
    "$bin/coroutines" -l 3 -n 6 "$examples/expected/words.txt" && echo &&
        "$bin/coroutines" -l 1 -w 11 "$examples/expected/words.txt" "$examples/expected/words.txt"
}
same weakmap.out weakmap_sizes
# AddressSanitizer says on standard error that it does not fully support swapcontext.
if [ "${SANITIZER:-no}" = no ]; then
    same coroutines.out coroutines_twice
    # Enough text for some collections.
    i=0
    while [ "$i" -lt 2000 ]; do
        cat "$examples/expected/words.txt"
        i=$((i + 1))
    done >many
    prints '   8000 the whale
   4000 and the' env SPANGC_PERCENT=1 "$bin/coroutines" -l 3 -n 2 many
fi

for plain in '' -plain; do
    same peano.out "$bin/peano$plain" 8
    same wordfreq.out wordfreq_twice "$bin/wordfreq$plain"
    same lisp.out "$bin/lisp$plain" "$examples/expected/lisp.scm"
    same nqueens.out "$bin/lisp$plain" "$examples/scheme/nqueens.scm"
    same meta.out "$bin/lisp$plain" "$examples/scheme/meta.scm"
    same sort.out "$bin/lisp$plain" "$examples/scheme/sort.scm" 20000
done

# 3.6 million nodes and as many stack frames in 100 MB. The second mark of checks=full and the sanitizers take memory of
# their own.
if [ "$(sed -n 's/^GC_CHECKS = //p' "$build/Makefile")" != 2 ] && [ "${SANITIZER:-no}" = no ]; then
    "$build/tools/measure" -o rss "$bin/peano" 10 >out || fail "peano 10"
    kib=$("$AWK" '{ print $3 }' rss)
    [ "$kib" -le 97656 ] || fail "peano 10 took $kib KiB"
fi

fails 2 'usage: peano N' "$bin/peano"
fails 2 '"-1" is not a number from 0 to' "$bin/peano" -1
fails 2 '"7x" is not a number from 0 to' "$bin/peano" 7x
fails 2 '"14" is not a number from 0 to' "$bin/peano" 14

prints '      1 a' "$bin/wordfreq" -n 1 - <<'text'
b a
text
fails 2 'usage: wordfreq' "$bin/wordfreq" -x
fails 2 '-n wants a number, not "many"' "$bin/wordfreq" -n many
fails 1 '/: Is a directory' "$bin/wordfreq" /
echo word >words
fails 1 'no-such-file: No such file or directory' "$bin/wordfreq" no-such-file words
diff - out <<'text' || fail "wordfreq stopped at a file that it could not read"
      1 word
text

fails 2 'usage: weakmap' "$bin/weakmap" 1 2
fails 2 '"0" is not a number from 1 to' "$bin/weakmap" 0
fails 2 '"1k" is not a number from 1 to' "$bin/weakmap" 1k

fails 2 'usage: coroutines' "$bin/coroutines" -x
fails 2 '-w wants a number, not "-1"' "$bin/coroutines" -w -1
fails 1 'no-such-file: No such file or directory' "$bin/coroutines" no-such-file words

# prints takes both streams: nothing but the value may come.
prints '(3 "x" #\y)' "$bin/lisp" -e '(list (+ 1 2) "x" #\y)'
prints '(- one two)' "$bin/lisp" - one two <<'text'
(display (command-line))
text
fails 2 'usage: lisp' "$bin/lisp" -x
fails 1 'no-such-file: No such file or directory' "$bin/lisp" no-such-file
fails 7 '' "$bin/lisp" -e '(exit 7)'
fails 1 'undefined: nobody' "$bin/lisp" -e '(nobody)'
fails 1 'car: wants a pair, not 5' "$bin/lisp" -e '(car 5)'
fails 1 'vector-ref: wants an integer within bounds, not 2' "$bin/lisp" -e '(vector-ref (vector 0 1) 2)'
fails 1 'too bad: (1 "two")' "$bin/lisp" -e '(error "too bad:" 1 "two")'
fails 1 'the text ends inside a list' "$bin/lisp" -e '(car (list 1 2)'
fails 1 'recursion too deep' "$bin/lisp" -e '(define (f n) (+ 1 (f n))) (f 0)'
printf '1\n\n(+ 1\n(car 2))\n' >error.scm
fails 1 'error.scm:3: ' "$bin/lisp" error.scm
