// SPDX-License-Identifier: GPL-2.0
/*
 * A provider for tests: the op "gate" runs until the gate is opened by writing 1 to
 * /sys/module/kscope_gate/parameters/open. It heeds a cancel only with GATE_HEEDS, so that
 * tests can have a child that will not end. With GATE_REFUSES it is not let in at all.
 */
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>

#include "kscope.h"

#define GATE_HEEDS BIT(0)
#define GATE_REFUSES BIT(1)

static bool gate_open;

static int gate_set(const char *val, const struct kernel_param *param)
{
	bool open;
	int ret = kstrtobool(val, &open);

	if (ret)
		return ret;
	WRITE_ONCE(gate_open, open);
	/* The value before the look for sleepers; pairs with prepare_to_wait_event(). */
	smp_mb();
	wake_up_var(&gate_open);
	return 0;
}

static const struct kernel_param_ops gate_param_ops = {
	.set = gate_set,
	.get = param_get_bool,
};

module_param_cb(open, &gate_param_ops, &gate_open, 0644);
MODULE_PARM_DESC(open, "Let the children of the gate go on");

static int gate_check(const struct kscope_desc *desc)
{
	return desc->op_flags & GATE_REFUSES ? -EBUSY : 0;
}

static bool gate_lets_go(struct kscope_child *child)
{
	if (READ_ONCE(gate_open))
		return true;
	return kscope_child_desc(child)->op_flags & GATE_HEEDS &&
	       kscope_child_cancelled(child);
}

/* The value of its completion says on which CPU it began. */
static int gate_run(struct kscope_child *child)
{
	kscope_child_set_value(child, raw_smp_processor_id());
	___wait_var_event(&gate_open, gate_lets_go(child), TASK_IDLE, 0, 0,
			  schedule());
	if (kscope_child_desc(child)->op_flags & GATE_HEEDS &&
	    kscope_child_cancelled(child))
		return -ECANCELED;
	return 0;
}

static void gate_cancel(struct kscope_child *child)
{
	wake_up_var(&gate_open);
}

static struct kscope_op gate_op = {
	.name = "gate",
	.owner = THIS_MODULE,
	.attributes = KSCOPE_OP_BLOCKS,
	.op_flags = GATE_HEEDS | GATE_REFUSES,
	.nr_ranges = 1,
	.access = { KSCOPE_ACCESS_READ },
	.check = gate_check,
	.run = gate_run,
	.cancel = gate_cancel,
};

static int __init gate_init(void)
{
	return kscope_op_register(&gate_op);
}

static void __exit gate_exit(void)
{
	kscope_op_unregister(&gate_op);
}

module_init(gate_init);
module_exit(gate_exit);

MODULE_DESCRIPTION("An operation for kscope's tests that waits to be let go");
MODULE_LICENSE("GPL");
