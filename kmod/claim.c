// SPDX-License-Identifier: GPL-2.0
/*
 * Claims: taking children in order to run them, running them, ending them.
 *
 * Whoever runs children (a lane, a waiter that helps, the spawner of an inline scope) takes
 * a few at a time, runs them without the lock, and ends them all under one hold of it, in
 * which it also takes the next ones. Small children are many to a claim, so that the lock,
 * the tail of the ring and the wake-up are paid for once; a child that is large, may
 * block, or belongs to another module is a claim of its own, so that it holds up nobody.
 *
 * In a scope whose policy may cancel it each child is a claim of its own, so that none starts
 * after the one that decides.
 *
 * From take to end the children are RUNNING and on their claim, and the claim is on its scope's
 * list, where cancel and the namers of blockers find them. Nobody but the owner takes a
 * child off a claim, so the owner walks it without the lock.
 */
#include <linux/sched.h>

#include "claim.h"

/**
 * kscope_child_is_slow() - may the child block
 * @child: with its op
 *
 * Return: true if only a slow lane may run it.
 */
bool kscope_child_is_slow(const struct kscope_child *child)
{
	return child->op->attributes & KSCOPE_OP_BLOCKS;
}

/**
 * kscope_claim_take() - take the next children of a queue
 * @claim: empty
 * @queue: with at least one ready child
 *
 * Context: under the scope's lock.
 */
void kscope_claim_take(struct kscope_claim *claim, struct kscope_queue *queue)
{
	struct kscope_scope *scope = queue->scope;
	struct list_head *last = &queue->ready;
	struct kscope_child *child;
	u64 work = 0;
	u32 nr = 0;

	lockdep_assert_held(&scope->lock);
	list_for_each_entry(child, &queue->ready, node) {
		work += child->op->cost;
		if (!child->op->plain)
			work += child->desc.len;
		if (nr && work > scope->claim_work)
			break;
		kscope_life_start(&child->life);
		last = &child->node;
		nr++;
	}
	kscope_tally_start(&scope->tally, nr);
	list_cut_position(&claim->children, &queue->ready, last);
	claim->task = current;
	hlist_add_head(&claim->node, &scope->claims);
}

/**
 * kscope_child_run() - run a child that may hold something
 * @child: that the caller has claimed
 *
 * Context: process context; sleeps if its op does.
 */
void kscope_child_run(struct kscope_child *child)
{
	kscope_carry_enter(&child->carry);
	child->status = child->op->run(child);
	kscope_carry_leave(&child->carry);
	if (kscope_op_takes(child->op, KSCOPE_OP_TAKES_FILE))
		kscope_child_drop_file(child);
}

/**
 * kscope_claim_run() - run children, one after the other
 * @claim: of the caller
 *
 * Context: process context; sleeps if an op does. kscope_claim_end() comes next.
 */
void kscope_claim_run(struct kscope_claim *claim)
{
	claim_run(claim);
}

static void scope_note_failure(struct kscope_scope *scope,
			       const struct kscope_child *child, int status)
{
	if (scope->first.status)
		return;
	scope->first.status = status;
	scope->first.child = child->handle;
	scope->first.user_data = child->desc.user_data;
}

static __always_inline void child_end(struct kscope_scope *scope,
				      struct kscope_child *child,
				      struct kscope_completion *record)
{
	bool plain = child->op->plain;
	bool valued = !plain &&
		      !kscope_op_takes(child->op, KSCOPE_OP_TAKES_FILE |
							  KSCOPE_OP_TAKES_HASH);
	struct kscope_end end =
		kscope_life_end(&child->life, &scope->tally, child->status);

	record_fill(record, child, &end);
	child->status = end.status;
	record->done = plain ? 0 : child->done;
	record->value = valued ? child->value : 0;
	if (end.outcome == KSCOPE_FAILED)
		scope_note_failure(scope, child, end.status);
	if (plain)
		return;
	if (unlikely(scope->at_end & KSCOPE_END_MARKS))
		record->flags = kscope_guard_flags(child);
	kscope_child_drop(child);
}

/**
 * kscope_child_end() - end one child: drop what it holds, and say how it ended
 * @scope: whose
 * @child: that has run, or is queued and was cancelled
 * @record: to fill in
 *
 * Context: under the scope's lock.
 */
void kscope_child_end(struct kscope_scope *scope, struct kscope_child *child,
		      struct kscope_completion *record)
{
	child_end(scope, child, record);
}

/* Let the policy look at those that have just ended, in order. The first that decides does so. */
static void scope_decide(struct kscope_scope *scope, u32 from, u32 to)
{
	const struct kscope_completion *record;
	u32 mask = scope->ring->entries - 1;
	u8 cause;

	for (; from != to && scope->tally.state == KSCOPE_SCOPE_OPEN; from++) {
		record = &scope->ring->ring->records[from & mask];
		cause = kscope_policy_cause(scope->policy, record->outcome);
		if (!cause)
			continue;
		scope->decider.child = record->child;
		scope->decider.user_data = record->user_data;
		scope->chores |= KSCOPE_CHORE_CANCEL;
		scope->nest.owes_since = kscope_nest_time();
		WRITE_ONCE(scope->nest.owes,
			   scope->nest.parent && cause == KSCOPE_CAUSE_FAILURE);
		kscope_scope_doom(scope, cause);
	}
}

/**
 * kscope_scope_at_end() - kscope_ring_publish(), and what else the end of children leads to in few
 *	scopes
 * @scope: whose, with @at_end
 * @tail: after their records
 *
 * Context: under the scope's lock.
 */
void kscope_scope_at_end(struct kscope_scope *scope, u32 tail)
{
	u32 from;

	if (scope->at_end & KSCOPE_END_DECIDES)
		scope_decide(scope, scope->ring->tail, tail);
	from = scope->ring->tail;
	kscope_ring_publish(scope->ring, tail);
	if (scope->at_end & KSCOPE_END_TIES)
		kscope_ties_at_end(scope, from, tail);
	if (scope->at_end & KSCOPE_END_GRANTS)
		kscope_line_grant(scope);
	if (scope->at_end & KSCOPE_END_SIGNALS)
		kscope_event_signal(scope);
	if (scope->at_end & KSCOPE_END_REAPS)
		kscope_scope_drained(scope);
}

/**
 * kscope_children_end() - end children: post completions, drop what they hold, free slots
 * @scope: whose
 * @children: at least one, that have run, or are queued and were cancelled; left empty
 *
 * Leases are dropped before a completion can be seen, so whoever sees it can unpin the
 * buffer. The file of a child that never ran is dropped with fput(), which may finish later.
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
void kscope_children_end(struct kscope_scope *scope, struct list_head *children)
{
	children_end(scope, children, child_end);
	INIT_LIST_HEAD(children);
}
