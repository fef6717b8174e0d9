// SPDX-License-Identifier: GPL-2.0
/*
 * The scope as a file: its end, its readiness, its ring, and a look inside.
 */
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/seq_file.h>

#include "internal.h"

static int scope_fop_release(struct inode *inode, struct file *file)
{
	kscope_scope_close(file->private_data);
	return 0;
}

static int scope_fop_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct kscope_scope *scope = file->private_data;

	return kscope_ring_mmap(scope->ring, vma);
}

static __poll_t scope_fop_poll(struct file *file, poll_table *table)
{
	struct kscope_scope *scope = file->private_data;
	__poll_t events = 0;
	u32 unread;

	poll_wait(file, &scope->wait, table);
	spin_lock(&scope->lock);
	unread = kscope_ring_unread(scope->ring);
	if (unread)
		events |= EPOLLIN | EPOLLRDNORM;
	if (!kscope_tally_admits(&scope->tally, unread))
		events |= EPOLLOUT | EPOLLWRNORM;
	if (kscope_tally_open(&scope->tally) && !scope->tally.nested &&
	    !kscope_tally_outstanding(&scope->tally))
		events |= EPOLLHUP;
	if (scope->violations != scope->seen)
		events |= EPOLLERR;
	spin_unlock(&scope->lock);
	return events;
}

#ifdef CONFIG_PROC_FS
static void show_child(struct seq_file *m, const struct kscope_blocker *child)
{
	static const char *const states[] = {
		[KSCOPE_STATE_PARKED] = "parked",
		[KSCOPE_STATE_QUEUED] = "queued",
		[KSCOPE_STATE_RUNNING] = "running",
		[KSCOPE_STATE_CANCELLING] = "cancelling",
	};

	seq_printf(m, "child:\t%#llx op %u %s age_ns %llu user_data %#llx\n",
		   child->child, child->op, states[child->state], child->age_ns,
		   child->user_data);
}

static void scope_fop_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct kscope_blocker children[KSCOPE_MAX_BLOCKERS];
	struct kscope_scope *scope = file->private_data;
	struct kscope_query query;
	u32 nr, i;

	kscope_scope_query(scope, &query);
	spin_lock(&scope->lock);
	nr = kscope_scope_blockers(scope, NULL, children, KSCOPE_MAX_BLOCKERS);
	spin_unlock(&scope->lock);

	seq_printf(m, "state:\t%u\nkind:\t%u\ncapacity:\t%u\n", query.state,
		   query.kind, query.capacity);
	seq_printf(m, "max_running:\t%u\n", scope->max_running);
	seq_printf(m, "policy:\t%u\ncause:\t%u\ndeadline_ns:\t%llu\n",
		   query.policy, query.cause, query.deadline_ns);
	seq_printf(m,
		   "outstanding:\t%u\nqueued:\t%u\nrunning:\t%u\nunread:\t%u\n",
		   query.outstanding, query.queued, query.running,
		   query.unread);
	seq_printf(m, "spawned:\t%llu\ncompleted:\t%llu\n", query.spawned,
		   query.completed);
	seq_printf(m, "failed:\t%llu\ncancelled:\t%llu\n", query.failed,
		   query.cancelled);
	seq_printf(m, "buffers:\t%u\npinned_pages:\t%llu\nviolations:\t%u\n",
		   query.nr_buffers, query.pinned_pages, query.violations);
	seq_printf(m, "borrows:\t%u\nstuck:\t%u\n", query.nr_borrows,
		   query.stuck);
	seq_printf(m, "depth:\t%u\nnested:\t%u\ntree_outstanding:\t%llu\n",
		   query.depth, query.nested, query.tree_outstanding);
	if (scope->cpus)
		seq_printf(m, "cpus:\t%*pbl\n", cpumask_pr_args(scope->cpus));
	for (i = 0; i < nr; i++)
		show_child(m, &children[i]);
}
#endif

const struct file_operations kscope_scope_fops = {
	.owner = THIS_MODULE,
	.release = scope_fop_release,
	.unlocked_ioctl = kscope_scope_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = scope_fop_mmap,
	.poll = scope_fop_poll,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = scope_fop_show_fdinfo,
#endif
};
