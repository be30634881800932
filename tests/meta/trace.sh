#!/bin/sh
# trace.sh - the file of SPANGC_DEBUG=trace=FILE.json is what a viewer of Chrome trace events takes, says what gctrace says,
# is whole when the program is killed, and a file that cannot be written is one line and no harm (chrometrace.whole, .once).
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer
command -v jq >/dev/null 2>&1 || skip "no jq"
make_tmp
LD_LIBRARY_PATH=$top_builddir/.libs
export LD_LIBRARY_PATH
run "$CC" -O1 -I"$top_srcdir/include" -o "$tmp/traced" "$top_srcdir/tests/meta/traced.c" -L"$top_builddir/.libs" \
    -lspangc -pthread

# holds FILE WHAT FILTER: jq says true of it.
holds()
{
    echo "+ $2"
    [ "$(jq "$3" "$1" 2>&1)" = true ] || fail "$2: $(jq "$3" "$1" 2>&1 | head -n 3)"
}

# well_formed FILE: what the format asks of each event.
well_formed()
{
    holds "$1" 'an array of events' 'type == "array" and length > 0 and all(.[]; type == "object" and
        (.name | type) == "string" and (.ph | IN("X", "C", "M")) and
        (.pid | type) == "number" and (.tid | type) == "number" and (.ts | type) == "number" and .ts >= 0)'
    holds "$1" 'stretches have a length, counters numbers, names a name' 'all(.[];
        if .ph == "X" then (.dur | type) == "number" and .dur >= 0
        elif .ph == "C" then (.args | length) > 0 and all(.args[]; type == "number" and . >= 0)
        else (.args.name | type) == "string" end)'
    holds "$1" 'each thread has one name' '([.[] | select(.ph == "X") | .tid] | unique) as $used |
        ([.[] | select(.name == "thread_name") | .tid]) as $named |
        ($named | length) == ($named | unique | length) and ($used - $named) == []'
}

SPANGC_DEBUG=gctrace=1,scavtrace=1,scavenge=1,trace=$tmp/t.json
export SPANGC_DEBUG
"$tmp/traced" 20 2>"$tmp/log" || fail "exit status $?: $(tail -n 3 "$tmp/log")"
well_formed "$tmp/t.json"
holds "$tmp/t.json" 'one process: the child of fork writes nothing' '([.[].pid] | unique | length) == 1'
holds "$tmp/t.json" 'the phases fill the pause' '[.[] | select(.ph == "X" and .dur >= 0)] as $x |
    ([$x[] | select(.name == "pause")]) as $p | ($p | length) > 3 and
    all($p[]; . as $q | [$x[] | select(.tid == $q.tid and .name != "pause" and .ts >= $q.ts - 0.002 and
        .ts + .dur <= $q.ts + $q.dur + 0.002) | .dur] | add > $q.dur - 0.01)'
# Viewers add ts and dur up as floating point: as jq does.
holds "$tmp/t.json" 'no stretch runs into the next, or out of the one that it is in' '[.[] | select(.ph == "X") |
    {tid, lo: .ts, hi: (.ts + .dur)}] | group_by(.tid) | all(.[]; sort_by(.lo, -.hi) |
    reduce .[] as $x ({open: [], ok: true}; .open |= map(select(.hi > $x.lo)) |
        .ok = (.ok and all(.open[]; .hi >= $x.hi)) | .open += [$x]) | .ok)'
holds "$tmp/t.json" 'memory went back' 'any(.[]; .name == "scavenge" and .args.bytes > 1000000)'
holds "$tmp/t.json" 'counters: live, goal, footprint' 'any(.[]; .ph == "C" and .args.live > 1000000 and
    .args.goal > .args.live and .args.footprint > 1000000)'

# The same collections as gctrace has, which tells those of the child too: it has counted on from its parent's.
pauses=$(jq '[.[] | select(.name == "pause")] | length' "$tmp/t.json")
cycles=$(jq '[.[] | select(.name == "pause") | .args.cycle] | unique | length' "$tmp/t.json")
lines=$(sed -n 's/^gc \([0-9]*\) .*/\1/p' "$tmp/log" | sort -un | wc -l)
[ "$pauses" = "$cycles" ] || fail "$pauses pauses, but $cycles collections"
[ "$lines" -ge "$pauses" ] || fail "$pauses pauses, but $lines lines of gctrace"
for n in $(jq '.[] | select(.name == "pause") | .args.cycle' "$tmp/t.json"); do
    grep -q "^gc $n " "$tmp/log" || fail "collection $n is in no line of gctrace"
done

SPANGC_DEBUG=trace=$tmp/k.json
i=0
while [ $i -lt 20 ]; do
    rm -f "$tmp/k.json"
    "$tmp/traced" &
    pid=$!
    # How long a busy machine takes until there is a collection is anybody's guess.
    until grep -qs '"pause"' "$tmp/k.json"; do
        kill -0 $pid || fail "it ended by itself, without a collection"
        sleep 0.01
    done
    sleep "0.$((10 + i))"
    kill -KILL $pid
    wait $pid 2>/dev/null
    jq . "$tmp/k.json" >"$tmp/said" 2>&1 || fail "killed, and not JSON: $(tail -n 1 "$tmp/said")"
    i=$((i + 1))
done
well_formed "$tmp/k.json"

# complains FILE TEXT: one line with that text, and the program does its work.
complains()
{
    SPANGC_DEBUG=trace=$1 "$tmp/traced" 2 2>"$tmp/said" || fail "trace=$1: exit status $?"
    cat "$tmp/said"
    [ "$(wc -l <"$tmp/said")" = 1 ] || fail "trace=$1: not one line"
    grep -q "$2" "$tmp/said" || fail "trace=$1: says otherwise"
}
complains "$tmp/none/t.json" "^spangc: SPANGC_DEBUG=trace=$tmp/none/t.json: cannot be written (No such file or directory)"
complains /dev/full '^spangc: SPANGC_DEBUG=trace: the file cannot be written (No space left on device)'
complains '' 'is not a known key=value'
