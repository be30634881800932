# bench/local.mk: the benchmarks, each built once for every allocator that is compared. Built by `make bench-programs`
# and by what needs them, never by `make all`.

EXTRA_DIST += %D%/README.md %D%/RESULTS.md %D%/RESULTS-lifetimes.md %D%/RESULTS.svg %D%/chart.awk %D%/goals.md %D%/run

EXTRA_PROGRAMS += %D%/compare
%C%_compare_SOURCES = %D%/compare.c
%C%_compare_LDADD =
bench_built = %D%/compare

# -no-install: the program itself and no wrapper script, whose start would be measured too
bench_spangc_ldflags = $(AM_LDFLAGS) -no-install -pthread
bench_bdwgc_cppflags = $(AM_CPPFLAGS) -DBENCH_BDWGC $(BDWGC_CFLAGS)
bench_malloc_cppflags = $(AM_CPPFLAGS) -DBENCH_MALLOC

EXTRA_PROGRAMS += %D%/binary_trees-spangc %D%/binary_trees-malloc
bench_built += %D%/binary_trees-spangc %D%/binary_trees-malloc
%C%_binary_trees_spangc_SOURCES = %D%/binary_trees.c %D%/bench.h
%C%_binary_trees_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_binary_trees_spangc_LDADD = libspangc.la
%C%_binary_trees_malloc_SOURCES = %D%/binary_trees.c %D%/bench.h
%C%_binary_trees_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_binary_trees_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_binary_trees_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/binary_trees-bdwgc
bench_built += %D%/binary_trees-bdwgc
%C%_binary_trees_bdwgc_SOURCES = %D%/binary_trees.c %D%/bench.h
%C%_binary_trees_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_binary_trees_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_binary_trees_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/mark-spangc
bench_built += %D%/mark-spangc
%C%_mark_spangc_SOURCES = %D%/mark.c %D%/bench.h
%C%_mark_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_mark_spangc_LDADD = libspangc.la
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/mark-bdwgc
bench_built += %D%/mark-bdwgc
%C%_mark_bdwgc_SOURCES = %D%/mark.c %D%/bench.h
%C%_mark_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_mark_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_mark_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/ends-spangc
bench_built += %D%/ends-spangc
%C%_ends_spangc_SOURCES = %D%/ends.c %D%/bench.h
%C%_ends_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_ends_spangc_LDADD = libspangc.la
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/ends-bdwgc
bench_built += %D%/ends-bdwgc
%C%_ends_bdwgc_SOURCES = %D%/ends.c %D%/bench.h
%C%_ends_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_ends_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_ends_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/typed-spangc
bench_built += %D%/typed-spangc
%C%_typed_spangc_SOURCES = %D%/typed.c %D%/bench.h
%C%_typed_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_typed_spangc_LDADD = libspangc.la
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/typed-bdwgc
bench_built += %D%/typed-bdwgc
%C%_typed_bdwgc_SOURCES = %D%/typed.c %D%/bench.h
%C%_typed_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_typed_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_typed_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/stop-spangc
bench_built += %D%/stop-spangc
%C%_stop_spangc_SOURCES = %D%/stop.c %D%/bench.h
%C%_stop_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_stop_spangc_LDADD = libspangc.la
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/stop-bdwgc
bench_built += %D%/stop-bdwgc
%C%_stop_bdwgc_SOURCES = %D%/stop.c %D%/bench.h
%C%_stop_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_stop_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_stop_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/thread_create-spangc
bench_built += %D%/thread_create-spangc
%C%_thread_create_spangc_SOURCES = %D%/thread_create.c %D%/bench.h
%C%_thread_create_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_thread_create_spangc_LDADD = libspangc.la
EXTRA_PROGRAMS += %D%/thread_create-malloc
bench_built += %D%/thread_create-malloc
%C%_thread_create_malloc_SOURCES = %D%/thread_create.c %D%/bench.h
%C%_thread_create_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_thread_create_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_thread_create_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/thread_create-bdwgc
bench_built += %D%/thread_create-bdwgc
%C%_thread_create_bdwgc_SOURCES = %D%/thread_create.c %D%/bench.h
%C%_thread_create_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_thread_create_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_thread_create_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/gcbench-spangc %D%/gcbench-malloc
bench_built += %D%/gcbench-spangc %D%/gcbench-malloc
%C%_gcbench_spangc_SOURCES = %D%/gcbench.c %D%/bench.h
%C%_gcbench_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_gcbench_spangc_LDADD = libspangc.la
%C%_gcbench_malloc_SOURCES = %D%/gcbench.c %D%/bench.h
%C%_gcbench_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_gcbench_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_gcbench_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/gcbench-bdwgc
bench_built += %D%/gcbench-bdwgc
%C%_gcbench_bdwgc_SOURCES = %D%/gcbench.c %D%/bench.h
%C%_gcbench_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_gcbench_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_gcbench_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/peano-spangc %D%/peano-malloc
bench_built += %D%/peano-spangc %D%/peano-malloc
%C%_peano_spangc_SOURCES = %D%/peano.c %D%/bench.h
%C%_peano_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_peano_spangc_LDADD = libspangc.la
%C%_peano_malloc_SOURCES = %D%/peano.c %D%/bench.h
%C%_peano_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_peano_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_peano_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/peano-bdwgc
bench_built += %D%/peano-bdwgc
%C%_peano_bdwgc_SOURCES = %D%/peano.c %D%/bench.h
%C%_peano_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_peano_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_peano_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/alloc_threads-spangc %D%/alloc_threads-malloc
bench_built += %D%/alloc_threads-spangc %D%/alloc_threads-malloc
%C%_alloc_threads_spangc_SOURCES = %D%/alloc_threads.c %D%/bench.h
%C%_alloc_threads_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_alloc_threads_spangc_LDADD = libspangc.la
%C%_alloc_threads_malloc_SOURCES = %D%/alloc_threads.c %D%/bench.h
%C%_alloc_threads_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_alloc_threads_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_alloc_threads_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/alloc_threads-bdwgc
bench_built += %D%/alloc_threads-bdwgc
%C%_alloc_threads_bdwgc_SOURCES = %D%/alloc_threads.c %D%/bench.h
%C%_alloc_threads_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_alloc_threads_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_alloc_threads_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/server-spangc %D%/server-malloc
bench_built += %D%/server-spangc %D%/server-malloc
%C%_server_spangc_SOURCES = %D%/server.c %D%/bench.h
%C%_server_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_server_spangc_LDADD = libspangc.la
%C%_server_malloc_SOURCES = %D%/server.c %D%/bench.h
%C%_server_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_server_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_server_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/server-bdwgc
bench_built += %D%/server-bdwgc
%C%_server_bdwgc_SOURCES = %D%/server.c %D%/bench.h
%C%_server_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_server_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_server_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/hashmap-spangc %D%/hashmap-malloc
bench_built += %D%/hashmap-spangc %D%/hashmap-malloc
%C%_hashmap_spangc_SOURCES = %D%/hashmap.c %D%/bench.h
%C%_hashmap_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_hashmap_spangc_LDADD = libspangc.la
%C%_hashmap_malloc_SOURCES = %D%/hashmap.c %D%/bench.h
%C%_hashmap_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_hashmap_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_hashmap_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/hashmap-bdwgc
bench_built += %D%/hashmap-bdwgc
%C%_hashmap_bdwgc_SOURCES = %D%/hashmap.c %D%/bench.h
%C%_hashmap_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_hashmap_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_hashmap_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/strings-spangc %D%/strings-malloc
bench_built += %D%/strings-spangc %D%/strings-malloc
%C%_strings_spangc_SOURCES = %D%/strings.c %D%/bench.h
%C%_strings_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_strings_spangc_LDADD = libspangc.la
%C%_strings_malloc_SOURCES = %D%/strings.c %D%/bench.h
%C%_strings_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_strings_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_strings_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/strings-bdwgc
bench_built += %D%/strings-bdwgc
%C%_strings_bdwgc_SOURCES = %D%/strings.c %D%/bench.h
%C%_strings_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_strings_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_strings_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/large-spangc %D%/large-malloc
bench_built += %D%/large-spangc %D%/large-malloc
%C%_large_spangc_SOURCES = %D%/large.c %D%/bench.h
%C%_large_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_large_spangc_LDADD = libspangc.la
%C%_large_malloc_SOURCES = %D%/large.c %D%/bench.h
%C%_large_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_large_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_large_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/large-bdwgc
bench_built += %D%/large-bdwgc
%C%_large_bdwgc_SOURCES = %D%/large.c %D%/bench.h
%C%_large_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_large_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_large_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/frag-spangc %D%/frag-malloc
bench_built += %D%/frag-spangc %D%/frag-malloc
%C%_frag_spangc_SOURCES = %D%/frag.c %D%/bench.h
%C%_frag_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_frag_spangc_LDADD = libspangc.la
%C%_frag_malloc_SOURCES = %D%/frag.c %D%/bench.h
%C%_frag_malloc_CPPFLAGS = $(bench_malloc_cppflags)
%C%_frag_malloc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_frag_malloc_LDADD =
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/frag-bdwgc
bench_built += %D%/frag-bdwgc
%C%_frag_bdwgc_SOURCES = %D%/frag.c %D%/bench.h
%C%_frag_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_frag_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_frag_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/inline
bench_built += %D%/inline
%C%_inline_SOURCES = %D%/inline.c %D%/bench.h
%C%_inline_LDFLAGS = $(bench_spangc_ldflags)
%C%_inline_LDADD = libspangc.la

# What the machine allows; it is linked with no allocator of ours.
EXTRA_PROGRAMS += %D%/links-spangc
bench_built += %D%/links-spangc
%C%_links_spangc_SOURCES = %D%/links.c %D%/bench.h
%C%_links_spangc_LDFLAGS = $(bench_spangc_ldflags)
%C%_links_spangc_LDADD = libspangc.la
if HAVE_BDWGC
EXTRA_PROGRAMS += %D%/links-bdwgc
bench_built += %D%/links-bdwgc
%C%_links_bdwgc_SOURCES = %D%/links.c %D%/bench.h
%C%_links_bdwgc_CPPFLAGS = $(bench_bdwgc_cppflags)
%C%_links_bdwgc_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_links_bdwgc_LDADD = $(BDWGC_LIBS)
endif

EXTRA_PROGRAMS += %D%/limits
bench_built += %D%/limits
%C%_limits_SOURCES = %D%/limits.c
%C%_limits_LDFLAGS = $(AM_LDFLAGS) -pthread
%C%_limits_LDADD =

# What only this library does: figures by themselves.
EXTRA_PROGRAMS += %D%/coroutines
bench_built += %D%/coroutines
%C%_coroutines_SOURCES = %D%/coroutines.c
%C%_coroutines_LDFLAGS = $(bench_spangc_ldflags)
%C%_coroutines_LDADD = libspangc.la

CLEANFILES += $(bench_built)

# Where `make bench` writes its report.
BENCH_RESULTS = $(top_srcdir)/%D%/RESULTS.md

bench-programs: $(bench_built)

bench: bench-programs
	$(AM_V_at)CC='$(CC)' AWK='$(AWK)' $(SHELL) $(top_srcdir)/%D%/run -m 'make bench' -d %D% -o $(BENCH_RESULTS)

bench-quick: bench-programs
	$(AM_V_at)CC='$(CC)' $(SHELL) $(top_srcdir)/%D%/run -m 'make bench-quick' -d %D% -q

.PHONY: bench bench-quick bench-programs
