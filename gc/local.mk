# gc/: the collector. Every file is named here; tests/meta/layers.sh sees to that.

# Everything but the memory side of the operating system. Objects are compiled once and linked into the library, into
# the static archive and into the tests that look inside.
GC_SOURCES = \
	%D%/base/attr.h \
	%D%/base/bits.h \
	%D%/base/check.h \
	%D%/base/inside.h \
	%D%/base/lock.c \
	%D%/base/lock.h \
	%D%/base/options.c \
	%D%/base/options.def \
	%D%/base/options.h \
	%D%/base/report.c \
	%D%/base/report.h \
	%D%/os/os.h \
	%D%/os/os_calls.c \
	%D%/os/os_calls.def \
	%D%/os/os_calls.h \
	%D%/os/os_cgroup_linux.c \
	%D%/os/os_dwarf.h \
	%D%/os/os_dwarf_libdw.c \
	%D%/os/os_exception.c \
	%D%/os/os_exception.h \
	%D%/os/os_image_linux.c \
	%D%/os/os_library.c \
	%D%/os/os_machine_linux.c \
	%D%/os/os_file.h \
	%D%/os/os_filter.h \
	%D%/os/os_mangle.h \
	%D%/os/os_mem.h \
	%D%/os/os_memtool.c \
	%D%/os/os_memtool.h \
	%D%/os/os_ptrace_linux.c \
	%D%/os/os_real.c \
	%D%/os/os_real.h \
	%D%/os/os_stack_glibc.c \
	%D%/os/os_stdio_glibc.c \
	%D%/os/os_readable_linux.c \
	%D%/os/os_symbols.h \
	%D%/os/os_symbols_linux.c \
	%D%/os/os_task_linux.c \
	%D%/os/os_thread_linux.c \
	%D%/os/os_tls_glibc.c \
	%D%/heap/arena.c \
	%D%/heap/arena.h \
	%D%/heap/endcalls.c \
	%D%/heap/endcalls.h \
	%D%/heap/ephemeron.c \
	%D%/heap/ephemeron.h \
	%D%/heap/fixalloc.c \
	%D%/heap/fixalloc.h \
	%D%/heap/gcbits.c \
	%D%/heap/gcbits.h \
	%D%/heap/heaplive.c \
	%D%/heap/heaplive.h \
	%D%/heap/layout.c \
	%D%/heap/layout.h \
	%D%/heap/mappings.c \
	%D%/heap/mappings.h \
	%D%/heap/mcache.c \
	%D%/heap/mcache.h \
	%D%/heap/mcentral.c \
	%D%/heap/mcentral.h \
	%D%/heap/mspan.c \
	%D%/heap/mspan.h \
	%D%/heap/pageheap.c \
	%D%/heap/pageheap.h \
	%D%/heap/hugepages.c \
	%D%/heap/hugepages.h \
	%D%/heap/pagemark.c \
	%D%/heap/pagemark.h \
	%D%/heap/pagerun.c \
	%D%/heap/pagerun.h \
	%D%/heap/persistentalloc.c \
	%D%/heap/persistentalloc.h \
	%D%/heap/pinned.c \
	%D%/heap/pinned.h \
	%D%/heap/sampler.c \
	%D%/heap/sampler.h \
	%D%/heap/scavenge.c \
	%D%/heap/scavenge.h \
	%D%/heap/sizeclass.h \
	%D%/heap/sizeclass_tables.h \
	%D%/heap/specials.c \
	%D%/heap/specials.h \
	%D%/heap/sweep.c \
	%D%/heap/sweep.h \
	%D%/heap/sysmem.c \
	%D%/heap/sysmem.h \
	%D%/heap/treap.c \
	%D%/heap/treap.h \
	%D%/heap/typed.c \
	%D%/heap/typed.h \
	%D%/heap/typedcache.c \
	%D%/heap/typedcache.h \
	%D%/heap/weak.c \
	%D%/heap/weak.h \
	%D%/heap/weaklink.c \
	%D%/heap/weaklink.h \
	%D%/world/boundary.h \
	%D%/world/deaf.c \
	%D%/world/deaf.h \
	%D%/world/flight.c \
	%D%/world/flight.h \
	%D%/world/locate.c \
	%D%/world/locate.h \
	%D%/world/interrupts.c \
	%D%/world/interrupts.h \
	%D%/world/mask.c \
	%D%/world/mask.h \
	%D%/world/region.h \
	%D%/world/roots.c \
	%D%/world/roots.h \
	%D%/world/stackpool.c \
	%D%/world/stackpool.h \
	%D%/world/stacks.c \
	%D%/world/stacks.h \
	%D%/world/stop.c \
	%D%/world/stop.h \
	%D%/world/thread.c \
	%D%/world/thread.h \
	%D%/world/thrown.c \
	%D%/world/thrown.h \
	%D%/world/unwind.c \
	%D%/world/unwind.h \
	%D%/world/unknown.c \
	%D%/world/unknown.h \
	%D%/world/unwind_copy.h \
	%D%/world/worker.c \
	%D%/world/worker.h \
	%D%/mark/checkmark.c \
	%D%/mark/checkmark.h \
	%D%/mark/ephemerons.c \
	%D%/mark/ephemerons.h \
	%D%/mark/find_object.h \
	%D%/mark/markers.c \
	%D%/mark/markers.h \
	%D%/mark/rootcheck.c \
	%D%/mark/rootcheck.h \
	%D%/mark/rootjobs.c \
	%D%/mark/rootjobs.h \
	%D%/mark/scan.c \
	%D%/mark/scan.h \
	%D%/mark/visits.c \
	%D%/mark/visits.h \
	%D%/mark/workbuf.c \
	%D%/mark/workbuf.h \
	%D%/mark/workpool.c \
	%D%/mark/workpool.h \
	%D%/cycle/cycle.c \
	%D%/cycle/cycle.h \
	%D%/cycle/finalizers.c \
	%D%/cycle/finalizers.h \
	%D%/cycle/forkgate.c \
	%D%/cycle/forkgate.h \
	%D%/cycle/endnotes.c %D%/cycle/lifetimes.c \
	%D%/cycle/endnotes.h %D%/cycle/lifetimes.h \
	%D%/cycle/pacer.c \
	%D%/cycle/pacer.h \
	%D%/cycle/sweeper.c \
	%D%/cycle/sweeper.h \
	%D%/cycle/sysmon.c \
	%D%/cycle/sysmon.h \
	%D%/watch/buckets.c \
	%D%/watch/buckets.h \
	%D%/watch/chrometrace.c \
	%D%/watch/chrometrace.h \
	%D%/watch/events.c \
	%D%/watch/events.h \
	%D%/watch/mprof.c \
	%D%/watch/mprof.h \
	%D%/watch/gzip.c \
	%D%/watch/gzip.h \
	%D%/watch/legacyprofile.c \
	%D%/watch/legacyprofile.h \
	%D%/watch/explain.c \
	%D%/watch/explain.h \
	%D%/watch/guard.c \
	%D%/watch/guard.h \
	%D%/watch/heapprofile.c \
	%D%/watch/heapprofile.h \
	%D%/watch/leaks.c \
	%D%/watch/leaks.h \
	%D%/watch/memstats.c \
	%D%/watch/memstats.h \
	%D%/watch/pprof.c \
	%D%/watch/pprof.h \
	%D%/watch/protobuf.c \
	%D%/watch/protobuf.h \
	%D%/watch/out.c \
	%D%/watch/out.h \
	%D%/watch/path.c \
	%D%/watch/path.h \
	%D%/watch/trace.c \
	%D%/watch/trace.h \
	%D%/api/aligned.c \
	%D%/api/api.h \
	%D%/api/ask.c \
	%D%/api/atexit.c \
	%D%/api/atexit.h \
	%D%/api/collect.c \
	%D%/api/exception.c \
	%D%/api/explain.c \
	%D%/api/finalize.c \
	%D%/api/find.c \
	%D%/api/fork.c \
	%D%/api/fork.h \
	%D%/api/free.c \
	%D%/api/init.c \
	%D%/api/inline.c \
	%D%/api/layout.c \
	%D%/api/malloc.c \
	%D%/api/oom.c \
	%D%/api/reach.c \
	%D%/api/profile.c \
	%D%/api/realloc.c \
	%D%/api/rootcalls.c \
	%D%/api/settings.c \
	%D%/api/slow.c \
	%D%/api/sort.c \
	%D%/api/stack.c \
	%D%/api/stats.c \
	%D%/api/string.c \
	%D%/api/uncollectable.c \
	%D%/api/ephemeron.c \
	%D%/api/weak.c \
	%D%/api/weaklink.c \
	%D%/api/waits.h \
	%D%/api/wrap_exec.c \
	%D%/api/wrap_io.c \
	%D%/api/wrap_masks.c \
	%D%/api/wrap_signals.c \
	%D%/api/wrap_threads.c \
	%D%/api/wrap_waits.c

# What knows the CPU: frames of signals, and the way into the collector with every register on the stack. libunwind's
# interface for the stacks of others differs by CPU in more than the names of registers.
if ARCH_X86_64
GC_SOURCES += %D%/os/os_cpu_x86_64.c %D%/os/os_filter_x86_64.c %D%/os/os_xstate_x86_64.c %D%/world/boundary_frame_x86_64.c \
	%D%/world/boundary_x86_64.S %D%/world/unwind_calls.c %D%/world/unwind_calls.h %D%/world/unwind_copy.c \
	%D%/world/unwind_space.c %D%/world/unwind_space.h
else
GC_SOURCES += %D%/os/os_cpu_generic.c %D%/os/os_filter_generic.c %D%/world/boundary_generic.c \
	%D%/world/unwind_copy_generic.c
endif

GC_OS_MEM = %D%/os/os_mem_linux.c
GC_OS_MEM_NULL = %D%/os/os_mem_null.c %D%/os/os_mem_null.h

EXTRA_DIST += %D%/LAYERS %D%/wrapped tools/mkmap.awk

# The shared library.
lib_LTLIBRARIES += libspangc.la
libspangc_la_SOURCES = $(GC_SOURCES) $(GC_OS_MEM)
libspangc_la_LIBADD = $(STATIC_UNWIND_LIBS) $(UNWIND_LIBS) $(ZLIB_LIBS)
libspangc_la_LDFLAGS = $(GC_LDFLAGS) -shared -version-info $(LT_VERSION_INFO) -no-undefined $(SO_LDFLAGS) \
	-Wl,--version-script=%D%/spangc.map
EXTRA_libspangc_la_DEPENDENCIES = %D%/spangc.map

CLEANFILES += %D%/spangc.map
%D%/spangc.map: %D%/wrapped include/spangc.h include/spangc/inline.h tools/mkmap.awk
	$(AM_V_GEN)$(MKDIR_P) %D% && $(AWK) -f $(top_srcdir)/tools/mkmap.awk \
	  $(top_srcdir)/%D%/wrapped $(top_srcdir)/include/spangc.h \
	  $(top_srcdir)/include/spangc/inline.h >$@.tmp && mv $@.tmp $@

# The static archive: one relocatable object in which only the public names are global, so that a program may have a
# treap_insert of its own.
if BUILD_STATIC
staticlibdir = $(libdir)
staticlib_DATA = libspangc.a
CLEANFILES += libspangc.a %D%/spangc-all.o
libspangc.a: $(libspangc_la_OBJECTS)
	$(AM_V_GEN)rm -f $@ && \
	$(LD) -r -o %D%/spangc-all.o $(libspangc_la_OBJECTS:.lo=.o) && \
	$(OBJCOPY) --localize-hidden %D%/spangc-all.o && \
	$(AR) cr $@ %D%/spangc-all.o && \
	$(RANLIB) $@
endif

# The same objects with nothing hidden, for tests: on the real operating system, and on one that is simulated.
check_LTLIBRARIES += libspangc-core.la libspangc-nullos.la
libspangc_core_la_SOURCES = $(GC_SOURCES) $(GC_OS_MEM)
libspangc_core_la_LIBADD = $(STATIC_UNWIND_LIBS) $(UNWIND_LIBS) $(ZLIB_LIBS)
libspangc_nullos_la_SOURCES = $(GC_SOURCES) $(GC_OS_MEM_NULL)
libspangc_nullos_la_LIBADD = $(STATIC_UNWIND_LIBS) $(UNWIND_LIBS) $(ZLIB_LIBS)

pkgconfig_DATA += %D%/spangc.pc
