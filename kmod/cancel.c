// SPDX-License-Identifier: GPL-2.0
/*
 * Cancelling. Each accepted child is on one list of its scope, and its phase says
 * what a cancel means, so no queue has to be searched and nothing can hide between two
 * of them. A queued child ends at once; a running one is told, and its return is the
 * acknowledgment. Neither needs memory, a free slot, or the child's help.
 *
 * If the scope's policy cancels it, that is decided where a child ends, under the same hold of
 * the lock, so that no other can start any more. The rest is done by whoever ended the
 * child, when it has dropped the lock.
 */
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "internal.h"

#define CANCEL_BURST 64

/* A lane that is on its way for it may not be one for the next. */
static void child_end_waiting(struct kscope_child *child)
{
	struct kscope_queue *queue = kscope_child_queue(child);
	LIST_HEAD(ended);

	list_move(&child->node, &ended);
	kscope_children_end(child->scope, &ended);
	kscope_queue_kick(queue);
}

/**
 * kscope_child_tell() - ask a child to end early
 * @child: of any phase
 * @cause: KSCOPE_CAUSE_*
 * @counts: added to
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
void kscope_child_tell(struct kscope_child *child, u8 cause,
		       struct kscope_cancel_counts *counts)
{
	lockdep_assert_held(&child->scope->lock);

	switch (kscope_life_cancel(&child->life, cause)) {
	case KSCOPE_VERDICT_ENDS:
		child_end_waiting(child);
		counts->never_started++;
		break;
	case KSCOPE_VERDICT_TOLD:
		/* The cause before the look for sleepers; pairs with prepare_to_wait(). */
		smp_mb();
		kscope_hook_atomic(KSCOPE_POINT_TOLD);
		wake_up_var(child);
		if (child->op->cancel)
			child->op->cancel(child);
		kscope_grace_begin(child->scope);
		counts->told++;
		break;
	case KSCOPE_VERDICT_ALREADY:
		counts->already++;
		break;
	case KSCOPE_VERDICT_GONE:
		break;
	}
}

/**
 * kscope_scope_give_way() - others wait for the lock as well as for the CPU
 * @scope: whose
 *
 * Context: process context, under the scope's lock, which is let go and taken again.
 */
void kscope_scope_give_way(struct kscope_scope *scope)
{
	spin_unlock(&scope->lock);
	cond_resched();
	kscope_hook(KSCOPE_POINT_DOOMED, 0);
	spin_lock(&scope->lock);
}

static int cancel_one(struct kscope_scope *scope, u64 handle,
		      struct kscope_cancel_counts *counts)
{
	struct kscope_child *child;

	spin_lock(&scope->lock);
	child = kscope_child_lookup(scope, handle);
	if (child)
		kscope_child_tell(child, KSCOPE_CAUSE_CALLER, counts);
	spin_unlock(&scope->lock);
	if (!child)
		return -ENOENT;
	return counts->already ? -EALREADY : 0;
}

static bool child_is_meant(const struct kscope_child *child, u32 what,
			   u64 target)
{
	if (child->life.phase < KSCOPE_PHASE_PARKED)
		return false;
	if (what == KSCOPE_CANCEL_BUF)
		return kscope_child_borrows(child, target);
	return child->desc.user_data == target;
}

/* Look at all slots. Nobody misses a buffer that goes meanwhile: it is not borrowed any more. */
static int cancel_meant(struct kscope_scope *scope, u32 what, u64 target,
			struct kscope_cancel_counts *counts)
{
	struct kscope_child *child;
	u32 slot;

	spin_lock(&scope->lock);
	for (slot = 0; slot < scope->nr_touched; slot++) {
		child = &scope->slots[slot];
		if (child_is_meant(child, what, target))
			kscope_child_tell(child, KSCOPE_CAUSE_CALLER, counts);
		if (!((slot + 1) % kscope_limit(CANCEL_BURST)))
			kscope_scope_give_way(scope);
	}
	spin_unlock(&scope->lock);
	if (counts->never_started || counts->told || counts->already)
		return 0;
	return -ENOENT;
}

/* Those that have lost their shields are told what has taken these. */
static u8 child_cause(const struct kscope_child *child)
{
	if (!child->op->plain && child->desc.flags & KSCOPE_CHILD_SHIELDED)
		return KSCOPE_CAUSE_CLOSE;
	return child->scope->tally.cause;
}

/* It is doomed with the others, but goes back to where it was. */
static noinline void child_spare(struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;
	struct kscope_queue *queue = kscope_child_queue(child);

	if (child->life.phase == KSCOPE_PHASE_PARKED) {
		list_move_tail(&child->node, &scope->parked);
		return;
	}
	list_move_tail(&child->node, &queue->ready);
	kscope_queue_kick(queue);
}

/* End some of the doomed. */
static u32 cancel_burst(struct kscope_scope *scope)
{
	u32 left = kscope_limit(CANCEL_BURST), nr = 0;
	struct list_head *last = &scope->doomed;
	struct kscope_child *child, *next;
	LIST_HEAD(burst);

	list_for_each_entry_safe(child, next, &scope->doomed, node) {
		if (!left--)
			break;
		if (kscope_child_is_shielded(child)) {
			child_spare(child);
			continue;
		}
		kscope_life_cancel(&child->life, child_cause(child));
		last = &child->node;
		nr++;
	}
	if (!nr)
		return 0;
	list_cut_position(&burst, &scope->doomed, last);
	kscope_children_end(scope, &burst);
	return nr;
}

static void cancel_doomed(struct kscope_scope *scope,
			  struct kscope_cancel_counts *counts)
{
	lockdep_assert_held(&scope->lock);
	while (!list_empty(&scope->doomed)) {
		counts->never_started += cancel_burst(scope);
		if (!list_empty(&scope->doomed))
			kscope_scope_give_way(scope);
	}
}

static void cancel_claim(struct kscope_claim *claim,
			 struct kscope_cancel_counts *counts)
{
	struct kscope_child *child;

	list_for_each_entry(child, &claim->children, node)
		if (!kscope_child_is_shielded(child))
			kscope_child_tell(child, child_cause(child), counts);
}

/*
 * In an inline scope there may be one for each thread of the caller. A claim of nothing keeps the
 * place meanwhile: others come and go, but those that come do so at the front.
 */
static void cancel_claims(struct kscope_scope *scope,
			  struct kscope_cancel_counts *counts)
{
	u32 burst = kscope_limit(CANCEL_BURST), left = burst;
	struct kscope_claim place = {};
	struct hlist_node *node, *next;

	INIT_LIST_HEAD(&place.children);
	lockdep_assert_held(&scope->lock);
	for (node = scope->claims.first; node; node = next) {
		cancel_claim(hlist_entry(node, struct kscope_claim, node),
			     counts);
		next = node->next;
		if (--left || !next)
			continue;
		hlist_add_behind(&place.node, node);
		kscope_scope_give_way(scope);
		next = place.node.next;
		hlist_del(&place.node);
		left = burst;
	}
}

/* Of a scope that is doomed */
static void cancel_all(struct kscope_scope *scope,
		       struct kscope_cancel_counts *counts)
{
	scope->chores &= ~KSCOPE_CHORE_CANCEL;
	cancel_claims(scope, counts);
	cancel_doomed(scope, counts);
}

/**
 * kscope_scope_doom() - the first step of a cancel, and the one that counts
 * @scope: that starts no child any more
 * @cause: KSCOPE_CAUSE_*
 *
 * Children that are queued go where no lane looks; whoever cancels the scope ends some of
 * them, as does a cancel of one by its handle. Those that are shielded come back from there; who
 * cancels the scope again leaves them where they are.
 *
 * Context: under the scope's lock.
 * Return: as kscope_scope_cancel(), which comes next.
 */
int kscope_scope_doom(struct kscope_scope *scope, u8 cause)
{
	lockdep_assert_held(&scope->lock);
	if (scope->tally.state == KSCOPE_SCOPE_OPEN || scope->grace.bared) {
		list_splice_tail_init(&scope->quick.ready, &scope->doomed);
		list_splice_tail_init(&scope->slow.ready, &scope->doomed);
		list_splice_tail_init(&scope->parked, &scope->doomed);
	}
	scope->nest.cancelled = kscope_nest_time();
	return kscope_tally_cancel(&scope->tally, cause);
}

/**
 * kscope_scope_cancel_alone() - kscope_scope_cancel(), but for scopes that are nested in it
 * @scope: whose
 * @cause: likewise
 * @counts: likewise
 *
 * Context: process context.
 * Return: likewise.
 */
int kscope_scope_cancel_alone(struct kscope_scope *scope, u8 cause,
			      struct kscope_cancel_counts *counts)
{
	int ret;

	spin_lock(&scope->lock);
	ret = kscope_scope_doom(scope, cause);
	if (cause ==
	    KSCOPE_CAUSE_PARENT) /* which need not be told of a failure any more */
		WRITE_ONCE(scope->nest.owes, false);
	cancel_all(scope, counts);
	if (cause == KSCOPE_CAUSE_CLOSE)
		kscope_grace_closed(scope);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
	return ret;
}

/**
 * kscope_scope_cancel_rest() - what follows on kscope_scope_doom(), if that still holds
 * @scope: that was doomed, and may have been opened again meanwhile
 * @counts: added to
 *
 * Context: process context.
 */
void kscope_scope_cancel_rest(struct kscope_scope *scope,
			      struct kscope_cancel_counts *counts)
{
	spin_lock(&scope->lock);
	if (scope->tally.state != KSCOPE_SCOPE_OPEN)
		cancel_all(scope, counts);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
}

/**
 * kscope_scope_cancel() - close a scope to new children, and cancel those that it has
 * @scope: whose
 * @cause: KSCOPE_CAUSE_*; if it was cancelled before, the first one stands
 * @counts: added to
 *
 * On return no child that was queued will run, all of these have ended, and each running one
 * has been told; and the same holds for all scopes below (KSCOPE_CAUSE_PARENT). The lock is let
 * go now and then.
 *
 * Context: process context.
 * Return: 0, or -ESHUTDOWN if the scope was released before, and so has no children.
 */
int kscope_scope_cancel(struct kscope_scope *scope, u8 cause,
			struct kscope_cancel_counts *counts)
{
	int ret = kscope_scope_cancel_alone(scope, cause, counts);

	kscope_nest_spread(scope, counts);
	return ret;
}

/**
 * kscope_scope_carry_out() - do the chores that ends of children have led to, if nobody has
 * @scope: whose. Its policy may have decided, and those above it may have to be told; or children
 *	come after those that have ended
 *
 * Context: as kscope_scope_notify().
 */
void kscope_scope_carry_out(struct kscope_scope *scope)
{
	struct kscope_cancel_counts counts = {};
	bool cancels;

	kscope_hook(KSCOPE_POINT_DECIDED, 0);
	spin_lock(&scope->lock);
	cancels = scope->chores & KSCOPE_CHORE_CANCEL;
	if (cancels)
		cancel_all(scope, &counts);
	if (scope->chores & KSCOPE_CHORE_TIES)
		kscope_ties_settle(scope);
	scope->chores &= ~KSCOPE_CHORE_TIES;
	spin_unlock(&scope->lock);
	if (cancels || READ_ONCE(scope->nest.owes))
		kscope_nest_spread(scope, &counts);
}

/**
 * kscope_child_cancel() - ask children to end early
 * @scope: whose children
 * @what: KSCOPE_CANCEL_CHILD, _USER_DATA, _SCOPE or _BUF
 * @target: handle, user_data, 0, or handle of a buffer
 * @counts: set to what it met
 *
 * Context: process context; does not wait for acknowledgments.
 * Return: 0, -EINVAL, -ENOENT, -EALREADY (CHILD) or -ESHUTDOWN (SCOPE).
 */
int kscope_child_cancel(struct kscope_scope *scope, u32 what, u64 target,
			struct kscope_cancel_counts *counts)
{
	int ret;

	*counts = (struct kscope_cancel_counts){};
	switch (what) {
	case KSCOPE_CANCEL_CHILD:
		ret = cancel_one(scope, target, counts);
		break;
	case KSCOPE_CANCEL_USER_DATA:
	case KSCOPE_CANCEL_BUF:
		ret = cancel_meant(scope, what, target, counts);
		break;
	case KSCOPE_CANCEL_SCOPE:
		if (target)
			return -EINVAL;
		return kscope_scope_cancel(scope, KSCOPE_CAUSE_CALLER, counts);
	default:
		return -EINVAL;
	}
	kscope_scope_notify(scope);
	return ret;
}
EXPORT_SYMBOL_GPL(kscope_child_cancel);
