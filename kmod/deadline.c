// SPDX-License-Identifier: GPL-2.0
/*
 * The deadline of a scope: when it passes, the scope is cancelled.
 *
 * The timer ends in an interrupt, where the scope's lock is not to be taken, so it queues a
 * work item for the cancel. Both are stopped before the scope is freed; between them and
 * that nothing else keeps the scope alive, and nothing else is needed.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "internal.h"

static void deadline_work(struct work_struct *work)
{
	struct kscope_scope *scope =
		container_of(work, struct kscope_scope, deadline.work);
	struct kscope_cancel_counts counts = {};

	kscope_scope_cancel(scope, KSCOPE_CAUSE_DEADLINE, &counts);
}

static enum hrtimer_restart deadline_passes(struct hrtimer *timer)
{
	struct kscope_scope *scope =
		container_of(timer, struct kscope_scope, deadline.timer);

	queue_work(system_unbound_wq, &scope->deadline.work);
	return HRTIMER_NORESTART;
}

/**
 * kscope_deadline_start() - cancel a scope when its time has come
 * @scope: new; nobody else has it yet
 * @ns: CLOCK_MONOTONIC, or 0 for never. If that is past, the scope is cancelled at once
 * @parent: that it is going to be nested in, or NULL. If its time comes first it is that of the
 *	scope as well, and its cancel comes down
 *
 * Context: process context.
 */
void kscope_deadline_start(struct kscope_scope *scope, u64 ns,
			   const struct kscope_scope *parent)
{
	struct kscope_deadline *deadline = &scope->deadline;
	u64 above = parent ? parent->deadline.ns : 0;

	deadline->ns = ns;
	INIT_WORK(&deadline->work, deadline_work);
	hrtimer_setup(&deadline->timer, deadline_passes, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS);
	if (above && (!ns || above <= ns)) {
		deadline->ns = above;
		return;
	}
	if (!ns || ns > KTIME_MAX)
		return;
	if (ktime_get_ns() >= ns)
		kscope_tally_cancel(&scope->tally, KSCOPE_CAUSE_DEADLINE);
	else
		hrtimer_start(&deadline->timer, ns_to_ktime(ns),
			      HRTIMER_MODE_ABS);
}

/**
 * kscope_deadline_stop() - undo kscope_deadline_start()
 * @scope: about to be freed
 *
 * Context: process context; may sleep.
 */
void kscope_deadline_stop(struct kscope_scope *scope)
{
	hrtimer_cancel(&scope->deadline.timer);
	cancel_work_sync(&scope->deadline.work);
}
