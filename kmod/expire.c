// SPDX-License-Identifier: GPL-2.0
/*
 * The deadlines of children: when one passes, that child is cancelled.
 *
 * They are in one queue for each scope, ordered by time, with one timer for the first of them. It
 * ends in an interrupt, where the scope's lock is not to be taken, so it queues a work item. A
 * child that ends leaves the queue; the timer is left as it is, and finds nothing to do.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/timerqueue.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "internal.h"

#define EXPIRE_BURST 64U

/**
 * kscope_expiry_del() - forget the deadline of a child
 * @child: of a scope that has ties
 *
 * Context: under the scope's lock.
 */
void kscope_expiry_del(struct kscope_child *child)
{
	struct timerqueue_node *node = &kscope_child_tie(child)->deadline;
	struct kscope_ties *ties = child->scope->ties;

	lockdep_assert_held(&child->scope->lock);
	if (RB_EMPTY_NODE(&node->node))
		return;
	timerqueue_del(&ties->expiry.queue, node);
	kscope_ties_count(ties, -1);
}

static void child_expire(struct kscope_child *child,
			 struct kscope_cancel_counts *counts)
{
	kscope_expiry_del(child);
	if (child->life.phase == KSCOPE_PHASE_RESERVED) {
		kscope_tie_lose(child, KSCOPE_CAUSE_DEADLINE);
		return;
	}
	kscope_child_tell(child, KSCOPE_CAUSE_DEADLINE, counts);
}

/* Return: the first whose time has come, or NULL; then the timer runs for the next */
static struct kscope_child *expiry_next(struct kscope_ties *ties)
{
	struct timerqueue_node *node = timerqueue_getnext(&ties->expiry.queue);

	if (!node)
		return NULL;
	if (node->expires > ktime_get()) {
		hrtimer_start(&ties->expiry.timer, node->expires,
			      HRTIMER_MODE_ABS);
		return NULL;
	}
	return kscope_tie_child(ties, container_of(node, struct kscope_tie,
						   deadline));
}

static void expiry_work(struct work_struct *work)
{
	struct kscope_ties *ties =
		container_of(work, struct kscope_ties, expiry.work);
	struct kscope_scope *scope = ties->scope;
	struct kscope_cancel_counts counts = {};
	struct kscope_child *child;
	u32 nr = 0;

	spin_lock(&scope->lock);
	while ((child = expiry_next(ties))) {
		child_expire(child, &counts);
		if (!(++nr % kscope_limit(EXPIRE_BURST)))
			kscope_scope_give_way(scope);
	}
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
}

static enum hrtimer_restart expiry_passes(struct hrtimer *timer)
{
	struct kscope_ties *ties =
		container_of(timer, struct kscope_ties, expiry.timer);

	queue_work(system_unbound_wq, &ties->expiry.work);
	return HRTIMER_NORESTART;
}

/**
 * kscope_expiry_init() - begin without a deadline
 * @ties: new
 */
void kscope_expiry_init(struct kscope_ties *ties)
{
	struct kscope_expiry *expiry = &ties->expiry;

	timerqueue_init_head(&expiry->queue);
	INIT_WORK(&expiry->work, expiry_work);
	hrtimer_setup(&expiry->timer, expiry_passes, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS);
}

/**
 * kscope_expiry_stop() - end timer and work
 * @ties: of a scope without children, about to be freed
 *
 * Context: process context; may sleep.
 */
void kscope_expiry_stop(struct kscope_ties *ties)
{
	hrtimer_cancel(&ties->expiry.timer);
	cancel_work_sync(&ties->expiry.work);
}

/**
 * kscope_expiry_add() - cancel a child when its time has come
 * @child: that has no deadline yet
 * @ns: CLOCK_MONOTONIC
 *
 * Context: under the scope's lock.
 */
void kscope_expiry_add(struct kscope_child *child, u64 ns)
{
	struct timerqueue_node *node = &kscope_child_tie(child)->deadline;
	struct kscope_ties *ties = child->scope->ties;

	lockdep_assert_held(&child->scope->lock);
	if (ns > KTIME_MAX)
		return;
	node->expires = ns_to_ktime(ns);
	kscope_ties_count(ties, 1);
	if (timerqueue_add(&ties->expiry.queue, node)) /* it is the first */
		hrtimer_start(&ties->expiry.timer, node->expires,
			      HRTIMER_MODE_ABS);
}
