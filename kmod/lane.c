// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: the work items that run children.
 *
 * A scope has two queues of ready children: quick ones, whose ops only compute, and slow
 * ones, whose ops may block. Each queue has a few lanes. A lane is either idle, and on
 * its queue's idle list, or its work item is queued or running. It takes one child after
 * the other until the queue is empty, and then goes idle in the same critical section
 * in which it saw that, so that a child that is added later finds either a lane that will
 * look again or an idle one to kick. After a budget of children a lane goes to the back
 * of the workqueue, so that long scopes do not starve short ones.
 *
 * An ordered scope is a scope with a single lane: one child at a time, in order.
 *
 * A lane may still be between its last unlock and its return when the last child of the
 * scope has ended, or about to queue itself again; kscope_lanes_destroy() ends that.
 */
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define LANE_BUDGET 64

static struct kscope_child *lane_next(struct kscope_lane *lane)
{
	struct kscope_queue *queue = lane->queue;
	struct kscope_child *child;

	spin_lock(&queue->scope->lock);
	child = list_first_entry_or_null(&queue->ready, struct kscope_child,
					 node);
	if (child)
		kscope_child_start(child);
	else
		list_add(&lane->node, &queue->idle);
	spin_unlock(&queue->scope->lock);
	return child;
}

static void lane_work(struct work_struct *work)
{
	struct kscope_lane *lane = container_of(work, struct kscope_lane, work);
	struct kscope_child *child;
	int budget;

	for (budget = LANE_BUDGET; budget; budget--) {
		child = lane_next(lane);
		if (!child)
			return;
		kscope_child_run(child);
		cond_resched();
	}
	queue_work(lane->queue->wq, &lane->work);
}

/**
 * kscope_queue_add() - make a child ready to run
 * @queue: of its scope
 * @child: on no list
 *
 * Context: under the scope's lock.
 */
void kscope_queue_add(struct kscope_queue *queue, struct kscope_child *child)
{
	struct kscope_lane *lane;

	lockdep_assert_held(&queue->scope->lock);
	list_add_tail(&child->node, &queue->ready);
	lane = list_first_entry_or_null(&queue->idle, struct kscope_lane, node);
	if (!lane)
		return;
	list_del_init(&lane->node);
	queue_work(queue->wq, &lane->work);
}

static void queue_init(struct kscope_queue *queue, struct kscope_scope *scope,
		       struct workqueue_struct *wq)
{
	queue->scope = scope;
	queue->wq = wq;
	INIT_LIST_HEAD(&queue->ready);
	INIT_LIST_HEAD(&queue->idle);
}

static void lanes_init(struct kscope_lane *lanes, u32 nr,
		       struct kscope_queue *queue)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		INIT_WORK(&lanes[i].work, lane_work);
		lanes[i].queue = queue;
		list_add_tail(&lanes[i].node, &queue->idle);
	}
}

/**
 * kscope_lanes_create() - give a scope its queues and lanes
 * @scope: with kind, entries and ring set
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int kscope_lanes_create(struct kscope_scope *scope)
{
	u32 entries = scope->tally.entries;
	u32 quick = min3(num_online_cpus(), KSCOPE_MAX_QUICK, entries);
	u32 slow = min(KSCOPE_MAX_BLOCKING, entries);

	if (scope->kind == KSCOPE_KIND_ORDERED) {
		quick = 0;
		slow = 1;
	}
	scope->lanes = kvcalloc(quick + slow, sizeof(*scope->lanes),
				GFP_KERNEL_ACCOUNT);
	if (!scope->lanes)
		return -ENOMEM;
	scope->nr_lanes = quick + slow;
	queue_init(&scope->quick, scope, scope->ring->user->quick_wq);
	queue_init(&scope->slow, scope, scope->ring->user->slow_wq);
	lanes_init(scope->lanes, quick, &scope->quick);
	lanes_init(scope->lanes + quick, slow, &scope->slow);
	return 0;
}

/**
 * kscope_lanes_destroy() - wait until no lane touches the scope, and free them
 * @scope: nothing is outstanding, and nothing can be spawned any more
 *
 * Context: process context; sleeps for as long as a lane takes to return.
 */
void kscope_lanes_destroy(struct kscope_scope *scope)
{
	u32 i;

	for (i = 0; i < scope->nr_lanes; i++)
		cancel_work_sync(&scope->lanes[i].work);
	kvfree(scope->lanes);
}
