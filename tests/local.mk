# tests/: to add a program, write tests/unit/NAME.c around tests/check_main.h and add two lines to its folder's part
# below:
#
#	unit_tests += %D%/unit/NAME
#	%C%_unit_NAME_LDADD = $(UNIT_LIBS)
#
# (and, if it has more than one source: %C%_unit_NAME_SOURCES = ...). A script, tests/meta/NAME.sh, is one line in
# meta_tests; it passes by its exit status, 77 is "skipped".
#
#	UNIT_LIBS    every internal function, on the simulated operating system (os/os_mem_null.h)
#	INSIDE_LIBS  every internal function, on the real one
#	API_LIBS     the shared library as users have it
#
# A program links exactly one of the three.

UNIT_LIBS = libspangc-nullos.la $(CHECK_LIBS)
INSIDE_LIBS = libspangc-core.la $(CHECK_LIBS)
API_LIBS = libspangc.la $(CHECK_LIBS)

noinst_HEADERS += %D%/check_main.h
EXTRA_DIST += %D%/meta/lib.sh %D%/meta/tenlines.c tools/mksizeclass.c tools/install-deps

# ---- unit: a file of gc/ each, on the simulated operating system
unit_tests =
unit_tests += %D%/unit/bits
%C%_unit_bits_LDADD = $(UNIT_LIBS)

# ---- api: what spangc.h promises, from outside
api_tests =

# ---- sim: the pacer against simulated programs
sim_tests =

# ---- fault: a planted fault each, which must be reported
fault_tests =

# ---- stress: `make check-stress SECONDS=60` runs each for so long. They read STRESS_SECONDS and STRESS_SEED with
# check_env and print the seed. In `make check` the seconds are 0, which means one round: a count, no time.
stress_tests =
stress_tests += %D%/stress/handover
%C%_stress_handover_LDADD = $(API_LIBS)

# ---- fuzz: the saved inputs, replayed
fuzz_tests =

# ---- meta: the shape of the tree and of what is installed
meta_tests = \
	%D%/meta/docs.sh \
	%D%/meta/format.sh \
	%D%/meta/header.sh \
	%D%/meta/install.sh \
	%D%/meta/install-static.sh \
	%D%/meta/layers.sh \
	%D%/meta/size.sh \
	%D%/meta/sizeclass.sh \
	%D%/meta/symbols.sh

EXTRA_DIST += $(meta_tests) %D%/meta/no-check.sh
TESTS += $(meta_tests)
if HAVE_CHECK
tap_tests = $(unit_tests) $(api_tests) $(sim_tests) $(fault_tests) $(fuzz_tests) $(stress_tests)
check_PROGRAMS += $(tap_tests)
TESTS += $(tap_tests)
else
TESTS += %D%/meta/no-check.sh
endif

# Programs speak TAP, a line for each test in them; scripts are a test each.
TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(SHELL)
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
# The time-outs only end what hangs. AddressSanitizer must neither move locals off the stack nor look for leaks.
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	AWK='$(AWK)'; export AWK; \
	CC='$(CC)'; export CC; \
	MAKE='$(MAKE)'; export MAKE; \
	prefix='$(prefix)'; export prefix; \
	libdir='$(libdir)'; export libdir; \
	PACKAGE_VERSION='$(PACKAGE_VERSION)'; export PACKAGE_VERSION; \
	SANITIZER='$(SANITIZER)'; export SANITIZER; \
	STRESS_SECONDS='$(SECONDS)'; export STRESS_SECONDS; \
	CK_TAP_LOG_FILE_NAME=-; export CK_TAP_LOG_FILE_NAME; \
	CK_DEFAULT_TIMEOUT=`expr 300 + $(SECONDS)`; export CK_DEFAULT_TIMEOUT; \
	ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:$$ASAN_OPTIONS; export ASAN_OPTIONS; \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS; export UBSAN_OPTIONS; \
	unset SPANGC_PERCENT SPANGC_MEMLIMIT SPANGC_DEBUG;

SECONDS = 0
check-stress: all
	$(AM_V_at)seconds='$(SECONDS)'; test "$$seconds" != 0 || seconds=30; \
	  $(MAKE) check TESTS='$(stress_tests)' SECONDS="$$seconds"
.PHONY: check-stress
