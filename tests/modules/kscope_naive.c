// SPDX-License-Identifier: GPL-2.0
/*
 * For the benches: what a driver that makes nothing of it does. Each child is a
 * work item on the system's workqueue, and a completion tells the caller that all are
 * done. It promises nothing: no handles, no leases, no cancel.
 */
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "kscope_naive.h"

#define NAIVE_MAX 65536

struct naive_batch {
	atomic_t left;
	struct completion done;
};

struct naive_child {
	struct work_struct work;
	struct naive_batch *batch;
	struct kscope_desc desc;
	struct kscope_completion completion;
};

static void naive_run(struct work_struct *work)
{
	struct naive_child *child =
		container_of(work, struct naive_child, work);

	child->completion.user_data = child->desc.user_data;
	child->completion.outcome = KSCOPE_FINISHED;
	if (atomic_dec_and_test(&child->batch->left))
		complete(&child->batch->done);
}

static int naive_copy_in(struct naive_child *children, u64 descs, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (copy_from_user(&children[i].desc,
				   u64_to_user_ptr(descs) +
					   i * sizeof(children->desc),
				   sizeof(children->desc)))
			return -EFAULT;
	return 0;
}

static int naive_copy_out(const struct naive_child *children, u64 to, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (copy_to_user(u64_to_user_ptr(to) +
					 i * sizeof(children->completion),
				 &children[i].completion,
				 sizeof(children->completion)))
			return -EFAULT;
	return 0;
}

static void naive_dispatch(struct naive_child *children, u32 nr)
{
	struct naive_batch batch = { .left = ATOMIC_INIT(nr) };
	u32 i;

	init_completion(&batch.done);
	for (i = 0; i < nr; i++) {
		children[i].batch = &batch;
		INIT_WORK(&children[i].work, naive_run);
		queue_work(system_wq, &children[i].work);
	}
	wait_for_completion(&batch.done);
}

static int naive_batch_run(const struct kscope_naive *args)
{
	struct naive_child *children;
	int ret;

	if (!args->nr || args->nr > NAIVE_MAX || args->reserved)
		return -EINVAL;
	children = kvcalloc(args->nr, sizeof(*children), GFP_KERNEL_ACCOUNT);
	if (!children)
		return -ENOMEM;
	ret = naive_copy_in(children, args->descs, args->nr);
	if (!ret) {
		naive_dispatch(children, args->nr);
		ret = naive_copy_out(children, args->completions, args->nr);
	}
	kvfree(children);
	return ret;
}

static long naive_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kscope_naive args;

	if (cmd != KSCOPE_NAIVE_RUN)
		return -ENOTTY;
	if (copy_from_user(&args, (void __user *)arg, sizeof(args)))
		return -EFAULT;
	return naive_batch_run(&args);
}

static const struct file_operations naive_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = naive_ioctl,
};

static struct miscdevice naive_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kscope_naive",
	.fops = &naive_fops,
	.mode = 0600,
};

module_misc_device(naive_device);

MODULE_DESCRIPTION("A work item for each child, to compare kscope with");
MODULE_LICENSE("GPL");
