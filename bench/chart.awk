# chart.awk - the wall times of a report of compare.c as bars, SVG: a row is a group, the first variant is 1.
# use: awk -f chart.awk RESULTS.md > RESULTS.svg

function escaped(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); return s }

function text(x, y, anchor, s) { printf "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, escaped(s) }

BEGIN {
    FS = " *[|] *"
    LABEL = 260; UNIT = 90; MOST = 6; BAR = 14; GAP = 16
    split("spangc bdwgc glibc jemalloc mimalloc tcmalloc", order, " ")
    split("#1b7837 #b2182b #888888 #4393c3 #e08214 #8073ac", colours, " ")
    for (i in order)
        colour[order[i]] = colours[i]
}

/^## / { title = substr($0, 4); next }
/^- commit: / { commit = substr($0, 11) }

# | variant | wall | CPU | RSS | wall ratio | ...
/^[|] / && $2 in colour && $6 ~ /^[0-9.]+$/ {
    if (title != last)
        group[++groups] = title
    last = title
    n = ++bars[groups]
    name[groups, n] = $2
    ratio[groups, n] = $6 + 0
    wall[groups, n] = $3
    sub(/ .*/, "", wall[groups, n])
}

END {
    height = 40
    for (g = 1; g <= groups; g++)
        height += bars[g] * BAR + GAP
    width = LABEL + UNIT * MOST + 220
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", width, height
    printf "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
    text(LABEL, 16, "start", "wall time as a multiple of spangc's, shorter is faster; commit " commit)
    y = 30
    for (g = 1; g <= groups; g++) {
        text(LABEL - 80, y + bars[g] * BAR / 2 + 4, "end", group[g])
        for (n = 1; n <= bars[g]; n++) {
            long = ratio[g, n] > MOST ? MOST : ratio[g, n]
            text(LABEL - 6, y + 11, "end", name[g, n])
            printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LABEL, y, long * UNIT, BAR - 2, colour[name[g, n]]
            text(LABEL + long * UNIT + 4, y + 11, "start", sprintf("%.2f%s  (%s s)", ratio[g, n], ratio[g, n] > MOST ? ", cut off" : "", wall[g, n]))
            y += BAR
        }
        y += GAP
    }
    printf "<path d=\"M%d 24V%d\" stroke=\"#000\" stroke-dasharray=\"2 3\"/>\n</svg>\n", LABEL + UNIT, y - GAP
}
