/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kscope for other kernel modules: scopes over kernel memory, and operations of one's
 * own. Programs use <linux/kscope.h> through the fd instead.
 *
 * A module that holds a scope or has registered an operation depends on kscope by
 * symbol, so kscope stays loaded. All calls may sleep unless they say otherwise.
 */
#ifndef KSCOPE_H
#define KSCOPE_H

#include <linux/kscope.h>
#include <linux/module.h>
#include <linux/types.h>

struct cpumask;
struct kscope_child;
struct kscope_scope;

/**
 * struct kscope_scope_params - what a scope is to be
 * @kind: KSCOPE_KIND_*
 * @policy: KSCOPE_POLICY_*
 * @capacity: children that can be outstanding or unread; rounded up to a power of two
 * @max_buffers: buffers that it can own at a time; 0 for 64
 * @flags: KSCOPE_SCOPE_*
 * @deadline_ns: CLOCK_MONOTONIC, when it is cancelled; 0 for never
 * @grace_ns: how long a fence waits, at most KSCOPE_GRACE_MAX; 0 for KSCOPE_GRACE_DEFAULT
 * @user_data: for its creator, who is told of it when it is in the way
 * @max_running: of a parallel scope: children that may run at a time; 0 for no limit
 * @cpus: where its children are run; NULL for anywhere. Copied
 */
struct kscope_scope_params {
	u32 kind;
	u32 policy;
	u32 capacity;
	u32 max_buffers;
	u32 flags;
	u64 deadline_ns;
	u64 grace_ns;
	u64 user_data;
	u32 max_running;
	const struct cpumask *cpus;
};

/**
 * struct kscope_join_result - what a join learns about the children so far
 * @first_error: status of the first child that failed, or 0
 * @first_child: its handle
 * @first_user_data: its user_data
 * @cause: KSCOPE_CAUSE_* for which the scope was cancelled first, or 0
 * @decider_child: the child whose end cancelled the scope: its handle; else 0
 * @decider_user_data: its user_data
 * @nr_failed: children that failed
 * @nr_cancelled: children that never started or stopped part-way
 */
struct kscope_join_result {
	int first_error;
	u64 first_child;
	u64 first_user_data;
	u32 cause;
	u64 decider_child;
	u64 decider_user_data;
	u64 nr_failed;
	u64 nr_cancelled;
};

/**
 * struct kscope_cancel_counts - what a cancel met
 * @never_started: children that had not started, and now never will
 * @told: running children that have now been told
 * @already: running children that had been told before
 */
struct kscope_cancel_counts {
	u32 never_started;
	u32 told;
	u32 already;
};

struct kscope_scope *
kscope_scope_create(const struct kscope_scope_params *params);
void kscope_scope_destroy(struct kscope_scope *scope);
int kscope_scope_join(struct kscope_scope *scope, u64 deadline_ns,
		      struct kscope_join_result *result);
int kscope_scope_quiesce(struct kscope_scope *scope, u64 deadline_ns);
int kscope_scope_release(struct kscope_scope *scope);
u32 kscope_scope_reap(struct kscope_scope *scope,
		      struct kscope_completion *records, u32 max);

int kscope_buf_add(struct kscope_scope *scope, void *addr, size_t len,
		   unsigned int access);
int kscope_buf_remove(struct kscope_scope *scope, u32 handle);

int kscope_child_spawn(struct kscope_scope *scope,
		       const struct kscope_desc *descs, u32 nr, u64 *handles);
int kscope_child_cancel(struct kscope_scope *scope, u32 what, u64 target,
			struct kscope_cancel_counts *counts);

/**
 * struct kscope_op - one operation: a row of data, and what runs
 * @name: for KSCOPE_IOC_OP_INFO; shorter than KSCOPE_NAME_LEN
 * @owner: THIS_MODULE; it stays loaded as long as a child of this op lives
 * @number: what descriptors call it; set by kscope_op_register()
 * @attributes: KSCOPE_OP_BLOCKS if @run may sleep for long: then only workers run it. Else a
 *	task that waits for the scope, or spawns in an inline one, may run it as well, and
 *	cannot be killed before it returns
 * @op_flags: the op_flags that it allows
 * @nr_ranges: ranges that it borrows, 0 to KSCOPE_MAX_RANGES
 * @uses_arg: &kscope_desc.off2 (alias file_off, pattern, seed, until_ns) means something
 *	to an op that has no second range
 * @access: KSCOPE_ACCESS_* of each range
 * @check: refuse descriptors whose values make no sense; optional. Process context,
 *	no locks. Return: 0 or a negative errno
 * @run: do it. Process context, may sleep. It looks at kscope_child_checkpoint() at
 *	least every 64 KiB of work, and its return is the acknowledgment of a cancel:
 *	afterwards nothing touches the child's ranges. Return: 0, -ECANCELED if it stopped
 *	because it was told to, or another negative errno
 * @cancel: wake @run up, beyond the wake_up_var(child) that every cancelled child gets;
 *	optional. Atomic context, called at most once, while the child has not ended; @run
 *	may have returned by then, so it touches nothing that @run owns
 * @in_flight: children of this op that live; private
 * @stray: the bits of a descriptor that must be 0; private, set by kscope_op_register()
 * @plain: private; children hold nothing but their slot
 * @cost: private; bytes of work that a child counts for besides its len, when several are
 *	taken together
 */
struct kscope_op {
	const char *name;
	struct module *owner;
	u16 number;
	u32 attributes;
	u32 op_flags;
	u8 nr_ranges;
	bool uses_arg;
	u8 access[KSCOPE_MAX_RANGES];
	int (*check)(const struct kscope_desc *desc);
	int (*run)(struct kscope_child *child);
	void (*cancel)(struct kscope_child *child);
	atomic_t in_flight;
	struct kscope_desc stray;
	bool plain;
	u32 cost;
};

int kscope_op_register(struct kscope_op *op);
void kscope_op_unregister(struct kscope_op *op);

/* For the run and cancel functions of operations */
const struct kscope_desc *kscope_child_desc(const struct kscope_child *child);
bool kscope_child_cancelled(const struct kscope_child *child);
void kscope_child_progress(struct kscope_child *child, u64 done);
int kscope_child_checkpoint(struct kscope_child *child, u64 done);
void kscope_child_set_value(struct kscope_child *child, u64 value);
void *kscope_child_map(struct kscope_child *child, unsigned int range, u64 pos,
		       size_t *len);
void kscope_child_unmap(void *addr);

#endif /* KSCOPE_H */
