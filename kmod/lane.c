// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: the work items that run children.
 *
 * A queue has ready children and a few lanes, of two classes: quick ones for children
 * that only compute, slow ones for children that may block, each on a workqueue of its
 * own. A parallel scope has a queue for each class. An ordered scope has one queue with
 * one lane of each class, of which only one may be busy at a time, so that one child at a
 * time runs, in order.
 *
 * A lane is either idle, and on its queue's idle list, or busy: its work item is queued or
 * running. A busy lane takes one child after the other until the queue is empty, and then
 * goes idle in the same critical section in which it saw that, so that a child that is
 * added later finds either a lane that will look again or an idle one to kick. If the next
 * child is of the other class, the lane hands over to a lane of that class in the same way.
 * After a budget of children a lane goes to the back of its workqueue, so that long scopes
 * do not starve short ones.
 *
 * A lane may still be between its last unlock and its return when the last child of the
 * scope has ended, or about to queue itself again; kscope_lanes_destroy() ends that.
 */
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define LANE_BUDGET 64

static bool child_is_slow(const struct kscope_child *child)
{
	return child->op->attributes & KSCOPE_OP_BLOCKS;
}

/* Let an idle lane of the class go; there is none only if all of them are busy. */
static bool lane_kick(struct kscope_queue *queue, bool slow)
{
	struct kscope_lane *lane;

	list_for_each_entry(lane, &queue->idle, node) {
		if (lane->slow != slow)
			continue;
		list_del_init(&lane->node);
		queue_work(lane->wq, &lane->work);
		return true;
	}
	return false;
}

/* Return: the child to run, or NULL and the lane is not busy any more */
static struct kscope_child *lane_next(struct kscope_lane *lane)
{
	struct kscope_queue *queue = lane->queue;
	struct kscope_child *child;

	spin_lock(&queue->scope->lock);
	child = list_first_entry_or_null(&queue->ready, struct kscope_child,
					 node);
	if (child && child_is_slow(child) == lane->slow) {
		kscope_child_start(child);
	} else {
		if (!child || !lane_kick(queue, child_is_slow(child)))
			queue->nr_busy--;
		list_add(&lane->node, &queue->idle);
		child = NULL;
	}
	spin_unlock(&queue->scope->lock);
	return child;
}

static void lane_work(struct work_struct *work)
{
	struct kscope_lane *lane = container_of(work, struct kscope_lane, work);
	struct kscope_child *child;
	u32 budget = kscope_limit(LANE_BUDGET);
	u64 user_data;

	while (budget--) {
		kscope_hook(KSCOPE_POINT_TAKING, 0);
		child = lane_next(lane);
		if (!child) {
			kscope_hook(KSCOPE_POINT_IDLE, 0);
			return;
		}
		user_data = child->desc.user_data;
		kscope_child_run(child);
		cond_resched();
	}
	kscope_hook(KSCOPE_POINT_REQUEUE, user_data);
	queue_work(lane->wq, &lane->work);
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
	lockdep_assert_held(&queue->scope->lock);
	list_add_tail(&child->node, &queue->ready);
	if (queue->nr_busy < queue->max_busy &&
	    lane_kick(queue, child_is_slow(child)))
		queue->nr_busy++;
}

static void queue_init(struct kscope_queue *queue, struct kscope_scope *scope,
		       u32 max_busy)
{
	queue->scope = scope;
	queue->max_busy = max_busy;
	INIT_LIST_HEAD(&queue->ready);
	INIT_LIST_HEAD(&queue->idle);
}

static void lane_init(struct kscope_lane *lane, struct kscope_queue *queue,
		      bool slow)
{
	struct kscope_user *user = queue->scope->ring->user;

	INIT_WORK(&lane->work, lane_work);
	lane->queue = queue;
	lane->slow = slow;
	lane->wq = slow ? user->slow_wq : user->quick_wq;
	list_add_tail(&lane->node, &queue->idle);
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
	bool ordered = scope->kind == KSCOPE_KIND_ORDERED;
	u32 entries = ordered ? 1 : scope->tally.entries;
	u32 quick = min3(num_online_cpus(), KSCOPE_MAX_QUICK, entries);
	u32 slow = min(KSCOPE_MAX_BLOCKING, entries);
	struct kscope_queue *queue;
	u32 i;

	scope->nr_lanes = quick + slow;
	scope->lanes =
		kvcalloc(scope->nr_lanes, sizeof(*scope->lanes), KSCOPE_GFP);
	if (!scope->lanes)
		return -ENOMEM;
	queue_init(&scope->quick, scope, quick);
	queue_init(&scope->slow, scope, slow);
	for (i = 0; i < scope->nr_lanes; i++) {
		queue = ordered || i >= quick ? &scope->slow : &scope->quick;
		lane_init(&scope->lanes[i], queue, i >= quick);
	}
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
