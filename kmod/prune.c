// SPDX-License-Identifier: GPL-2.0
/*
 * Pruning: the end of a scope in which others are nested.
 *
 * Who closes a scope has cancelled the tree below it, so nothing is added there any more. It
 * releases one scope after the other, the deepest first, and waits where a child still runs, or
 * where somebody else is releasing that scope: a task that may wait sleeps on the wait queue of
 * that scope; the reaper, which is not to wait, puts an entry there that queues it again. Its
 * entry holds a reference to that scope. Whoever wakes the entry takes it off and queues the
 * reaper under the lock of the wait queue, and does not touch it afterwards; the reaper takes
 * that lock before it goes on.
 *
 * Several may be at it, one for each scope that is being closed. A release succeeds once; the
 * others wait until that scope has ended, that is until its buffers are gone as well. So nobody
 * comes to a parent before all that it lent has been given back.
 *
 * What is then still open of nested scopes are fds of scopes that have been released. They keep
 * the structs of those above them, but nothing that belongs to a program.
 */
#include <linux/freezer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "internal.h"

/* Is there something to do for whoever wants a scope to end, that of a tree that is cancelled */
static bool leaf_may_go_on(const struct kscope_scope *leaf)
{
	if (leaf->tally.state == KSCOPE_SCOPE_RELEASED)
		return leaf->nest.ended;
	return kscope_tally_ends(&leaf->tally);
}

static bool leaf_looks(struct kscope_scope *leaf)
{
	bool go_on;

	spin_lock(&leaf->lock);
	go_on = leaf_may_go_on(leaf);
	spin_unlock(&leaf->lock);
	return go_on;
}

static int leaf_end(struct kscope_scope *leaf)
{
	u32 nr_blockers = 0;

	return kscope_scope_end(leaf, NULL, &nr_blockers);
}

/**
 * kscope_nest_close() - end a scope and all that are below it
 * @scope: of a tree, cancelled, that nobody else has an fd of
 *
 * Context: process context; sleeps, killably.
 * Return: 0 and they have ended; -ERESTARTSYS if killed.
 */
int kscope_nest_close(struct kscope_scope *scope)
{
	struct kscope_scope *leaf;
	int ret = 0;

	while (!ret && !READ_ONCE(scope->nest.ended)) {
		leaf = kscope_nest_leaf(scope);
		kscope_hook(KSCOPE_POINT_ENDING, leaf->user_data);
		ret = wait_event_state(leaf->wait, leaf_looks(leaf),
				       KSCOPE_CLOSE_STATE);
		if (!ret)
			leaf_end(leaf);
		kscope_scope_put(leaf);
		cond_resched();
	}
	return ret;
}

static int reaper_wake(struct wait_queue_entry *entry, unsigned int mode,
		       int flags, void *key)
{
	struct kscope_scope *scope =
		container_of(entry, struct kscope_scope, nest.entry);

	/* Without the lock: who changes it meanwhile looks as well, afterwards. */
	if (!data_race(leaf_may_go_on(scope->nest.leaf)))
		return 0;
	list_del_init(&entry->entry);
	kscope_scope_reap_later(scope);
	return 1;
}

/* Return: true if there is no need; else the reaper comes again, and may have done so already */
static bool reaper_waits(struct kscope_scope *scope, struct kscope_scope *leaf)
{
	struct wait_queue_entry *entry = &scope->nest.entry;
	bool mine = false;

	scope->nest.leaf = leaf;
	init_waitqueue_func_entry(entry, reaper_wake);
	INIT_LIST_HEAD(&entry->entry);
	add_wait_queue(&leaf->wait, entry);
	if (!leaf_looks(leaf))
		return false;
	spin_lock_irq(&leaf->wait.lock);
	if (!list_empty(&entry->entry)) {
		list_del_init(&entry->entry);
		mine = true;
	}
	spin_unlock_irq(&leaf->wait.lock);
	return mine;
}

/* What the reaper waited for is there; whoever woke it has let go of the entry. */
static void reaper_comes(struct kscope_scope *scope)
{
	struct kscope_scope *leaf = scope->nest.leaf;

	if (!leaf)
		return;
	spin_lock_irq(&leaf->wait.lock);
	WARN_ON_ONCE(!list_empty(&scope->nest.entry.entry));
	spin_unlock_irq(&leaf->wait.lock);
	scope->nest.leaf = NULL;
	kscope_scope_put(leaf);
}

/**
 * kscope_nest_reap() - kscope_nest_close() for the reaper, which does not wait
 * @scope: whose own children have ended
 *
 * Context: the scope's reap_work.
 * Return: true if all have ended; else that work comes again.
 */
bool kscope_nest_reap(struct kscope_scope *scope)
{
	struct kscope_scope *leaf;

	reaper_comes(scope);
	while (!READ_ONCE(scope->nest.ended)) {
		leaf = kscope_nest_leaf(scope);
		if (leaf_end(leaf) && !reaper_waits(scope, leaf))
			return false;
		scope->nest.leaf = NULL;
		kscope_scope_put(leaf);
		cond_resched();
	}
	return true;
}
