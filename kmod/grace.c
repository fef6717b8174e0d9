// SPDX-License-Identifier: GPL-2.0
/*
 * Grace: how long children may take to end once they are told to.
 *
 * Nothing can make an operation return, and nothing is unpinned before it does. What can be done is
 * to say so: a work item looks at the children of a scope twice in a time of grace, from when the
 * first of them was told, until none is left that was. A child that it has met twice before is
 * stuck: the grace is over, by half as much again at most. QUERY counts it, and the log names it,
 * once for the scope, with what its worker is doing. From then on the looks become rare, until the
 * scope is closed.
 *
 * The same time is given to children that are shielded, from the close of the scope on. When it is
 * over the shields of that scope, and of all below, are gone, and they are cancelled as the others
 * were.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/ratelimit.h>
#include <linux/sched/debug.h>

#include "internal.h"

#define LOOK_MIN msecs_to_jiffies(20)
#define LOOK_MAX (60UL * HZ)

/* Bits of &kscope_child.waits, of a child that runs */
#define MET_ONCE BIT(4)
#define MET_TWICE BIT(5)

/* Whoever makes children get stuck on purpose shall not fill the log. */
static DEFINE_RATELIMIT_STATE(reports, 60 * HZ, 10);

static void report_stuck(const struct kscope_scope *scope,
			 const struct kscope_claim *claim,
			 const struct kscope_child *child)
{
	const struct kscope_op *op = child->op;

	if (!__ratelimit(&reports))
		return;
	pr_warn("child %#llx of user %u (op %s, user_data %#llx, %llu ms old) was told to end and does not; its worker:\n",
		child->handle, from_kuid(&init_user_ns, scope->ring->user->uid),
		op->name, child->desc.user_data,
		div_u64(ktime_get_ns() - child->spawned_ns, NSEC_PER_MSEC));
	sched_show_task(claim->task);
	pr_warn("child %#llx: end of report\n", child->handle);
}

static bool child_was_told(const struct kscope_child *child)
{
	return !child->op->plain && child->life.cause;
}

/* Return: how many of the claim are stuck. @waits: is there one to look at again */
static u32 look_at_claim(struct kscope_scope *scope, struct kscope_claim *claim,
			 bool *waits)
{
	struct kscope_child *child;
	u32 nr = 0;

	list_for_each_entry(child, &claim->children, node) {
		if (!child_was_told(child))
			continue;
		*waits = true;
		if (child->waits < MET_TWICE) {
			child->waits += MET_ONCE;
			continue;
		}
		nr++;
		if (!scope->grace.reported)
			report_stuck(scope, claim, child);
		scope->grace.reported = true;
	}
	return nr;
}

/* Return: is there something to look at again */
static bool grace_look(struct kscope_scope *scope)
{
	struct kscope_claim *claim;
	bool waits = false;
	u32 nr = 0;

	lockdep_assert_held(&scope->lock);
	hlist_for_each_entry(claim, &scope->claims, node)
		nr += look_at_claim(scope, claim, &waits);
	scope->grace.stuck = nr;
	return waits;
}

static bool grace_is_over(const struct kscope_scope *scope)
{
	return scope->grace.closed_ns &&
	       ktime_get_ns() - scope->grace.closed_ns >= scope->grace_ns;
}

static void scope_bare(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	scope->grace.bared = true;
	spin_unlock(&scope->lock);
}

/* From here on what cancels the scope cancels all of its children, and of those below. */
static void grace_bare(struct kscope_scope *scope)
{
	struct kscope_cancel_counts counts = {};
	struct kscope_scope *below = scope;

	scope_bare(scope);
	if (READ_ONCE(scope->nest.nests))
		while ((below = kscope_nest_next(scope, below)))
			scope_bare(below);
	kscope_scope_cancel(scope, KSCOPE_CAUSE_CLOSE, &counts);
}

static void grace_work(struct work_struct *work)
{
	struct kscope_grace *grace =
		container_of(work, struct kscope_grace, work.work);
	struct kscope_scope *scope =
		container_of(grace, struct kscope_scope, grace);
	bool again, bare;

	spin_lock(&scope->lock);
	again = grace_look(scope);
	bare = !grace->bared && grace_is_over(scope);
	again |= grace->closed_ns && !grace->bared &&
		 !kscope_tally_ends(&scope->tally);
	if (grace->stuck)
		grace->pause = min(grace->pause * 2, LOOK_MAX);
	grace->looks = again;
	if (again)
		queue_delayed_work(system_unbound_wq, &grace->work,
				   grace->pause);
	spin_unlock(&scope->lock);
	if (bare)
		grace_bare(scope);
}

static unsigned long first_pause(const struct kscope_scope *scope)
{
	return clamp(nsecs_to_jiffies(scope->grace_ns / 2) + 1, LOOK_MIN,
		     LOOK_MAX);
}

/**
 * kscope_grace_init() - nobody was told to end yet
 * @scope: new
 */
void kscope_grace_init(struct kscope_scope *scope)
{
	INIT_DELAYED_WORK(&scope->grace.work, grace_work);
}

/**
 * kscope_grace_begin() - children have been told to end
 * @scope: whose
 *
 * Context: under the scope's lock.
 */
void kscope_grace_begin(struct kscope_scope *scope)
{
	struct kscope_grace *grace = &scope->grace;

	lockdep_assert_held(&scope->lock);
	if (grace->looks)
		return;
	grace->looks = true;
	grace->pause = first_pause(scope);
	queue_delayed_work(system_unbound_wq, &grace->work, grace->pause);
}

/* Looks that have become rare are frequent again. */
static void looks_hurry(struct kscope_scope *scope)
{
	struct kscope_grace *grace = &scope->grace;
	unsigned long pause = first_pause(scope);

	if (!grace->looks || grace->pause <= pause)
		return;
	grace->pause = pause;
	mod_delayed_work(system_unbound_wq, &grace->work, pause);
}

/**
 * kscope_grace_closed() - those that are shielded have so much time from now on
 * @scope: that is being closed, and may have been before
 *
 * Context: under the scope's lock.
 */
void kscope_grace_closed(struct kscope_scope *scope)
{
	lockdep_assert_held(&scope->lock);
	if (!scope->grace.closed_ns) {
		scope->grace.closed_ns = ktime_get_ns();
		looks_hurry(scope);
	}
	if (!kscope_tally_ends(&scope->tally))
		kscope_grace_begin(scope);
}

/**
 * kscope_grace_stop() - nobody is left to be told
 * @scope: without children, about to be freed
 *
 * Context: process context; may sleep.
 */
void kscope_grace_stop(struct kscope_scope *scope)
{
	if (scope->grace.pause)
		cancel_delayed_work_sync(&scope->grace.work);
}
