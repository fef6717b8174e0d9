// SPDX-License-Identifier: GPL-2.0
/*
 * Operations without memory: NOP and SLEEP.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/wait_bit.h>

#include "internal.h"

static int nop_run(struct kscope_child *child)
{
	return 0;
}

struct kscope_op kscope_op_nop = {
	.name = "nop",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_NOP,
	.run = nop_run,
};

/* For children of which more than that is said; it has to be furnished. */
struct kscope_op kscope_op_nop_tied = {
	.name = "nop",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_NOP,
	.run = nop_run,
};

static bool sleep_once(ktime_t *until)
{
	return !schedule_hrtimeout_range(until, 0, HRTIMER_MODE_ABS);
}

static int sleep_run(struct kscope_child *child)
{
	ktime_t until =
		min_t(u64, kscope_child_desc(child)->until_ns, KTIME_MAX);
	bool over = false;

	___wait_var_event(child, over || kscope_child_cancelled(child),
			  TASK_IDLE, 0, 0, over = sleep_once(&until));
	return over ? 0 : -ECANCELED;
}

struct kscope_op kscope_op_sleep = {
	.name = "sleep",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_SLEEP,
	.attributes = KSCOPE_OP_BLOCKS,
	.uses_arg = true,
	.run = sleep_run,
};
