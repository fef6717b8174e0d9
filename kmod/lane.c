// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: the work items that run children.
 *
 * A queue has ready children and a few lanes, of two classes: quick ones for children
 * that only compute, slow ones for children that may block, each on a workqueue of its
 * own. A parallel scope has a queue for each class. An ordered scope has one queue with
 * one lane of each class, of which only one may be busy at a time, so that one child at a
 * time runs, in order. So has a parallel scope with a limit: a few lanes of each class, of which
 * so many may be busy, each with a child at a time.
 *
 * A lane is either idle, and on its queue's idle list, or busy: its work item is queued or
 * running. A busy lane makes claim after claim until the queue is empty, and then goes
 * idle in the same critical section in which it saw that, so that a child that is added
 * later finds either a lane that will look again or an idle one to kick. If the next child is
 * of the other class, the lane hands over to a lane of that class in the same way. A waiter
 * that helps counts as a busy lane, and so must kick one if it leaves children behind.
 *
 * Lanes are woken one after the other: a lane that was kicked, when it first looks and leaves
 * children behind, kicks the next. So a few children that are done in no time do not wake
 * as many workers, and many that block still get all of the lanes. But a lane may wait for a worker
 * as long as others of its class have them all. If the child that it was kicked for ends
 * without it, and the next is of the other class, it is called back, and gives its place to one
 * of that class.
 *
 * In a scope that has chosen its CPUs each lane has one of them, and is queued there, on workqueues
 * whose workers do not move. Callers do not help there. As one of these CPUs may have no worker to
 * spare, there as many are woken at once as there are children.
 *
 * After a budget of claims a lane goes idle and is kicked again, and so to the back of its
 * workqueue, so that long scopes do not starve short ones.
 *
 * A lane may still be between its last unlock and its return when the last child of the
 * scope has ended; kscope_lanes_destroy() waits for that.
 */
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define LANE_BUDGET 64 /* claims */

static void lane_work(struct work_struct *work);

/* Lanes of a scope that has chosen its CPUs each have one of these, in turn. */
static void lane_bind(struct kscope_lane *lane, u32 i)
{
	const struct kscope_scope *scope = lane->queue->scope;
	const struct kscope_bound *bound = scope->ring->user->bound;

	lane->wq = lane->slow ? bound->slow_wq : bound->quick_wq;
	lane->cpu = cpumask_first(scope->cpus);
	for (i %= cpumask_weight(scope->cpus); i; i--)
		lane->cpu = cpumask_next(lane->cpu, scope->cpus);
}

/* A CPU that is offline lets its work be done anywhere, so ask another one. */
static void lane_queue(struct kscope_lane *lane)
{
	const struct cpumask *cpus = lane->queue->scope->cpus;
	int cpu = lane->cpu;

	if (cpus && !cpu_online(cpu))
		cpu = cpumask_any_and(cpus, cpu_online_mask);
	queue_work_on(cpu < nr_cpu_ids ? cpu : WORK_CPU_UNBOUND, lane->wq,
		      &lane->work);
}

static struct kscope_lane *lane_make(struct kscope_queue *queue)
{
	struct kscope_user *user = queue->scope->ring->user;
	u32 i = queue->nr_made++;
	struct kscope_lane *lane = &queue->lanes[i];

	INIT_WORK(&lane->work, lane_work);
	INIT_LIST_HEAD(&lane->claim.children);
	lane->queue = queue;
	lane->slow = i >= queue->first_slow;
	lane->wq = lane->slow ? user->slow_wq : user->quick_wq;
	lane->cpu = WORK_CPU_UNBOUND;
	if (queue->scope->cpus)
		lane_bind(lane, i);
	list_add_tail(&lane->node, &queue->idle);
	return lane;
}

static struct kscope_lane *lane_find_idle(struct kscope_queue *queue, bool slow)
{
	struct kscope_lane *lane;

	list_for_each_entry(lane, &queue->idle, node)
		if (lane->slow == slow)
			return lane;
	while (queue->nr_made < queue->nr_lanes) {
		lane = lane_make(queue);
		if (lane->slow == slow)
			return lane;
	}
	return NULL;
}

static struct kscope_child *queue_first(struct kscope_queue *queue)
{
	return list_first_entry_or_null(&queue->ready, struct kscope_child,
					node);
}

/* Return: is one on its way that was not */
static bool lane_start(struct kscope_queue *queue, bool slow)
{
	struct kscope_lane *lane;

	if (queue->nr_busy >= queue->max_busy)
		return false;
	lane = lane_find_idle(queue, slow);
	if (!lane)
		return false;
	list_move_tail(&lane->node, &queue->starting);
	queue->nr_busy++;
	lane_queue(lane);
	return true;
}

static void lane_idle(struct kscope_lane *lane)
{
	lane->queue->nr_busy--;
	list_move(&lane->node, &lane->queue->idle);
}

/* Those that have no worker yet, and are not of the class that is wanted, are in the way. */
static void lanes_recall(struct kscope_queue *queue, bool slow)
{
	struct kscope_lane *lane, *next;

	list_for_each_entry_safe(lane, next, &queue->starting, node)
		if (lane->slow != slow && cancel_work(&lane->work))
			lane_idle(lane);
}

/* Is none on its way; or, as they may go to CPUs that have no worker to spare, not one for each */
static bool queue_wants_lane(const struct kscope_queue *queue)
{
	const struct list_head *child = queue->ready.next, *lane;

	if (list_empty(&queue->starting))
		return true;
	if (!queue->scope->cpus)
		return false;
	list_for_each(lane, &queue->starting)
		if (child != &queue->ready)
			child = child->next;
	return child != &queue->ready;
}

/**
 * kscope_lane_kick() - let an idle lane go, unless there is no need or none may
 * @queue: with ready children; see kscope_queue_kick()
 *
 * Context: under the scope's lock.
 */
void kscope_lane_kick(struct kscope_queue *queue)
{
	bool slow = kscope_child_is_slow(queue_first(queue));

	lockdep_assert_held(&queue->scope->lock);
	lanes_recall(queue, slow);
	while (queue_wants_lane(queue) && lane_start(queue, slow))
		;
}

/* Return: has it a claim, or is it not busy any more */
static bool lane_take(struct kscope_lane *lane, bool more)
{
	struct kscope_queue *queue = lane->queue;
	struct kscope_child *child = queue_first(queue);
	bool mine = more && child && kscope_child_is_slow(child) == lane->slow;

	lockdep_assert_held(&queue->scope->lock);
	if (mine) {
		list_del_init(&lane->node);
		kscope_claim_take(&lane->claim, queue);
	} else {
		lane_idle(lane);
	}
	kscope_queue_kick(queue);
	return mine;
}

/* End the last claim and, if there may be @more, make the next. Return: is there one */
static bool lane_turn(struct kscope_lane *lane, bool more)
{
	struct kscope_scope *scope = lane->queue->scope;
	bool ended;

	spin_lock(&scope->lock);
	ended = !list_empty(&lane->claim.children);
	if (ended)
		kscope_claim_end(&lane->claim, scope);
	more = lane_take(lane, more);
	spin_unlock(&scope->lock);
	if (ended)
		kscope_hook(KSCOPE_POINT_ENDED, lane->claim.user_data);
	if (ended)
		kscope_scope_notify(scope);
	return more;
}

static void lane_work(struct work_struct *work)
{
	struct kscope_lane *lane = container_of(work, struct kscope_lane, work);
	u32 budget = kscope_limit(LANE_BUDGET);

	kscope_hook(KSCOPE_POINT_TAKING, 0);
	while (lane_turn(lane, budget)) {
		kscope_claim_run(&lane->claim);
		cond_resched();
		budget--;
		kscope_hook(KSCOPE_POINT_TAKING, 0);
	}
	kscope_hook(KSCOPE_POINT_IDLE, lane->claim.user_data);
}

static void queue_init(struct kscope_queue *queue, struct kscope_scope *scope,
		       struct kscope_lane *lanes, u32 nr_quick, u32 nr_slow)
{
	queue->scope = scope;
	queue->lanes = lanes;
	queue->nr_lanes = nr_quick + nr_slow;
	queue->first_slow = nr_quick;
	queue->max_busy = max(nr_quick, nr_slow);
	INIT_LIST_HEAD(&queue->ready);
	INIT_LIST_HEAD(&queue->idle);
	INIT_LIST_HEAD(&queue->starting);
}

static u32 lanes_cpus(const struct kscope_scope *scope)
{
	return scope->cpus ? cpumask_weight(scope->cpus) : num_online_cpus();
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
	u32 most = scope->kind == KSCOPE_KIND_INLINE ? 0 : scope->tally.entries;
	u32 limit = scope->kind == KSCOPE_KIND_ORDERED ? 1 : scope->max_running;
	u32 quick, slow;

	if (limit)
		most = min(most, limit);
	quick = min3(lanes_cpus(scope), KSCOPE_MAX_QUICK, most);
	slow = min(KSCOPE_MAX_BLOCKING, most);
	scope->lanes =
		kvcalloc(quick + slow, sizeof(*scope->lanes), KSCOPE_GFP);
	if (!scope->lanes)
		return -ENOMEM;
	if (limit) {
		queue_init(&scope->quick, scope, NULL, 0, 0);
		queue_init(&scope->slow, scope, scope->lanes, quick, slow);
		scope->helped = &scope->slow;
	} else {
		queue_init(&scope->quick, scope, scope->lanes, quick, 0);
		queue_init(&scope->slow, scope, scope->lanes + quick, 0, slow);
		scope->helped = &scope->quick;
	}
	return 0;
}

static void queue_destroy(struct kscope_queue *queue)
{
	u32 i;

	for (i = 0; i < queue->nr_made; i++)
		cancel_work_sync(&queue->lanes[i].work);
}

/**
 * kscope_lanes_destroy() - wait until no lane touches the scope, and free them
 * @scope: nothing is outstanding, and nothing can be spawned any more
 *
 * Context: process context; sleeps for as long as a lane takes to return.
 */
void kscope_lanes_destroy(struct kscope_scope *scope)
{
	queue_destroy(&scope->quick);
	queue_destroy(&scope->slow);
	kvfree(scope->lanes);
}
