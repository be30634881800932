#!/bin/sh
# layers.sh - the house of gc/: #include points only downwards in gc/LAYERS, every file is named in gc/local.mk and
# every name is a file, platform conditionals stay in base/ and os/, libunwind in world/.
# shellcheck source=tests/meta/lib.sh
. "${top_srcdir:-.}/tests/meta/lib.sh"
gc=$top_srcdir/gc
make_tmp

# gc/FLOOR/FILE on disk, and as named in local.mk.
(cd "$gc" && find . -type f \( -name '*.[chS]' -o -name '*.def' -o -name '*.inc' \)) | sed 's,^\./,,' | sort >"$tmp/disk"
grep -v '^#' "$gc/local.mk" | grep -oE '%D%/[A-Za-z0-9_./-]+\.(c|h|S|def|inc)\b' | sed 's,%D%/,,' | sort -u >"$tmp/named"
unnamed=$(comm -23 "$tmp/disk" "$tmp/named")
[ -z "$unnamed" ] || fail "not in gc/local.mk: $unnamed"
absent=$(comm -13 "$tmp/disk" "$tmp/named")
[ -z "$absent" ] || fail "named in gc/local.mk, but not there: $absent"

cat >"$tmp/layers.awk" <<'EOF'
function bad(text) { print FILENAME ":" FNR ": " text; wrong = 1 }

FILENAME == layers { rank[$1] = ++floors; next }

FNR == 1 {
    file = substr(FILENAME, length(gc) + 2)
    floor = file
    if (!sub(/\/.*/, "", floor) || !(floor in rank))
        bad("no floor of gc/LAYERS")
    guard = ""
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    name = part[2]
    other = name
    if (name == "config.h") {
        if (floor != "base" && floor != "os")
            bad("config.h is for base/ and os/")
    } else if (name == "spangc.h")
        next
    else if (!sub(/\/.*/, "", other) || !(other in rank))
        bad("write \"floor/file.h\", not \"" name "\"")
    else if (rank[other] > rank[floor])
        bad(floor "/ includes " name ", which stands above it")
    else if ((getline line < (gc "/" name)) < 0)
        bad("no such file: " name)
}

/^[ \t]*#[ \t]*include[ \t]*<libunwind/ && floor != "world" { bad("libunwind is for world/ alone") }

# An include guard is no condition of the platform: the first directive of a header, and a #define of the same name.
/^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)/ && floor != "base" && floor != "os" {
    if (guard == "" && file ~ /\.h$/ && $1 == "#ifndef" && $2 ~ /_H$/)
        guard = $2
    else
        bad("a preprocessor condition outside base/ and os/")
}

END { exit wrong }
EOF
sed "s,^,$gc/," "$tmp/disk" | xargs "$AWK" -v gc="$gc" -v layers="$gc/LAYERS" -f "$tmp/layers.awk" "$gc/LAYERS" ||
    fail "the floors of gc/ are not kept"
echo "$(wc -l <"$tmp/disk") files on $(wc -l <"$gc/LAYERS") floors"
