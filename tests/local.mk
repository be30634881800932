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
# A sanitizer's library has a signal() too, and comes first: so that wrap_signals.o is linked nevertheless.
OUR_SIGNALS = $(AM_LDFLAGS) -Wl,-u,__sysv_signal
if SANITIZER_THREAD
# The sanitizer's pthread_create stands before that of a shared library and would start our code in the new thread before
# its own; in the program, ours comes first.
API_LIBS = $(INSIDE_LIBS)
else
API_LIBS = libspangc.la $(CHECK_LIBS)
endif

noinst_HEADERS += %D%/check_main.h %D%/stress/stress.h %D%/share.h %D%/asleep.h %D%/api/cloned.h %D%/api/coroutine.h \
	%D%/api/beside.h %D%/api/helpers.h %D%/api/hidden.h %D%/api/places.h %D%/api/place_lib.h %D%/api/registers.h %D%/api/storm.h
EXTRA_DIST += %D%/meta/lib.sh %D%/meta/tenlines.c %D%/meta/exceptions.cc %D%/meta/plugin.cc \
	%D%/meta/opener.c %D%/meta/loop.c %D%/meta/small.c %D%/meta/traced.c \
	%D%/meta/explained.c %D%/meta/misused.c %D%/meta/profiled.c tools/mksizeclass.c tools/install-deps

# ---- unit: a file of gc/ each, on the simulated operating system
noinst_HEADERS += %D%/unit/heap.h
unit_tests =
unit_tests += %D%/unit/options
%C%_unit_options_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/report
%C%_unit_report_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/lock
%C%_unit_lock_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/bits
%C%_unit_bits_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/sysmem
%C%_unit_sysmem_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/persistentalloc
%C%_unit_persistentalloc_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/fixalloc
%C%_unit_fixalloc_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/gcbits
%C%_unit_gcbits_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/sizeclass
%C%_unit_sizeclass_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/arena
%C%_unit_arena_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/treap
%C%_unit_treap_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/pagemark
%C%_unit_pagemark_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/mappings
%C%_unit_mappings_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/scavenge
%C%_unit_scavenge_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/pagerun
%C%_unit_pagerun_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/pageheap
%C%_unit_pageheap_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/pageheap_random
%C%_unit_pageheap_random_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/mspan
%C%_unit_mspan_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/mcentral
%C%_unit_mcentral_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/mcache
%C%_unit_mcache_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/sampler
%C%_unit_sampler_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/specials
%C%_unit_specials_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/weak
%C%_unit_weak_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/ephemeron
%C%_unit_ephemeron_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/weaklink
%C%_unit_weaklink_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/layout
%C%_unit_layout_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/endcalls
%C%_unit_endcalls_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/buckets
%C%_unit_buckets_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/sweep
%C%_unit_sweep_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/pinned
%C%_unit_pinned_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/heaplive
%C%_unit_heaplive_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/workbuf
%C%_unit_workbuf_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/stacks
%C%_unit_stacks_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/thrown
%C%_unit_thrown_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/refusals
%C%_unit_refusals_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/flight
%C%_unit_flight_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/os_mem_null
%C%_unit_os_mem_null_LDADD = $(UNIT_LIBS)
# ... and what only the real one has.
unit_tests += %D%/unit/os_mem
%C%_unit_os_mem_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_filter
%C%_unit_os_filter_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/os_machine
%C%_unit_os_machine_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_cgroup
%C%_unit_os_cgroup_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_thread
%C%_unit_os_thread_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_readable
%C%_unit_os_readable_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_task
%C%_unit_os_task_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_image
%C%_unit_os_image_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_symbols
%C%_unit_os_symbols_LDADD = $(INSIDE_LIBS)
EXTRA_%C%_unit_os_symbols_DEPENDENCIES = %D%/api/place.la
unit_tests += %D%/unit/announced
%C%_unit_announced_LDADD = $(UNIT_LIBS)
unit_tests += %D%/unit/comers
%C%_unit_comers_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/interrupts
%C%_unit_interrupts_LDADD = $(INSIDE_LIBS)
%C%_unit_interrupts_LDFLAGS = $(OUR_SIGNALS)
unit_tests += %D%/unit/unwind_copy
%C%_unit_unwind_copy_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/os_cpu
%C%_unit_os_cpu_LDADD = $(INSIDE_LIBS)
unit_tests += %D%/unit/legacyprofile
%C%_unit_legacyprofile_LDADD = $(INSIDE_LIBS)
%C%_unit_legacyprofile_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=report_write
unit_tests += %D%/unit/pprof
%C%_unit_pprof_LDADD = $(INSIDE_LIBS)
%C%_unit_pprof_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc \
	-Wl,--wrap=deflateInit2_ -Wl,--wrap=report_write

# ---- api: what spangc.h promises, from outside
api_tests =
api_tests += %D%/api/alignment
%C%_api_alignment_LDADD = $(API_LIBS)
api_tests += %D%/api/inline
%C%_api_inline_LDADD = $(API_LIBS)
api_tests += %D%/api/figures
%C%_api_figures_LDADD = $(API_LIBS)
api_tests += %D%/api/allocate
%C%_api_allocate_LDADD = $(API_LIBS)
api_tests += %D%/api/ask
%C%_api_ask_LDADD = $(API_LIBS)
api_tests += %D%/api/badpointer
%C%_api_badpointer_LDADD = $(API_LIBS)
api_tests += %D%/api/blocking
%C%_api_blocking_LDADD = $(API_LIBS)
api_tests += %D%/api/callback
%C%_api_callback_LDADD = $(API_LIBS)
api_tests += %D%/api/coroutines
%C%_api_coroutines_LDADD = $(API_LIBS)
api_tests += %D%/api/deaf
%C%_api_deaf_LDADD = $(API_LIBS)
api_tests += %D%/api/idle
%C%_api_idle_LDADD = $(API_LIBS)
api_tests += %D%/api/limits
%C%_api_limits_LDADD = $(INSIDE_LIBS)
api_tests += %D%/api/environment
%C%_api_environment_LDADD = $(API_LIBS)
api_tests += %D%/api/events
%C%_api_events_LDADD = $(API_LIBS)
api_tests += %D%/api/forked
%C%_api_forked_LDADD = $(API_LIBS)
api_tests += %D%/api/frames
%C%_api_frames_LDADD = $(API_LIBS)
api_tests += %D%/api/free
%C%_api_free_LDADD = $(API_LIBS)
api_tests += %D%/api/garbage
%C%_api_garbage_LDADD = $(API_LIBS)
api_tests += %D%/api/giveup
%C%_api_giveup_LDADD = $(API_LIBS)
api_tests += %D%/api/weak
%C%_api_weak_LDADD = $(API_LIBS)
api_tests += %D%/api/ephemerons
%C%_api_ephemerons_LDADD = $(API_LIBS)
api_tests += %D%/api/links
%C%_api_links_LDADD = $(API_LIBS)
api_tests += %D%/api/layout
%C%_api_layout_LDADD = $(API_LIBS)
api_tests += %D%/api/cleanups
%C%_api_cleanups_LDADD = $(API_LIBS)
api_tests += %D%/api/finalizers
%C%_api_finalizers_LDADD = $(API_LIBS)
api_tests += %D%/api/endreports
%C%_api_endreports_LDADD = $(API_LIBS)
api_tests += %D%/api/tls
%C%_api_tls_LDADD = $(API_LIBS)
api_tests += %D%/api/held
%C%_api_held_LDADD = $(API_LIBS)
api_tests += %D%/api/handlers
%C%_api_handlers_LDADD = $(API_LIBS)
api_tests += %D%/api/images
%C%_api_images_LDADD = %D%/api/libplace-linked.la $(API_LIBS)
api_tests += %D%/api/interrupted
%C%_api_interrupted_LDADD = $(API_LIBS)
api_tests += %D%/api/late
%C%_api_late_LDADD = $(CHECK_LIBS)
%C%_api_late_DEPENDENCIES = libspangc.la
api_tests += %D%/api/lives
%C%_api_lives_LDADD = $(API_LIBS)
api_tests += %D%/api/manners
%C%_api_manners_LDADD = $(API_LIBS)
api_tests += %D%/api/memstats
%C%_api_memstats_LDADD = $(API_LIBS)
api_tests += %D%/api/oom
%C%_api_oom_LDADD = $(API_LIBS)
api_tests += %D%/api/reach
%C%_api_reach_LDADD = $(API_LIBS)
api_tests += %D%/api/profile
%C%_api_profile_LDADD = $(API_LIBS)
api_tests += %D%/api/realloc
%C%_api_realloc_LDADD = $(API_LIBS)
api_tests += %D%/api/results
%C%_api_results_LDADD = %D%/api/libmaker.la $(API_LIBS)
api_tests += %D%/api/roots
%C%_api_roots_LDADD = $(API_LIBS)
api_tests += %D%/api/settings
%C%_api_settings_LDADD = $(API_LIBS)
api_tests += %D%/api/spawned
%C%_api_spawned_LDADD = $(API_LIBS)
api_tests += %D%/api/sorting
%C%_api_sorting_LDADD = $(API_LIBS)
api_tests += %D%/api/threads
%C%_api_threads_LDADD = $(API_LIBS)
api_tests += %D%/api/tiny
%C%_api_tiny_LDADD = $(API_LIBS)
api_tests += %D%/api/unmapped
%C%_api_unmapped_LDADD = $(API_LIBS)
api_tests += %D%/api/together
%C%_api_together_LDADD = $(API_LIBS)
api_tests += %D%/api/unknown
%C%_api_unknown_LDADD = $(API_LIBS)

# Libraries that images.c is linked with, and that it opens.
if HAVE_CHECK
check_LTLIBRARIES += %D%/api/libplace-linked.la %D%/api/place.la %D%/api/place_ie.la
endif
%C%_api_libplace_linked_la_SOURCES = %D%/api/place_lib.c
%C%_api_libplace_linked_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLACE_FUNCTION=place_of_linked
%C%_api_libplace_linked_la_LDFLAGS = $(GC_LDFLAGS) -avoid-version -rpath /nowhere
%C%_api_place_la_SOURCES = %D%/api/place_lib.c
%C%_api_place_la_LDFLAGS = $(GC_LDFLAGS) -module -avoid-version -rpath /nowhere
%C%_api_place_ie_la_SOURCES = %D%/api/place_lib.c
%C%_api_place_ie_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLACE_INITIAL_EXEC
%C%_api_place_ie_la_LDFLAGS = $(GC_LDFLAGS) -module -avoid-version -rpath /nowhere

# A library that results.c lets make threads.
if HAVE_CHECK
check_LTLIBRARIES += %D%/api/libmaker.la
endif
%C%_api_libmaker_la_SOURCES = %D%/api/maker_lib.c
%C%_api_libmaker_la_LDFLAGS = $(GC_LDFLAGS) -avoid-version -rpath /nowhere
noinst_HEADERS += %D%/api/maker_lib.h

# ---- sim: the pacer against simulated programs
sim_tests =
sim_tests += %D%/sim/pacer
%C%_sim_pacer_LDADD = $(UNIT_LIBS)

# ---- fault: a planted fault each, which must be reported
noinst_HEADERS += %D%/fault/fault.h
fault_tests =
fault_tests += %D%/fault/missed_mark
%C%_fault_missed_mark_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/smashed
%C%_fault_smashed_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/from_handler
%C%_fault_from_handler_LDADD = $(INSIDE_LIBS)
%C%_fault_from_handler_LDFLAGS = $(OUR_SIGNALS)
fault_tests += %D%/fault/lock_order
%C%_fault_lock_order_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/markers
%C%_fault_markers_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/ephemerons
%C%_fault_ephemerons_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/overflow
%C%_fault_overflow_LDADD = $(INSIDE_LIBS)
fault_tests += %D%/fault/refused
%C%_fault_refused_LDADD = $(UNIT_LIBS)
fault_tests += %D%/fault/corners
%C%_fault_corners_LDADD = $(API_LIBS)
fault_tests += %D%/fault/guards
%C%_fault_guards_LDADD = $(API_LIBS)
fault_tests += %D%/fault/cross
%C%_fault_cross_LDADD = $(API_LIBS)
fault_tests += %D%/fault/middle
%C%_fault_middle_LDADD = $(API_LIBS)

# ---- stress: `make check-stress SECONDS=60` runs each for so long. They read STRESS_SECONDS and STRESS_SEED with
# check_env and print the seed. In `make check` the seconds are 0, which means one round: a count, no time.
stress_tests =
stress_tests += %D%/stress/handover
%C%_stress_handover_LDADD = $(API_LIBS)
stress_tests += %D%/stress/graph
%C%_stress_graph_LDADD = $(API_LIBS)
stress_tests += %D%/stress/ends
%C%_stress_ends_LDADD = $(API_LIBS)

# ---- fuzz: the saved inputs, replayed
noinst_HEADERS += %D%/fuzz/api_fuzz.h
EXTRA_DIST += %D%/fuzz/corpus %D%/fuzz/fuzzer.c
fuzz_tests =
fuzz_tests += %D%/fuzz/replay
%C%_fuzz_replay_SOURCES = %D%/fuzz/replay.c %D%/fuzz/api_fuzz.c
%C%_fuzz_replay_LDADD = $(API_LIBS)

# ---- meta: the shape of the tree and of what is installed
meta_tests = \
	%D%/api/callee-saved.sh \
	%D%/meta/copies.sh \
	%D%/meta/docs.sh \
	%D%/meta/exceptions.sh \
	%D%/meta/explain.sh \
	%D%/meta/format.sh \
	%D%/meta/gctrace-html.sh \
	%D%/meta/gdb.sh \
	%D%/meta/header.sh \
	%D%/meta/install.sh \
	%D%/meta/instructions.sh \
	%D%/meta/install-static.sh \
	%D%/meta/layers.sh \
	%D%/meta/misused.sh \
	%D%/meta/profile.sh \
	%D%/meta/size.sh \
	%D%/meta/small.sh \
	%D%/meta/sizeclass.sh \
	%D%/meta/symbols.sh \
	%D%/meta/trace.sh \
	%D%/meta/tsan.sh

EXTRA_DIST += $(meta_tests) %D%/meta/no-check.sh %D%/api/callee_saved.c
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
# The time-outs only end what hangs. AddressSanitizer must neither move locals off the stack nor look for leaks. Our locks
# have ranks that are checked, and fork takes two of one rank, which ThreadSanitizer would report.
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
	GC_CHECKS='$(GC_CHECKS)'; export GC_CHECKS; \
	CFLAGS='$(CFLAGS)'; export CFLAGS; \
	STRESS_SECONDS='$(SECONDS)'; export STRESS_SECONDS; \
	CK_TAP_LOG_FILE_NAME=-; export CK_TAP_LOG_FILE_NAME; \
	CK_DEFAULT_TIMEOUT=`expr 300 + $(SECONDS)`; export CK_DEFAULT_TIMEOUT; \
	ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:$$ASAN_OPTIONS; export ASAN_OPTIONS; \
	TSAN_OPTIONS=detect_deadlocks=0:$$TSAN_OPTIONS; export TSAN_OPTIONS; \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS; export UBSAN_OPTIONS; \
	unset SPANGC_PERCENT SPANGC_MEMLIMIT SPANGC_DEBUG;

# What exercises the library from inside, without what tests it as its users meet it.
check-inside: all
	$(AM_V_at)$(MAKE) check TESTS='$(unit_tests) $(sim_tests) $(fuzz_tests) $(stress_tests)'
.PHONY: check-inside

SECONDS = 0
check-stress: all
	$(AM_V_at)seconds='$(SECONDS)'; test "$$seconds" != 0 || seconds=30; \
	  $(MAKE) check TESTS='$(stress_tests)' SECONDS="$$seconds"
.PHONY: check-stress

# What ThreadSanitizer can follow, in a build for it. No suppressions: what it reports here is to be cured. It hands a
# signal to a thread only where that waits in the C library or leaves it, so that other programs wait for stops that are
# given up, and take minutes; the simulated operating system's addresses are not among those that it allows.
tsan_tests = %D%/unit/bits %D%/unit/flight %D%/unit/lock %D%/stress/handover
check-tsan:
	$(AM_V_at)$(MAKE) $(tsan_tests) && $(MAKE) check-TESTS TESTS='$(tsan_tests)'
.PHONY: check-tsan

# The fuzzers: `make check-fuzz SECONDS=60` runs libFuzzer (clang), `make check-afl SECONDS=60` AFL++ (afl-clang-fast), on
# inputs that start from the saved ones. Each builds the library anew, with full checks and instrumented, so that the
# coverage which guides it is the library's. What is found is left below %D%/fuzz/libfuzzer and %D%/fuzz/afl; minimized
# and named, it belongs in the corpus, which `make check` replays.
fuzz_harness = $(abs_top_srcdir)/%D%/fuzz/fuzzer.c $(abs_top_srcdir)/%D%/fuzz/api_fuzz.c
fuzz_build = $(MKDIR_P) $$dir && cd $$dir && { test -f Makefile || AFL_QUIET=1 $(abs_top_srcdir)/configure -q \
	    --enable-checks=full CC="$$cc" CFLAGS='-g -O1'; } && AFL_QUIET=1 $(MAKE) -s libspangc-core.la && \
	  AFL_QUIET=1 $$link -g -O1 $(CPPFLAGS) -I$(abs_top_srcdir)/include $(fuzz_harness) .libs/libspangc-core.a \
	    $(UNWIND_LIBS) $(ZLIB_LIBS) -lpthread -o fuzzer
fuzz_seconds = seconds='$(SECONDS)'; test "$$seconds" != 0 || seconds=60
fuzz:
	$(AM_V_GEN)dir=%D%/fuzz/libfuzzer cc='clang -fsanitize=fuzzer-no-link' link='clang -fsanitize=fuzzer'; $(fuzz_build)
check-fuzz: fuzz
	$(AM_V_at)$(fuzz_seconds); cd %D%/fuzz/libfuzzer && $(MKDIR_P) found && \
	  ./fuzzer -max_total_time="$$seconds" -max_len=2500 -len_control=0 -rss_limit_mb=0 \
	    found $(abs_top_srcdir)/%D%/fuzz/corpus
afl:
	$(AM_V_GEN)dir=%D%/fuzz/afl cc=afl-clang-fast link='afl-clang-fast -fsanitize=fuzzer'; $(fuzz_build)
check-afl: afl
	$(AM_V_at)$(fuzz_seconds); cd %D%/fuzz/afl && \
	  AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
	    afl-fuzz -V "$$seconds" -G 2500 -i $(abs_top_srcdir)/%D%/fuzz/corpus -o found -- ./fuzzer && \
	  if ls found/default/crashes/id* found/default/hangs/id* 2>/dev/null; then exit 1; fi
clean-local: fuzz-clean
fuzz-clean:
	rm -rf %D%/fuzz/libfuzzer %D%/fuzz/afl
.PHONY: fuzz check-fuzz afl check-afl fuzz-clean
