// SPDX-License-Identifier: GPL-2.0
/*
 * The table of operations: a row for each built-in one, and those that other modules
 * register.
 *
 * A child of a registered op holds a reference to its module, so that the module cannot
 * be unloaded, and counts in op->in_flight, so that unregistering can wait for it.
 * Built-in ops need neither: each scope holds kscope itself.
 */
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

#include "internal.h"

struct kscope_op *const kscope_builtin_ops[KSCOPE_NR_BUILTIN] = {
	[KSCOPE_OP_NOP] = &kscope_op_nop,
	[KSCOPE_OP_SLEEP] = &kscope_op_sleep,
	[KSCOPE_OP_FILL] = &kscope_op_fill,
	[KSCOPE_OP_COPY] = &kscope_op_copy,
	[KSCOPE_OP_COMPARE] = &kscope_op_compare,
	[KSCOPE_OP_XOR] = &kscope_op_xor,
	[KSCOPE_OP_CRC32C] = &kscope_op_crc32c,
	[KSCOPE_OP_HASH] = &kscope_op_hash,
	[KSCOPE_OP_READ] = &kscope_op_read,
	[KSCOPE_OP_WRITE] = &kscope_op_write,
	[KSCOPE_OP_FSYNC] = &kscope_op_fsync,
};

static DEFINE_XARRAY_ALLOC(provider_ops);

#define SMALL_COST 256 /* of a child that has nothing but its len to do */

/* The bits of a descriptor that mean nothing to the op */
static void op_find_strays(struct kscope_op *op)
{
	bool second = op->nr_ranges == 2;

	memset(&op->stray, 0xff, sizeof(op->stray));
	op->stray.op = 0;
	op->stray.user_data = 0;
	op->stray.flags = (u16)~KSCOPE_CHILD_ALL;
	if (!op->nr_ranges)
		op->stray.flags |= KSCOPE_CHILD_WAIT;
	op->stray.op_flags = ~op->op_flags;
	op->stray.deadline_ns = 0;
	op->stray.after = 0;
	if (op->nr_ranges) {
		op->stray.len = 0;
		op->stray.buf = 0;
		op->stray.off = 0;
	}
	if (second || kscope_op_takes(op, KSCOPE_OP_TAKES_FILE))
		op->stray.buf2 = 0;
	if (second || op->uses_arg)
		op->stray.off2 = 0;
	if (kscope_op_takes(op, KSCOPE_OP_TAKES_HASH))
		op->stray.hash = 0;
}

/* What is worked out once, so that it need not be for each child */
static void op_prepare(struct kscope_op *op, bool builtin)
{
	bool small = builtin && !kscope_op_takes(op, KSCOPE_OP_BLOCKS);

	op_find_strays(op);
	op->plain =
		builtin && !op->nr_ranges && !op->check &&
		!kscope_op_takes(op, KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE |
					     KSCOPE_OP_TAKES_HASH);
	op->cost = KSCOPE_CLAIM + kscope_op_takes(op, KSCOPE_OP_BLOCKS);
	if (small)
		op->cost = SMALL_COST;
}

/**
 * kscope_ops_init() - prepare the built-in operations
 *
 * Context: module init.
 */
void kscope_ops_init(void)
{
	u32 i;

	for (i = 0; i < KSCOPE_NR_BUILTIN; i++)
		op_prepare(kscope_builtin_ops[i], true);
	op_prepare(&kscope_op_nop_tied, true);
	kscope_op_nop_tied.plain = false;
}

/**
 * kscope_provider_op_get() - find an operation that is not built in
 * @number: as descriptors call it
 *
 * Context: any but interrupts.
 * Return: the op with a reference for kscope_op_put(), or NULL.
 */
struct kscope_op *kscope_provider_op_get(u32 number)
{
	struct kscope_op *op;

	rcu_read_lock();
	op = xa_load(&provider_ops, number);
	if (op && !try_module_get(op->owner))
		op = NULL;
	if (op)
		atomic_inc(&op->in_flight);
	rcu_read_unlock();
	return op;
}

/**
 * kscope_op_put() - drop the reference of kscope_op_get()
 * @op: may be gone on return
 *
 * Context: any but interrupts; does not sleep.
 */
void kscope_op_put(struct kscope_op *op)
{
	struct module *owner;

	if (kscope_op_is_builtin(op))
		return;
	owner = op->owner;
	if (atomic_dec_and_test(&op->in_flight))
		wake_up_var(&op->in_flight);
	module_put(owner);
}

/**
 * kscope_op_count() - how many operations there are
 *
 * Return: the number that KSCOPE_IOC_OP_INFO can list at this moment.
 */
u32 kscope_op_count(void)
{
	u32 nr = KSCOPE_NR_BUILTIN;
	unsigned long number;
	struct kscope_op *op;

	xa_for_each(&provider_ops, number, op)
		nr++;
	return nr;
}

static void op_describe(const struct kscope_op *op, u32 index,
			struct kscope_op_info *info)
{
	info->index = index;
	info->op = op->number;
	info->attributes = op->attributes;
	info->op_flags = op->op_flags;
	info->nr_ranges = op->nr_ranges;
	info->access[0] = op->access[0];
	info->access[1] = op->access[1];
	strscpy_pad(info->name, op->name, sizeof(info->name));
}

static bool op_matches(const struct kscope_op *op, u32 index,
		       const struct kscope_op_info *info)
{
	if (info->flags & KSCOPE_OP_INFO_BY_NAME)
		return !strcmp(op->name, info->name);
	return index == info->index;
}

/**
 * kscope_op_describe() - answer KSCOPE_IOC_OP_INFO
 * @info: in: flags, and index or name. out: the rest
 *
 * Context: any but interrupts.
 * Return: 0, or -ENOENT if there is no such op.
 */
int kscope_op_describe(struct kscope_op_info *info)
{
	unsigned long number;
	struct kscope_op *op;
	int ret = -ENOENT;
	u32 index;

	for (index = 0; index < KSCOPE_NR_BUILTIN; index++) {
		if (op_matches(kscope_builtin_ops[index], index, info)) {
			op_describe(kscope_builtin_ops[index], index, info);
			return 0;
		}
	}
	rcu_read_lock();
	xa_for_each(&provider_ops, number, op) {
		if (op_matches(op, index, info)) {
			op_describe(op, index, info);
			ret = 0;
			break;
		}
		index++;
	}
	rcu_read_unlock();
	return ret;
}

static bool op_is_sane(const struct kscope_op *op)
{
	u32 taken = KSCOPE_OP_TAKES_FILE | KSCOPE_OP_TAKES_HASH;

	return op->name && op->run && strlen(op->name) < KSCOPE_NAME_LEN &&
	       op->nr_ranges <= KSCOPE_MAX_RANGES && !(op->attributes & taken);
}

/**
 * kscope_op_register() - offer an operation
 * @op: must stay until kscope_op_unregister() has returned; its number is set here
 *
 * Context: process context; may sleep.
 * Return: 0, -EINVAL if the row makes no sense, -ENOMEM, or -EBUSY if there are no
 * numbers left.
 */
int kscope_op_register(struct kscope_op *op)
{
	struct xa_limit limit = XA_LIMIT(KSCOPE_OP_PROVIDER, U16_MAX);
	u32 number;
	int ret;

	if (!op_is_sane(op))
		return -EINVAL;
	atomic_set(&op->in_flight, 0);
	op_prepare(op, false);
	ret = xa_alloc(&provider_ops, &number, NULL, limit, GFP_KERNEL);
	if (ret)
		return ret;
	op->number = number;
	xa_store(&provider_ops, number, op, GFP_KERNEL);
	return 0;
}
EXPORT_SYMBOL_GPL(kscope_op_register);

/**
 * kscope_op_unregister() - take an operation back
 * @op: registered before
 *
 * Waits until no child of it lives; the caller cancels its own scopes before.
 *
 * Context: process context; may sleep for as long as a child takes.
 */
void kscope_op_unregister(struct kscope_op *op)
{
	xa_erase(&provider_ops, op->number);
	synchronize_rcu();
	wait_var_event(&op->in_flight, !atomic_read(&op->in_flight));
}
EXPORT_SYMBOL_GPL(kscope_op_unregister);
