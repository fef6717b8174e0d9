// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for completions.
 *
 * A waiter that finds quick children ready helps before it sleeps: it runs them itself, as a
 * lane would. That saves two context switches for a single child, and leaves the CPU to
 * the caller, who pays for it. It leaves large children to the lanes, so that a signal need not
 * wait for long, and it takes the place of a lane: there are never more lanes and helpers at
 * work on a queue than the queue may have. A spawn that is going to wait does not kick a lane
 * for its last batch, and with one CPU for none; therefore each wait begins, and each helper
 * ends, with a kick, and so does a spawn that has to sleep for its caller's memory.
 *
 * A sleeper is woken once, when what it waits for is there: its entry in the wait queue
 * looks before it wakes. Whoever ends children changes the counts under the scope's lock, drops
 * it, and then looks for sleepers (a full barrier); a sleeper queues its entry and then
 * looks at the counts under the lock. So one of them sees the other. The look from the entry
 * is without the lock: it sees at least what the ender itself has done, and what others
 * do at the same time is followed by a look of theirs.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "internal.h"

/**
 * struct waiter - a task that waits
 * @entry: in scope->wait
 * @scope: whose completions it waits for
 * @min_complete: so many unread ones; U32_MAX to wait until nothing is outstanding
 * @deadline_ns: CLOCK_MONOTONIC, or 0 for none
 */
struct waiter {
	struct wait_queue_entry entry;
	struct kscope_scope *scope;
	u32 min_complete;
	u64 deadline_ns;
};

static bool waiter_has_enough(const struct waiter *waiter)
{
	return kscope_scope_has(waiter->scope, waiter->min_complete);
}

static int waiter_wake(struct wait_queue_entry *entry, unsigned int mode,
		       int flags, void *key)
{
	struct waiter *waiter = container_of(entry, struct waiter, entry);

	/* Without the lock: who changes it meanwhile looks as well, afterwards. */
	if (!data_race(waiter_has_enough(waiter)))
		return 0;
	return autoremove_wake_function(entry, mode, flags, key);
}

/**
 * kscope_scope_wake() - the part of kscope_scope_notify() for when somebody waits
 * @scope: whose
 *
 * Context: as kscope_scope_notify().
 */
void kscope_scope_wake(struct kscope_scope *scope)
{
	wake_up_poll(&scope->wait, EPOLLIN | EPOLLRDNORM | EPOLLOUT |
					   EPOLLWRNORM | EPOLLHUP | EPOLLERR);
}

/**
 * kscope_scope_kick() - let lanes go for children that were published without a kick
 * @scope: whose
 *
 * Context: any but interrupts.
 */
void kscope_scope_kick(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	kscope_queue_kick(kscope_scope_helped(scope));
	spin_unlock(&scope->lock);
}

/* Take ready children, if the next is one for a helper. */
static bool helper_take(struct kscope_claim *claim, struct kscope_queue *queue)
{
	struct kscope_child *child;

	lockdep_assert_held(&queue->scope->lock);
	child = list_first_entry_or_null(&queue->ready, struct kscope_child,
					 node);
	if (!child || kscope_child_is_slow(child))
		return false;
	if (!child->op->plain && child->desc.len > KSCOPE_HELP_BYTES)
		return false;
	kscope_claim_take(claim, queue);
	return true;
}

static bool helper_enter(const struct waiter *waiter,
			 struct kscope_queue *queue, struct kscope_claim *claim)
{
	bool enters = !(waiter->scope->flags & KSCOPE_SCOPE_NO_HELP) &&
		      queue->nr_busy < queue->max_busy &&
		      helper_take(claim, queue);

	queue->nr_busy += enters;
	kscope_queue_kick(queue);
	return enters;
}

/* Return: 0 there is enough, -EAGAIN if not, or why to stop */
static int waiter_check(const struct waiter *waiter)
{
	if (waiter_has_enough(waiter))
		return 0;
	if (signal_pending(current))
		return -ERESTARTSYS;
	if (waiter->deadline_ns && ktime_get_ns() >= waiter->deadline_ns)
		return -ETIMEDOUT;
	return -EAGAIN;
}

/* One claim of a helper: end it, and make the next. Return: as waiter_check() */
static int helper_turn(const struct waiter *waiter, struct kscope_queue *queue,
		       struct kscope_claim *claim)
{
	struct kscope_scope *scope = waiter->scope;
	int ret;

	kscope_claim_run(claim);
	spin_lock(&scope->lock);
	kscope_claim_end(claim, scope);
	ret = waiter_check(waiter);
	if (ret != -EAGAIN || !helper_take(claim, queue))
		queue->nr_busy--;
	kscope_queue_kick(queue);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
	cond_resched();
	return ret;
}

/* Return: 0 if there is enough, -EAGAIN if the rest is for others, or why to stop */
static int waiter_help(const struct waiter *waiter)
{
	struct kscope_queue *queue = kscope_scope_helped(waiter->scope);
	struct kscope_claim claim = {};
	int ret = 0;

	INIT_LIST_HEAD(&claim.children);
	spin_lock(&waiter->scope->lock);
	if (!waiter_has_enough(waiter))
		ret = helper_enter(waiter, queue, &claim) ? -EAGAIN : 1;
	else
		kscope_queue_kick(queue);
	spin_unlock(&waiter->scope->lock);
	if (ret > 0)
		return -EAGAIN;
	while (ret == -EAGAIN && !list_empty(&claim.children))
		ret = helper_turn(waiter, queue, &claim);
	return ret;
}

static bool waiter_looks(const struct waiter *waiter)
{
	bool enough;

	spin_lock(&waiter->scope->lock);
	enough = waiter_has_enough(waiter);
	spin_unlock(&waiter->scope->lock);
	return enough;
}

/* Return: 0, -EAGAIN after having slept, or why to stop */
static int waiter_sleep(const struct waiter *waiter)
{
	ktime_t expires = min_t(u64, waiter->deadline_ns, KTIME_MAX);

	if (waiter_looks(waiter))
		return 0;
	if (signal_pending(current))
		return -ERESTARTSYS;
	kscope_hook_atomic(KSCOPE_POINT_WAITING);
	if (!schedule_hrtimeout_range(waiter->deadline_ns ? &expires : NULL, 0,
				      HRTIMER_MODE_ABS))
		return waiter_looks(waiter) ? 0 : -ETIMEDOUT;
	return -EAGAIN;
}

/**
 * kscope_scope_wait() - wait for completions
 * @scope: whose
 * @min_complete: so many unread ones; U32_MAX to wait until nothing is outstanding
 * @deadline_ns: CLOCK_MONOTONIC, or 0 for none
 *
 * Runs ready children first, and sleeps then, interruptibly.
 *
 * Context: process context.
 * Return: 0 if there are so many or if nothing is outstanding, -ETIMEDOUT, -ERESTARTSYS.
 */
int kscope_scope_wait(struct kscope_scope *scope, u32 min_complete,
		      u64 deadline_ns)
{
	struct waiter waiter = {
		.scope = scope,
		.min_complete = min_complete,
		.deadline_ns = deadline_ns,
	};
	int ret = waiter_help(&waiter);

	if (ret != -EAGAIN)
		return ret;
	init_waitqueue_func_entry(&waiter.entry, waiter_wake);
	waiter.entry.private = current;
	INIT_LIST_HEAD(&waiter.entry.entry);
	do {
		prepare_to_wait(&scope->wait, &waiter.entry,
				TASK_INTERRUPTIBLE);
		ret = waiter_sleep(&waiter);
	} while (ret == -EAGAIN);
	finish_wait(&scope->wait, &waiter.entry);
	return ret;
}

/* Wait for the children of the scope, and then for those of all scopes below. */
static int scope_wait_all(struct kscope_scope *scope, u64 deadline_ns)
{
	int ret = kscope_scope_wait(scope, U32_MAX, deadline_ns);

	if (ret || !READ_ONCE(scope->nest.nests))
		return ret;
	return kscope_nest_wait(scope, deadline_ns);
}

/* Has its policy decided something that not all have been told of */
static bool scope_owes(const struct kscope_scope *scope)
{
	return scope->chores & KSCOPE_CHORE_CANCEL || scope->nest.owes;
}

/* Return: 0, or -EBUSY if there is something to wait for, or to carry out; or why not at all */
static int scope_reopen(struct kscope_scope *scope)
{
	int ret;

	spin_lock(&scope->lock);
	ret = scope_owes(scope) ? -EBUSY : kscope_tally_reopen(&scope->tally);
	if (!ret) {
		kscope_nest_reopened(scope);
		memset(&scope->first, 0, sizeof(scope->first));
		memset(&scope->decider, 0, sizeof(scope->decider));
	}
	spin_unlock(&scope->lock);
	return ret;
}

/**
 * kscope_scope_quiesce() - wait until nothing is outstanding, and begin anew
 * @scope: whose children to wait for, and those of all scopes below
 * @deadline_ns: CLOCK_MONOTONIC, or 0 for none
 *
 * A scope that a caller or its policy has cancelled takes children again, and its first failure
 * and whose end cancelled it are forgotten. Buffers, hashes and counters stay.
 *
 * Context: process context. Not from a child of the same scope.
 * Return: 0; -ECANCELED if the scope was cancelled for good; -ESHUTDOWN; -ETIMEDOUT;
 * -ERESTARTSYS.
 */
int kscope_scope_quiesce(struct kscope_scope *scope, u64 deadline_ns)
{
	int ret;

	for (;;) {
		ret = scope_wait_all(scope, deadline_ns) ?: scope_reopen(scope);
		if (ret != -EBUSY)
			break;
		kscope_scope_carry_out(scope);
	}
	if (!ret)
		kscope_scope_notify(scope);
	return ret;
}
EXPORT_SYMBOL_GPL(kscope_scope_quiesce);

/**
 * kscope_scope_join() - wait until nothing is outstanding
 * @scope: whose children to wait for, and those of all scopes below
 * @deadline_ns: CLOCK_MONOTONIC, or 0 for none
 * @result: filled in on success; may be NULL
 *
 * Runs ready children first, and sleeps then, interruptibly.
 *
 * Context: process context. Not from a child of the same scope.
 * Return: 0 and no child that was spawned before touches a buffer any more; -ETIMEDOUT;
 * -ERESTARTSYS.
 */
int kscope_scope_join(struct kscope_scope *scope, u64 deadline_ns,
		      struct kscope_join_result *result)
{
	struct kscope_nest_sum below;
	int ret = scope_wait_all(scope, deadline_ns);

	if (ret || !result)
		return ret;
	kscope_nest_sum_up(scope, &below);
	spin_lock(&scope->lock);
	*result = (struct kscope_join_result){
		.first_error = scope->first.status,
		.first_child = scope->first.child,
		.first_user_data = scope->first.user_data,
		.cause = scope->tally.cause,
		.decider_child = scope->decider.child,
		.decider_user_data = scope->decider.user_data,
		.nr_failed = scope->tally.failed + below.failed,
		.nr_cancelled = scope->tally.cancelled + below.cancelled,
	};
	spin_unlock(&scope->lock);
	if (!result->first_error) {
		result->first_error = below.status;
		result->first_user_data = below.user_data;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(kscope_scope_join);
