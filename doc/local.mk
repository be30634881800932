# doc/: manual pages and guides. Each public function has a page, which may be one line that leads to another.
dist_man7_MANS += %D%/man/spangc.7
dist_man3_MANS += \
	%D%/man/GC_SPAN_LAYOUT.3 \
	%D%/man/gc_add_cleanup.3 \
	%D%/man/gc_add_root_callback.3 \
	%D%/man/gc_add_roots.3 \
	%D%/man/gc_aligned_alloc.3 \
	%D%/man/gc_aligned_alloc_noscan.3 \
	%D%/man/gc_asprintf.3 \
	%D%/man/gc_base.3 \
	%D%/man/gc_calloc.3 \
	%D%/man/gc_calloc_noscan.3 \
	%D%/man/gc_calloc_typed.3 \
	%D%/man/gc_clear_stack.3 \
	%D%/man/gc_collect.3 \
	%D%/man/gc_collect_without_stacks.3 \
	%D%/man/gc_disable.3 \
	%D%/man/gc_disabled_depth.3 \
	%D%/man/gc_enable.3 \
	%D%/man/gc_exclude_roots.3 \
	%D%/man/gc_explain.3 \
	%D%/man/gc_features.3 \
	%D%/man/gc_finalize_all.3 \
	%D%/man/gc_finalizer_mode.3 \
	%D%/man/gc_finalizers_pending.3 \
	%D%/man/gc_free.3 \
	%D%/man/gc_get_event_handler.3 \
	%D%/man/gc_get_frozen.3 \
	%D%/man/gc_get_memory_limit.3 \
	%D%/man/gc_get_oom_handler.3 \
	%D%/man/gc_get_percent.3 \
	%D%/man/gc_get_profile_rate.3 \
	%D%/man/gc_get_warn_handler.3 \
	%D%/man/gc_init.3 \
	%D%/man/gc_is_noscan.3 \
	%D%/man/gc_is_reachable.3 \
	%D%/man/gc_is_reachable_without_stacks.3 \
	%D%/man/gc_keep_alive.3 \
	%D%/man/gc_layout_fields.3 \
	%D%/man/gc_layout_new.3 \
	%D%/man/gc_malloc.3 \
	%D%/man/gc_malloc_inline.3 \
	%D%/man/gc_malloc_noscan.3 \
	%D%/man/gc_malloc_noscan_inline.3 \
	%D%/man/gc_malloc_typed.3 \
	%D%/man/gc_malloc_uncollectable.3 \
	%D%/man/gc_malloc_uncollectable_noscan.3 \
	%D%/man/gc_posix_memalign.3 \
	%D%/man/gc_read_memstats.3 \
	%D%/man/gc_read_memstats_sized.3 \
	%D%/man/gc_realloc.3 \
	%D%/man/gc_reallocarray.3 \
	%D%/man/gc_release_memory.3 \
	%D%/man/gc_remove_root_callback.3 \
	%D%/man/gc_remove_roots.3 \
	%D%/man/gc_report_leaks.3 \
	%D%/man/gc_run_finalizers.3 \
	%D%/man/gc_set_event_handler.3 \
	%D%/man/gc_set_finalizer.3 \
	%D%/man/gc_set_finalizer_notify.3 \
	%D%/man/gc_set_frozen.3 \
	%D%/man/gc_set_memory_limit.3 \
	%D%/man/gc_set_oom_handler.3 \
	%D%/man/gc_set_percent.3 \
	%D%/man/gc_set_profile_rate.3 \
	%D%/man/gc_set_warn_handler.3 \
	%D%/man/gc_stack_alloc.3 \
	%D%/man/gc_stack_finish.3 \
	%D%/man/gc_stack_free.3 \
	%D%/man/gc_stack_register.3 \
	%D%/man/gc_stack_self.3 \
	%D%/man/gc_stack_set_context.3 \
	%D%/man/gc_stack_set_registers.3 \
	%D%/man/gc_stack_switch.3 \
	%D%/man/gc_stack_unregister.3 \
	%D%/man/gc_strdup.3 \
	%D%/man/gc_strndup.3 \
	%D%/man/gc_thread_attach.3 \
	%D%/man/gc_thread_detach.3 \
	%D%/man/gc_usable_size.3 \
	%D%/man/gc_vasprintf.3 \
	%D%/man/gc_weak_free.3 \
	%D%/man/gc_weak_get.3 \
	%D%/man/gc_weak_new.3 \
	%D%/man/gc_write_heap_profile.3 \
	%D%/man/gc_write_mappings.3 \
	%D%/man/gc_version.3

dist_doc_DATA += README.md NEWS.md %D%/overview.md %D%/overview.svg %D%/moving-from-malloc.md
designdir = $(docdir)/design
dist_design_DATA = \
	%D%/design/README.md \
	%D%/design/accounting.md \
	%D%/design/collection.md \
	%D%/design/coroutines.md \
	%D%/design/critical-path.md \
	%D%/design/heap.md \
	%D%/design/lifetimes.md \
	%D%/design/marking.md \
	%D%/design/memory.md \
	%D%/design/roots.md \
	%D%/design/signals.md \
	%D%/design/stopping.md \
	%D%/design/threads.md
EXTRA_DIST += CONTRIBUTING.md %D%/img/gctrace.png
