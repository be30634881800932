# tools/: scripts and generators.

# What `make demo` runs, and what it measures with.
noinst_PROGRAMS += %D%/measure
%C%_measure_SOURCES = %D%/measure.c
%C%_measure_LDADD =
EXTRA_DIST += %D%/demo %D%/gctrace-html
