#!/bin/sh
# misused.sh - what SPANGC_DEBUG=check=1 finds, with AddressSanitizer and Valgrind too, and that it finds nothing else;
# what leaks=1 lists.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
make_tmp
LD_LIBRARY_PATH=$top_builddir/.libs
export LD_LIBRARY_PATH SPANGC_DEBUG

# built NAME FLAG...
built()
{
    name=$1
    shift
    run "$CC" -g -O1 -w -I"$top_srcdir/include" "$@" -o "$tmp/$name" "$top_srcdir/tests/meta/misused.c" \
        -L"$top_builddir/.libs" -lspangc -pthread
}

# found DEED PATTERN...: the program aborts, and a line for each pattern (of grep -E) was said.
found()
{
    deed=$1
    shift
    SPANGC_DEBUG=check=1 "$tmp/misused" "$deed" >"$tmp/said" 2>&1
    status=$?
    [ $status = 134 ] || fail "$deed: exit status $status: $(cat "$tmp/said")"
    for pattern in "$@" '^spangc: .*; aborting$'; do
        grep -Eq "$pattern" "$tmp/said" || fail "$deed: no line is like \"$pattern\": $(cat "$tmp/said")"
    done
}

built misused
SPANGC_DEBUG=check=1 "$tmp/misused" nothing || fail "nothing was done wrong, but exit status $?"
text='    #0 make_text' item='    #0 make_item'
found past-the-end 'a write past the end of 0x[0-9a-f]+, an object of 20 bytes: byte 20 was changed' "$text" '#1 past_the_end'
found past-the-end-and-kept 'past the end of .* 40 bytes: byte 43 was' "$item"
found past-the-end-of-a-small-one 'past the end of .* 3 bytes: byte 3 was' "$text"
found past-the-end-of-a-large-one 'past the end of .* 100000 bytes: byte 100000 was' "$text"
found after-free 'a write after gc_free of .* 40 bytes: byte 9 was' "$item"
found after-collection 'a write after the collection of .* 40 bytes: byte 16 was' "$item"
found freed-twice 'gc_free\(0x[0-9a-f]+\): the object of 40 bytes was freed before' "$item"
found freed-inside 'gc_free'

# Leaks: the most bytes first, what was freed or is held is none, and the exit status.
SPANGC_DEBUG=leaks=1 "$tmp/misused" leaking 2>"$tmp/said" || fail "leaks=1: exit status $?"
tr '\n' ' ' <"$tmp/said" | grep -Eq '^spangc: 41104 bytes in 4 objects, allocated in 2 places, became unreachable without gc_free 40960 bytes in 1 object of 40960, allocated by     #0 make_text .*     #1 lose_large .*144 bytes in 3 objects of 48, allocated by     #0 make_item .*     #1 lose_three ' ||
    fail "leaks=1: $(cat "$tmp/said")"
[ "$(grep -c 'allocated by$' "$tmp/said")" = 2 ] || fail "leaks=1: $(cat "$tmp/said")"
SPANGC_DEBUG=leaks=exit "$tmp/misused" leaking 2>"$tmp/said"
[ $? = 23 ] || fail "leaks=exit: exit status $?, not 23"
SPANGC_DEBUG=leaks=exit "$tmp/misused" not-leaking 2>"$tmp/said" || fail "leaks=exit, no leak: exit status $?"
grep -q '^spangc: no leak' "$tmp/said" || fail "leaks=exit, no leak: $(cat "$tmp/said")"
SPANGC_DEBUG=leaks=exit,check=1 "$tmp/misused" leaking 2>"$tmp/said"
{ [ $? = 23 ] && grep -q 'in 4 objects, allocated in 2 places' "$tmp/said"; } || fail "leaks with check: $(cat "$tmp/said")"
SPANGC_DEBUG=leaks=2 "$tmp/misused" not-leaking 2>"$tmp/said" || fail "leaks=2: exit status $?"
grep -q 'leaks=2' "$tmp/said" || fail "leaks=2: $(cat "$tmp/said")"

# A program for AddressSanitizer, with the library as it is.
SPANGC_DEBUG=check=1
ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
export ASAN_OPTIONS
if echo 'int main(void) { return 0; }' | "$CC" -fsanitize=address -x c -o "$tmp/can" - 2>/dev/null && "$tmp/can"; then
    built asan -fsanitize=address
    "$tmp/asan" nothing >"$tmp/said" 2>&1 || fail "asan, nothing wrong: $(head -n 30 "$tmp/said")"
    for deed in read-after-free after-free past-the-end; do
        "$tmp/asan" $deed >"$tmp/said" 2>&1 && fail "asan, $deed: not found"
        grep -q 'AddressSanitizer: use-after-poison' "$tmp/said" || fail "asan, $deed: $(head -n 30 "$tmp/said")"
    done
fi

# Valgrind, where the library was built with its header.
if command -v valgrind >/dev/null 2>&1 && printf '#include <valgrind/memcheck.h>\n' | "$CC" -E - >/dev/null 2>&1; then
    valgrind -q --error-exitcode=9 "$tmp/misused" read-after-free >"$tmp/said" 2>&1
    status=$?
    if grep -q 'debuginfo reader' "$tmp/said"; then # 3.19 gives up at the DWARF 5 of clang 14
        echo "valgrind cannot read the library that this compiler made"
        exit 0
    fi
    { [ $status = 9 ] && grep -q 'Invalid read of size 1' "$tmp/said"; } || fail "valgrind: $(head -n 30 "$tmp/said")"
    [ "$(grep -c '^==[0-9]*== [A-Z]' "$tmp/said")" = 1 ] || fail "valgrind says more: $(cat "$tmp/said")"
fi
exit 0
