#!/bin/sh
# gctrace-html.sh - the page that tools/gctrace-html makes of a log says what is in the log: counts, percentiles, places
# of points; of damaged, mixed, single and very many lines. Where there is nothing to show, it says so and fails.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
skip_with_sanitizer # it runs nothing of the library
make_tmp
tool=$top_srcdir/tools/gctrace-html
export AWK

# trace NUMBER SECONDS PERCENT PAUSE CPU BEFORE LIVE GOAL FOOTPRINT [FORCED]: a line as the library writes it.
trace()
{
    echo "gc $1 @$2s $3%: stop 0.001 mark $4 restart 0.002 ms pause $4 ms, cpu $5 ms," \
        "heap $6 -> $7 -> $8 goal B, footprint $9 B, 3 threads${10:+ (forced)}"
}

# page NAME: the page of $tmp/NAME.log, looked at as every page must be.
page()
{
    echo "+ gctrace-html $1.log"
    "$tool" "$tmp/$1.log" >"$tmp/$1.html" 2>"$tmp/said" || fail "$1: exit status $?: $(cat "$tmp/said")"
    [ ! -s "$tmp/said" ] || fail "$1: it says: $(cat "$tmp/said")"
    html=$tmp/$1.html
    if grep -n 'https\{0,1\}:\|<script\|@import\|url(' "$html"; then fail "$1: not self-contained"; fi
    if grep -nEi "[ '\"MHVL-](nan|inf)[ '\"MHVL%]" "$html"; then fail "$1: not a number"; fi
    well_formed "$html" || fail "$1: not well-formed"
}

well_formed() { :; }
if command -v xmllint >/dev/null 2>&1; then
    well_formed() { xmllint --noout "$1"; }
elif python3 -c 'import xml.parsers.expat' 2>/dev/null; then
    well_formed() { python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' "$1"; }
else
    echo "neither xmllint nor python3: whether the pages are well-formed is not looked at"
fi

# is WHAT FOUND EXPECTED
is() { [ "$2" = "$3" ] || fail "${html##*/}: $1 is '$2', not '$3'"; }

# tile NAME: a value of the summary; the row of a table of the name; the path of a class.
tile() { sed -n "s:.*scope='row'>$1</th><td[^>]*><b><data value='\\([0-9.]*\\)'.*:\\1:p" "$html"; }
row() { sed -n "s:<tr><th scope='row'>$1</th><td>\\(.*\\)</td></tr>:\\1:p" "$html" | sed 's:</td><td>: :g'; }
path_of() { sed -n "s:^<path class='$1' d='\\([^']*\\)'/>\$:\\1:p" "$html"; }
says() { tr '\n' ' ' <"$html" | grep -q "$1" || fail "${html##*/}: does not say: $1"; }
says_not() { if grep -q "$1" "$html"; then fail "${html##*/}: says: $1"; fi; }

# 200 pauses of 0.001 to 0.200 ms in no order; each tenth is forced.
"$AWK" 'BEGIN {
    for (i = 1; i <= 200; i++)
        printf "gc %d @%.3fs %d%%: stop 0.%03d mark 0.009 restart 0.000 ms pause 0.%03d ms, cpu 0.100 ms, " \
            "heap %d -> %d -> %d goal B, footprint %d B, 2 threads%s\n", i, i / 100, i % 7, i, (i * 37) % 200 + 1,
            9000000 + i, 4000000 + i, 8000000 + 2 * i, i == 150 ? 12345678 : 10000000, i % 10 ? "" : " (forced)"
}' >"$tmp/normal.log"
page normal
is collections "$(tile Collections)" 200
is forced "$(tile Forced)" 20
is 'the time covered' "$(tile 'Time covered')" 2.000
is 'the total pause' "$(tile 'Total pause')" 20.100
is 'the longest pause' "$(tile 'Longest pause')" 0.200
is 'the peak footprint' "$(tile 'Peak footprint')" 12345678
is 'the peak live' "$(tile 'Peak heap live')" 4000200
is 'the percentiles of pauses' "$(row pause)" '0.100 0.180 0.198 0.200 20.100'
is 'the percentiles of stops' "$(row stop)" '0.100 0.180 0.198 0.200 20.100'
is 'the percentiles of marks' "$(row mark)" '0.009 0.009 0.009 0.009 1.800'
is 'the longest' "$(row 27)" '0.270 0.200 0.027 0.009 4.00'
says_not "class='warn'"
says_not 'Thinned'
says_not 'ms, log'
says '200 trace lines of 200 lines'
for part in heap-chart pause-chart cpu-chart; do
    says "aria-labelledby='$part-t $part-d'"
    says "<title id='$part-t'>[^<]* over time in seconds</title> <desc id='$part-d'>[^<]*[.]</desc>"
done
says 'prefers-color-scheme: dark'
says 'gc 150 at 1.500 s, forced&#10;pause 0.151 ms&#10;heap 9.00&#160;MB &#8594; 4.00&#160;MB&#10;goal 8.00'
says 'goal 8.00&#160;MB&#10;footprint 12.3&#160;MB&#10;CPU so far 3%<'

# The same from standard input, but for the name; and from each awk that is here.
"$tool" <"$tmp/normal.log" >"$tmp/input.html" || fail "standard input: exit status $?"
sed 's/gctrace: normal.log/gctrace/; s/<h1>normal.log/<h1>Garbage collection/' "$tmp/normal.html" >"$tmp/expected"
run cmp "$tmp/expected" "$tmp/input.html"
for awk in mawk gawk original-awk bwk; do
    command -v "$awk" >/dev/null 2>&1 || continue
    echo "+ $awk"
    AWK=$awk "$tool" "$tmp/normal.log" | cmp "$tmp/normal.html" - || fail "with $awk the page is another"
done

# The program's own lines are between the trace's, and before them in the same line; a terminal adds carriage returns.
{
    echo 'starting: gc is on, heap 5 -> 6'
    trace 1 0.010 5 0.100 0.100 3000000 1000000 4000000 5000000
    printf 'working ... '
    trace 2 0.020 5 0.300 0.100 3000000 1000000 4000000 5000000
    trace 3 0.030 5 0.200 0.100 3000000 1000000 4000000 5000000 forced | sed "s/\$/$(printf '\r')/"
    echo 'spangc: a warning <b>&"'
    printf 'no end of line'
} >"$tmp/mixed.log"
page mixed
is collections "$(tile Collections)" 3
is forced "$(tile Forced)" 1
is 'the percentiles' "$(row pause)" '0.200 0.300 0.300 0.300 0.600'
says '3 trace lines of 6 lines'
says_not "class='warn'"

# However a line is cut, it is no collection; from its number on it is counted. So are what follows a cut in the same
# line, and the end of a line without its beginning.
trace 1 0.010 5 0.100 0.100 3000000 1000000 4000000 5000000 >"$tmp/whole"
"$AWK" '{
    for (i = 1; i < length($0); i++)
        print substr($0, 1, i)
    print
    print substr($0, 1, 40) "Aborted"
    print substr($0, 100)
    print substr($0, 1, 50) $0
    sub(/footprint [0-9]* B, /, "")
    print
}' "$tmp/whole" >"$tmp/cut.log"
page cut
is collections "$(tile Collections)" 2
says "<data value='$(($(wc -m <"$tmp/whole") - 2 - 3 + 4))'>"
says 'lines were</data> damaged or cut'

# One line: what it says, at its place.
trace 12 0.305 4 0.256 0.264 18775440 9260192 18690016 23068672 >"$tmp/single.log"
page single
is collections "$(tile Collections)" 1
is forced "$(tile Forced)" 0
is 'the percentiles' "$(row pause)" '0.256 0.256 0.256 0.256 0.256'
is 'the time covered' "$(tile 'Time covered')" 0.000
is 'the curve of live' "$(path_of live)" 'M999.2 629.6' # at 0.305 of 0.305256 s, 9.26 of 25 MB
says_not 'of that time'
says_not "path class='span"
is 'the peak live' "$(tile 'Peak heap live')" 9260192
says '1 trace line of 1 line of the log is a collection'

# And one that takes no time at all, at the beginning of time.
trace 1 0.000 0 0.000 0.000 0 0 0 0 >"$tmp/nothing.log"
page nothing
is collections "$(tile Collections)" 1
is 'the longest pause' "$(tile 'Longest pause')" 0.000

# Places: 1000 by 1000 units. The heap goes to 120 MB, the CPU to 40 %: of 0.5 s, 50 ms and half of 200, then the other
# half. Two lines have changed places. The goal is never, once.
{
    trace 1 0.100 10 0.000 50.000 90000000 60000000 100000000 100000000
    trace 3 0.800 20 0.000 0.000 90000000 30000000 18446744073709551615 100000000
    trace 2 0.400 10 200.000 200.000 90000000 48000000 75000000 100000000
    trace 4 0.900 20 100.000 0.000 80000000 36000000 60000000 90000000
} >"$tmp/places.log"
page places
is 'the curve of live' "$(path_of live)" 'M100.0 500.0L400.0 600.0L800.0 750.0L900.0 700.0'
is 'the curve of before' "$(path_of before)" 'M100.0 250.0L400.0 250.0L800.0 250.0L900.0 333.3'
is 'the curve of the footprint' "$(path_of footprint)" 'M100.0 166.7L400.0 166.7L800.0 166.7L900.0 250.0'
is 'the curve of the goal' "$(path_of goal)" 'M100.0 166.7H400.0V375.0M900.0 500.0H1000'
is 'the curve of the share' "$(path_of percent)" 'M100.0 750.0H400.0V750.0H800.0V500.0H900.0V500.0H1000'
is 'the CPU by interval' "$(path_of span)" 'M0.0 1000V250.0H500.0V500.0H1000.0'
says_not "class='warn'"
says 'After 1 collection the goal was'

# A goal far above the heap does not press it down.
{ trace 1 1.000 1 0.1 0.1 2000 1000 3000 4000; trace 2 2.000 1 0.1 0.1 2000 1000 900000 4000; } >"$tmp/far.log"
page far
is 'the curve of the goal' "$(path_of goal)" 'M500.0 400.0H1000.0V0.0H1000'
says 'The goal leaves the chart: it is up to 0.900&#160;MB'

# Pauses far apart are drawn on a logarithmic scale, 1 to 1000 ms here.
for i in 1 2 3 4; do
    trace $i $i.000 1 "$(echo "1.000 1.000 10.000 900.000" | cut -d' ' -f$i)" 0.100 2000000 1000000 3000000 4000000
done >"$tmp/apart.log"
page apart
says 'ms, log'
is 'the pauses' "$(path_of dot | sed 's/M[0-9.]* //g')" '1000.0h01000.0h0666.7h015.3h0'

# A collection without a line, and two processes in one log.
{ trace 5 1.000 1 0.1 0.1 2 1 3 4; trace 8 2.000 1 0.1 0.1 2 1 3 4; } >"$tmp/missing.log"
page missing
says 'from 5 to 8, of which 2 collections have no whole line'
{ cat "$tmp/normal.log" && sed 's/@/@1/' "$tmp/normal.log"; } >"$tmp/two.log"
page two
is collections "$(tile Collections)" 400
says 'lines of more than one process'
says_not "path class='span"

# A name is no markup.
name="<i>&\"'.log"
cp "$tmp/single.log" "$tmp/$name"
"$tool" "$tmp/$name" >"$tmp/name.html" || fail "a log named $name: exit status $?"
html=$tmp/name.html
well_formed "$html" || fail "a log named $name: not well-formed"
says '<title>gctrace: &lt;i&gt;&amp;&quot;&#39;.log</title>'

# 100000 lines: all are counted, one among them that is higher than the rest is seen, and the page stays small.
"$AWK" 'BEGIN {
    for (i = 1; i <= 100000; i++)
        printf "gc %d @%.3fs 5%%: stop 0.001 mark 0.100 restart 0.001 ms pause %.3f ms, cpu 0.200 ms, " \
            "heap %d -> %d -> 30000000 goal B, footprint 40000000 B, 2 threads%s\n",
            i, i / 1000, (i * 7919 % 100000 + 1) / 1000, 20000000 + i * 7919 % 1000000,
            i == 77777 ? 45000000 : 10000000 + i * 31 % 500, i % 1000 ? "" : " (forced)"
}' >"$tmp/many.log"
page many
is collections "$(tile Collections)" 100000
is 'the percentiles' "$(row pause)" '50.000 90.000 99.000 100.000 5000050.000'
says 'Thinned out for drawing'
path_of live | grep -q 'L777.1 100.0L' || fail "the highest of 100000 points is not drawn"
is forced "$(tile Forced)" 100
says "path class='field shade1 asked'"
says '<b><data[^>]*>5,000&#160;s<'
size=$(wc -c <"$html")
echo "the page of 100000 collections has $size bytes"
[ "$size" -lt 2000000 ] || fail "the page of 100000 collections has $size bytes"

# refused TEXT ARGUMENT...: exit status 1, one line on standard error, nothing on standard output.
refused()
{
    text=$1
    shift
    echo "+ gctrace-html $* (must fail)"
    "$tool" "$@" >"$tmp/out" 2>"$tmp/said" </dev/null
    status=$?
    [ $status = 1 ] || fail "exit status $status"
    [ ! -s "$tmp/out" ] || fail "there is a page"
    [ "$(wc -l <"$tmp/said")" = 1 ] || fail "not one line: $(cat "$tmp/said")"
    grep -q "^gctrace-html: .*$text" "$tmp/said" || fail "it says: $(cat "$tmp/said")"
}
: >"$tmp/empty.log"
echo 'gc is a fine thing' >"$tmp/other.log"
grep -v ' 3 threads$' "$tmp/cut.log" >"$tmp/damaged.log"
refused 'no whole gctrace line in .*: 0 lines, of which 0 damaged' "$tmp/empty.log"
refused 'no whole gctrace line in standard input'
refused 'no whole gctrace line in .*: 1 lines, of which 0 damaged' "$tmp/other.log"
refused 'no whole gctrace line in .*, of which [1-9][0-9]* damaged' "$tmp/damaged.log"
refused 'cannot read .*/none.log' "$tmp/none.log"
refused 'is a folder' "$tmp"
chmod 0 "$tmp/other.log"
[ -r "$tmp/other.log" ] || refused 'cannot read' "$tmp/other.log" # root can

"$tool" one two >"$tmp/out" 2>"$tmp/said"
status=$?
[ $status = 2 ] || fail "two logs: exit status $status"
[ ! -s "$tmp/out" ] || fail "two logs: there is a page"
grep -q '^usage: gctrace-html' "$tmp/said" || fail "two logs: it says: $(cat "$tmp/said")"
