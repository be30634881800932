# mkmap.awk - the symbol map of the shared library.
# Use: awk -f mkmap.awk gc/wrapped include/spangc.h include/spangc/inline.h
# Exported are every function and thread-local variable that the public headers, all files but the first, mark with
# GC_SPAN_API, and the names listed in the first, one a line. In a declaration, the function's name is the first word
# that a "(" follows.
#
# The wrapped names get no version. Another library's call of pthread_create asks for the C library's version of it,
# and the dynamic linker lets a symbol without a version answer that, but not one with a version of ours: its threads
# would escape the collector. So there is no "local: *" either, which would hide them; visibility hides the rest.

FILENAME == ARGV[1] { next }

/^[ \t]*#/ { next } # the definition of the mark itself

/^GC_SPAN_API / {
    declaration = ""
    open = 1
}

open {
    declaration = declaration " " $0
    if (match(declaration, /__thread [^;(]*\*gc_[a-z0-9_]+/)) {
        names[++n] = substr(declaration, RSTART, RLENGTH)
        sub(/.*\*/, "", names[n])
        open = 0
    } else if (match(declaration, /[A-Za-z_][A-Za-z0-9_]*\(/) && wanted(name = substr(declaration, RSTART, RLENGTH - 1))) {
        names[++n] = name
        open = 0
    } else if (/;/) {
        print "mkmap.awk: no function in:" declaration >"/dev/stderr"
        exit status = 1
    }
}

function wanted(word) { return word ~ /^gc_/ }

END {
    if (status)
        exit status
    print "SPANGC_0.1 {\n    global:"
    for (i = 1; i <= n; i++)
        print "        " names[i] ";"
    print "};"
}
