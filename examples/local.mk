# examples/: real programs on spangc. NAME is the program; NAME-plain is the same source on plain malloc without free
# (plain_malloc.h), for tools/demo to compare with. Sources and Scheme programs are installed as documentation.

examples_plain_cppflags = $(AM_CPPFLAGS) -DEXAMPLE_PLAIN_MALLOC

noinst_PROGRAMS += %D%/peano %D%/peano-plain
%C%_peano_SOURCES = %D%/peano.c %D%/plain_malloc.h
%C%_peano_LDADD = libspangc.la
%C%_peano_plain_SOURCES = $(%C%_peano_SOURCES)
%C%_peano_plain_CPPFLAGS = $(examples_plain_cppflags)
%C%_peano_plain_LDADD =

noinst_PROGRAMS += %D%/wordfreq %D%/wordfreq-plain
%C%_wordfreq_SOURCES = %D%/wordfreq.c %D%/plain_malloc.h
%C%_wordfreq_LDADD = libspangc.la
%C%_wordfreq_plain_SOURCES = $(%C%_wordfreq_SOURCES)
%C%_wordfreq_plain_CPPFLAGS = $(examples_plain_cppflags)
%C%_wordfreq_plain_LDADD =

noinst_PROGRAMS += %D%/lisp %D%/lisp-plain
%C%_lisp_SOURCES = %D%/lisp.c %D%/scheme/prelude.h %D%/plain_malloc.h
%C%_lisp_LDADD = libspangc.la -lm
%C%_lisp_plain_SOURCES = $(%C%_lisp_SOURCES)
%C%_lisp_plain_CPPFLAGS = $(examples_plain_cppflags)
%C%_lisp_plain_LDADD = -lm

# No twin on plain malloc: the stacks are the library's.
noinst_PROGRAMS += %D%/coroutines
%C%_coroutines_SOURCES = %D%/coroutines.c
%C%_coroutines_LDADD = libspangc.la

# Nor is there one without a collector.
noinst_PROGRAMS += %D%/weakmap
%C%_weakmap_SOURCES = %D%/weakmap.c
%C%_weakmap_LDADD = libspangc.la

exampledir = $(docdir)/examples
dist_example_DATA = %D%/coroutines.c %D%/lisp.c %D%/peano.c %D%/plain_malloc.h %D%/weakmap.c %D%/wordfreq.c
exampleschemedir = $(exampledir)/scheme
dist_examplescheme_DATA = %D%/scheme/meta.scm %D%/scheme/nqueens.scm %D%/scheme/prelude.h %D%/scheme/sort.scm

# What the programs print, and what they are given, in the test.
EXTRA_DIST += \
	%D%/expected/coroutines.out \
	%D%/expected/lisp.out \
	%D%/expected/lisp.scm \
	%D%/expected/meta.out \
	%D%/expected/nqueens.out \
	%D%/expected/peano.out \
	%D%/expected/sort.out \
	%D%/expected/weakmap.out \
	%D%/expected/wordfreq.out \
	%D%/expected/words.txt
TESTS += tests/api/examples.sh
EXTRA_DIST += tests/api/examples.sh
